package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Options of [Run] and [Pretrain]: what a run does not depend on.
type Options struct {
	Out     string            // run folder
	Resume  bool              // go on with the run in Out
	Minutes float64           // budget of wall time that sets the number of steps; 0: the config's steps
	Device  torch.Device      // of the networks
	Version map[string]string // recorded in run.json, besides Go's and libtorch's
	Watch   Watch             // may be nil
	Log     io.Writer         // what a person should read besides progress; may be nil
	Group   *torch.Group      // of Run: the processes that share every batch; nil: this one alone

	// Probe measures an encoder in the course of pretraining, every log.samples steps and at the end;
	// nil: it is not done. Its metrics join the others.
	Probe func(ctx context.Context, h *models.Encoder) ([]Metric, error)

	// Evaluate measures samples of G alone, whenever a grid is drawn; nil: it is not done. Its
	// metrics join the others.
	Evaluate func(ctx context.Context, samples *data.Set) ([]Metric, error)
}

func (o Options) printf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// Run trains a model as cfg says (Algorithm 1) on set with the encoder file (empty where cfg needs
// none), in a run folder. With o.Resume it goes on bit for bit from the newest whole checkpoint, with
// the folder's own config. On cancel it saves and returns ctx.Err().
//
// In a group every process calls Run with the same arguments and trains on its share of each batch.
// Rank 0 alone writes the folder; its files can be resumed by any number of processes. All stop
// after the same step when one's ctx ends, and soon with an error that is torch.ErrPeerLost when
// one is gone; rank 0 then saves the last whole step.
func Run(ctx context.Context, cfg Config, set *data.Set, encoder string, o Options) (err error) {
	if err := divides(cfg.Batch, o.Group); err != nil {
		return err
	}
	var run *RunDir
	if o.Group.Rank() == 0 {
		if run, err = CreateRun(o.Out, o.Resume); err == nil {
			defer closing(run, &err)
		}
	} else {
		o.Log, o.Watch, o.Evaluate = nil, nil, nil
	}
	if err := agree(o.Group, err); err != nil {
		return err
	}
	if o.Resume {
		encoder = filepath.Join(o.Out, encoderFile)
	}
	t, err := loadTrainer(cfg, encoder, o.Device)
	if t != nil {
		defer t.Close()
	}
	if err := agree(o.Group, err); err != nil {
		return err
	}
	if run != nil {
		err = t.begin(run, set, o)
	}
	if err := agree(o.Group, err); err != nil {
		return err
	}
	t.join(o.Group)
	return torch.Do(func() error { // one scope, so one thread and its OpenMP pool
		if err := t.spread(); err != nil {
			return err
		}
		return t.drive(ctx, run, set, o)
	})
}

// loadTrainer makes a trainer with the encoder in a file.
func loadTrainer(cfg Config, encoder string, device torch.Device) (*Trainer, error) {
	h, err := cfg.loadEncoder(encoder)
	if err != nil {
		return nil, fmt.Errorf("read the encoder: %w", err)
	}
	t, err := NewTrainer(cfg, h, device)
	if err != nil {
		nn.Close(h)
		return nil, err
	}
	return t, nil
}

// begin loads what a resumed run left, and writes what a run folder has before the first step.
func (t *Trainer) begin(run *RunDir, set *data.Set, o Options) error {
	if !o.Resume && t.H != nil {
		if err := saveEncoder(run.Path(encoderFile), t.H); err != nil {
			return err
		}
	}
	h := history{cfg: t.cfg, seed: t.cfg.Seed, keep: t.cfg.Log.Keep, step: &t.step, load: t.Load}
	if err := h.begin(run, set, o); err != nil {
		return err
	}
	for _, w := range t.cfg.Warnings() {
		o.printf("warning: %s", w)
	}
	return nil
}

func (t *Trainer) drive(ctx context.Context, run *RunDir, set *data.Set, o Options) error {
	batches := newBatches(set, t.cfg.Seed, t.cfg.Batch, o.Group)
	budget := budget{minutes: o.Minutes, began: time.Now(), first: t.step}
	l := loop{
		run: run, log: t.cfg.Log, start: t.step, steps: func() int { return t.cfg.Steps }, watch: o.Watch, save: t.Save, group: o.Group,
		step: func(i int) ([]Metric, error) {
			var loss Losses
			err := torch.Do(func() (err error) {
				loss, err = t.Step(t.cfg.Data.Range.FromUnit(batches.at(i)))
				return err
			})
			if err != nil {
				return nil, err
			}
			settled, err := budget.share(i+1, &t.cfg, o.Group)
			if err == nil && settled && run != nil {
				o.printf("%d steps fit into %.3g minutes", t.cfg.Steps, o.Minutes)
				err = writeConfig(run, t.cfg)
			}
			return t.metrics(loss), err
		},
		samples: func(step int, tb *TensorBoard) ([]Metric, error) {
			if err := t.drawGrid(run, step, tb); err != nil || o.Evaluate == nil {
				return nil, err
			}
			samples, err := t.quickSamples()
			if err != nil {
				return nil, err
			}
			return o.Evaluate(ctx, samples)
		},
		warn: warnOfCollapse,
	}
	drive, finish := l.drive, func() error { return finished(run) }
	if run == nil {
		drive, finish = l.follow, func() error { return nil }
	}
	for tries := 1; ; tries++ {
		err := drive(ctx)
		if err == nil {
			return finish()
		}
		if err := t.goBack(run, err, tries, o); err != nil {
			return err
		}
		l.start = t.step
	}
}

