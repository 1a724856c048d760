package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// inferenceFormat marks checkpoints of TrainInference.
const inferenceFormat = "liebm-inference"

// inferenceTrainer trains q over a frozen G and h by Eq. 26.
type inferenceTrainer struct {
	q    *models.Inference
	m    *Model
	h    *models.FrozenEncoder // of m; nil before the first Step
	cfg  Config
	opt  *optim.Adam
	step int
}

func newInferenceTrainer(m *Model, cfg Config, device torch.Device) (*inferenceTrainer, error) {
	check := cfg
	check.Target, check.EMAfter = ERM, 0 // checks the settings of q too
	if err := check.Validate(); err != nil {
		return nil, err
	}
	if err := m.needG("q"); err != nil {
		return nil, err
	}
	if m.H == nil {
		return nil, fmt.Errorf("q over a finished run learns from the encoder's latents (Eq. 26), and the run has no encoder: use a run with one, or train with target=%s and rho=0", ERM)
	}
	if cfg.rhoQ() == 0 {
		return nil, errors.New("rho_q is 0, but q over a finished run learns from the encoder's latents only (Eq. 26): set rho_q=100")
	}
	q, err := models.NewInference(cfg.Inference, cfg.Seed)
	if err != nil {
		return nil, err
	}
	t := &inferenceTrainer{q: q, m: m, cfg: cfg}
	err = torch.Do(func() error {
		nn.To(q, device, torch.Float32)
		for _, part := range []any{m.G, m.H} {
			nn.Freeze(part)
		}
		t.opt = optim.NewAdam(nn.Params(q), cfg.OptQ.AdamOptions)
		return nil
	})
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *inferenceTrainer) parts() []part { return []part{{"inference", t.q, nil, "opt_q", &t.opt}} }

func (t *inferenceTrainer) close() {
	t.parts()[0].close()
	if t.h != nil {
		t.h.Close()
	}
}

// rhoQ is the ρ of Eq. 26. Runs of earlier versions have one ρ for all equations.
func (c Config) rhoQ() float64 { return cmp.Or(c.RhoQ, c.Rho) }

// Step is one update of q on images in [0,1]: [n,c,h,w].
func (t *inferenceTrainer) Step(unit torch.Tensor) (loss []Metric, err error) {
	torch.AllowTF32(t.cfg.TF32)
	defer torch.AllowTF32(false)
	rng := torch.NewRNG(t.cfg.Seed, t.step, "train q")
	err = torch.Do(func() error {
		if t.h == nil {
			t.h = t.m.H.Frozen().Keep()
		}
		unit = unit.ToDevice(t.m.Device)
		var z torch.Tensor
		torch.NoGrad(func() { z = t.h.Latent(t.cfg.view(unit, rng.Fork("view"))) })
		mean, logVar := t.q.Forward(t.cfg.Data.Range.FromUnit(unit))
		m := Reparameterize(mean, logVar, rng.Fork("m").NormalLike(mean))
		latent := t.h.Forward(t.m.G.Forward(m, nn.Eval))
		l := LatentELBOLoss(z, latent, mean, logVar, t.cfg.rhoQ())
		t.opt.Step(l, cmp.Or(t.cfg.LRQ, t.cfg.OptQ.LR)*t.cfg.Schedule.Factor(t.step, t.cfg.Steps))
		loss, err = oneLoss(t.step+1, "loss_q", l)
		return err
	})
	t.step++
	return loss, err
}

func (t *inferenceTrainer) load(path string) (err error) {
	t.step, err = readCheckpoint(path, inferenceFormat, t.parts(), func(meta map[string]string) error {
		if meta["weights"] != t.m.SHA256 {
			return fmt.Errorf("q was trained over a generator with SHA-256 %s, this run's is %s: train q again", meta["weights"], t.m.SHA256)
		}
		return nil
	})
	return err
}

// TrainInference trains q over the frozen generator and encoder of m (Eq. 26) on set, in a run folder of its
// own. cfg is the config of m with changes; TrainInference uses its inference, opt_q, lr_q, rho_q, schedule, steps,
// batch, views, data.range, data.flip, tf32, seed and log, and rho if rho_q is 0. It resumes and stops as [Run] does.
func TrainInference(ctx context.Context, cfg Config, m *Model, set *data.Set, o Options) (err error) {
	if o.Resume {
		cfg, err = ReadConfig(o.Out)
		cfg.Steps = cmp.Or(o.Steps, cfg.Steps)
	}
	run, err := o.start(cfg, cfg.Batch, set, "", cmp.Or(o.noMinutes(), err))
	if err != nil {
		return err
	}
	defer closing(run, &err)
	t, err := newInferenceTrainer(m, cfg, o.Device)
	if err != nil {
		return err
	}
	defer t.close()
	l := &loop{cfg: cfg, seed: cfg.Seed, batch: cfg.Batch, flip: cfg.Data.Flip, log: cfg.Log, made: &t.step, steps: &cfg.Steps, step: t.Step,
		format: inferenceFormat, parts: t.parts(), notes: map[string]string{"weights": m.SHA256}, load: t.load,
		rule: cfg.Schedule.rule(cfg.Steps)}
	if err := l.run(ctx, run, set, o); err != nil {
		return err
	}
	return run.finish(cfg.Steps, o)
}

// LoadInference loads the q that [TrainInference] wrote to dir into the model. It returns an error if q was
// trained over another generator.
func (m *Model) LoadInference(dir string, device torch.Device) error {
	cfg, err := ReadConfig(dir)
	if err != nil {
		return err
	}
	run, err := openRun(dir)
	if err != nil {
		return err
	}
	t, err := newInferenceTrainer(m, cfg, device)
	if err != nil {
		return err
	}
	defer t.opt.Close()
	var sum string
	_, err = run.read(lastCheckpoint, func(from savedCheckpoint) (err error) {
		if sum, err = data.FileSHA256(from.Path); err == nil {
			err = t.load(from.Path)
		}
		return err
	})
	if err != nil {
		nn.Close(t.q)
		return fmt.Errorf("%s: %w", dir, err)
	}
	nn.Close(m.Q)
	m.Q, m.QSHA256 = t.q, sum
	return nil
}