// After a divergence a run goes back to its last checkpoint and on with a smaller chain step and a
// lower learning rate of E, both times calmer, at most maxTries times: by then the config is at
// fault, and not the luck of a step. Seen up close, runs diverge when δ²/2 outgrows the curvature
// of E: chains overshoot to where E is low, which E then learns to make lower still.
const (
	calmer   = 0.7
	maxTries = 3
)

// goBack prepares another try after a divergence; any other failure, and one too many, it returns.
func (t *Trainer) goBack(run *RunDir, failure error, tries int, o Options) error {
	var d *Diverged
	if !errors.As(failure, &d) || tries > maxTries {
		return failure
	}
	var err error
	if run != nil {
		err = t.reload(run, failure)
	}
	if err := agree(o.Group, err); err != nil {
		return err
	}
	t.cfg.Chain.Delta2 *= calmer
	t.cfg.OptE.LR *= calmer
	if err := t.spread(); err != nil || run == nil {
		return err
	}
	o.printf("warning: step %d: %s is %.3g: training diverged; going back to step %d with chain.delta2 %.3g and opt_e.lr %.3g (%d of %d)",
		d.Step, d.Name, d.Value, t.step, t.cfg.Chain.Delta2, t.cfg.OptE.LR, tries, maxTries)
	return writeConfig(run, t.cfg)
}

func (t *Trainer) reload(run *RunDir, failure error) error {
	last, _, err := run.LastCheckpoint(verifyCheckpoint)
	if err != nil {
		return failure // nothing to go back to
	}
	if err := t.Load(last.Path); err != nil {
		return errors.Join(failure, err)
	}
	return nil
}

// metrics are the measurements that this config has: the loss of a network that is not trained is left out.
func (t *Trainer) metrics(l Losses) (out []Metric) {
	for i, v := range l.values() {
		if v == &l.ELBO && t.optQ == nil || v == &l.Contrast && t.optH == nil {
			continue
		}
		out = append(out, Metric{lossNames[i], *v})
	}
	return out
}

// stalled is the rms(x^T − x⁰) below which chains were seen to stall and collapse.
const stalled = 0.005

// warnOfCollapse returns a warning if the chains hardly move, the sign of a collapse.
func warnOfCollapse(mean []Metric) string {
	for _, m := range mean {
		if m.Name == "move_rms" && m.Value < stalled {
			return fmt.Sprintf("the chains hardly move (rms(x^T − x⁰) = %.2g, below %v): E has gone flat, or its gradients are too small for chain.delta2. "+
				"Learning went with 0.02 to 0.08: raise chain.delta2, or lower opt_e.lr if this began in mid-run", m.Value, stalled)
		}
	}
	return ""
}

// drawGrid writes samples of the averaged networks, 8×8, from the same latents every time.
func (t *Trainer) drawGrid(run *RunDir, step int, tb *TensorBoard) error {
	const n = 64
	var pixels []byte
	err := torch.Do(func() error {
		rng := torch.NewRNG(t.cfg.Seed, 0, "grid")
		x := drawSamples(t.AvgG, t.AvgE.Frozen(t.dtype), t.cfg, nn.BatchStats, t.cfg.Chain.Steps, rng, n)
		pixels = data.Bytes(t.cfg.Data.Range.ToUnit(x))
		return nil
	})
	if err != nil {
		return err
	}
	size := t.cfg.Data.Size
	img, err := data.Grid(pixels, data.Shape{N: n, H: size, W: size, C: t.cfg.Energy.Channels}, 8)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return err
	}
	path := run.Path("samples", fmt.Sprintf("step-%08d.png", step))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := data.WriteAtomic(path, func(w io.Writer) error { _, err := w.Write(buf.Bytes()); return err }); err != nil {
		return err
	}
	return tb.Image(step, "samples", buf.Bytes(), img.Bounds().Dy(), img.Bounds().Dx())
}

// quickN is how many samples a measurement during training looks at.
const quickN = 2000

// quickSamples are images of the averaged G alone, normalised by the batch.
func (t *Trainer) quickSamples() (*data.Set, error) {
	size, channels := t.cfg.Data.Size, t.cfg.Energy.Channels
	var pixels []byte
	err := torch.Do(func() error {
		for i := range quickN / sampleBatch {
			torch.Tidy(func() torch.Tensor {
				x := drawSamples(t.AvgG, nil, t.cfg, nn.BatchStats, 0, torch.NewRNG(t.cfg.Seed, i, "quick"), sampleBatch)
				pixels = append(pixels, data.Bytes(t.cfg.Data.Range.ToUnit(x))...)
				return torch.Tensor{}
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return data.New(data.Shape{N: quickN, H: size, W: size, C: channels}, pixels, nil)
}
