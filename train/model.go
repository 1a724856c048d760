package train

import (
	"errors"
	"fmt"
	"os"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Model is a trained run, ready to use: the averaged networks and the encoder.
type Model struct {
	E      *models.Energy
	G      *models.Generator
	H      *models.Encoder   // nil if the run read no encoder
	Q      *models.Inference // of ERM, as trained and not averaged, or of LoadInference; else nil
	Config Config
	Step   int
	SHA256 string // of the checkpoint; empty for a model that does not come from one

	QSHA256  string   // of the checkpoint that LoadInference read; empty for the q of ERM
	Warnings []string // of LoadModel: the newer checkpoints that it could not read

	dtype torch.DType
}

// LoadModel reads the newest checkpoint of the run in dir that can be read. The caller closes the model.
func LoadModel(dir string, device torch.Device) (*Model, error) {
	cfg, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	run, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	last, skipped, err := run.LastCheckpoint(verifyCheckpoint)
	if errors.Is(err, ErrNoCheckpoint) {
		return nil, fmt.Errorf("%s has no checkpoint yet: wait until training reaches the first one", dir)
	}
	if err != nil {
		return nil, err
	}
	t, err := loadTrainer(cfg, run.Path(encoderFile), device)
	if err != nil {
		return nil, err
	}
	if err := t.Load(last.Path); err != nil {
		t.Close()
		return nil, err
	}
	m, err := t.Model()
	if err != nil {
		return nil, err
	}
	for _, s := range skipped {
		m.Warnings = append(m.Warnings, s.Error())
	}
	m.SHA256, err = fileSHA256(last.Path)
	return m, err
}

// LoadPretrained reads the encoder of the pretraining run in dir, as a model without E and G. The caller closes it.
func LoadPretrained(dir string, device torch.Device) (*Model, error) {
	c, err := ReadSSLConfig(dir)
	if err != nil {
		return nil, err
	}
	path := EncoderPath(dir)
	h, err := LoadEncoder(path, c.Data.Range)
	if err != nil {
		return nil, err
	}
	m := &Model{H: h, Config: Config{Data: c.Data, Energy: models.EnergyConfig{Channels: c.Encoder.Channels}}}
	err = torch.Do(func() error {
		nn.To(h, device, torch.Float32)
		nn.Freeze(h)
		return nil
	})
	if err == nil {
		m.SHA256, err = fileSHA256(path)
	}
	return m, err
}

// NeedsEncoder reports whether anything in the training reads h.
func (c Config) NeedsEncoder() bool {
	return c.Energy.Posterior != models.NoLatent || (c.Target == ERM && c.Rho > 0)
}

// loadEncoder reads h. It makes an untrained one if h is trained along and path is empty, and returns nil if
// the config reads none.
func (c Config) loadEncoder(path string) (*models.Encoder, error) {
	if !c.NeedsEncoder() {
		return nil, nil
	}
	if c.Encoder == Joint && path == "" {
		return models.NewEncoder(EncoderFor(c), c.Data.Range, c.Seed)
	}
	if path == "" {
		return nil, fmt.Errorf("no file is given, and target=%s with energy.posterior=%s needs one: pretrain an encoder: %w", c.Target, c.Energy.Posterior, os.ErrNotExist)
	}
	return LoadEncoder(path, c.Data.Range)
}

// recalibration is the number of batches of latents from which G's batch-norm statistics are computed for
// the averaged weights. The average of the statistics lags behind these weights.
const recalibration = 40

// Model ends training: it keeps the averaged networks, computes their batch-norm statistics, and frees the
// rest. Before the first step the statistics stay as they are, so those of an imported model do too.
func (t *Trainer) Model() (*Model, error) {
	m := &Model{E: t.AvgE, G: t.AvgG, H: t.H, Q: t.Q, Config: t.cfg, Step: t.step, dtype: t.dtype}
	for _, p := range t.parts() {
		if p.average != nil {
			nn.Close(p.net)
		}
		if *p.opt != nil {
			(*p.opt).Close()
		}
	}
	if t.step == 0 {
		return m, nil
	}
	err := torch.Do(func() error {
		torch.NoGrad(func() {
			m.G.Recalibrate(recalibration, sampleBatch, torch.NewRNG(t.cfg.Seed, 0, "recalibrate"))
		})
		return nil
	})
	return m, err
}

// Close frees the model.
func (m *Model) Close() {
	for _, net := range []any{m.E, m.G, m.H, m.Q} {
		nn.Close(net)
	}
}

func (m *Model) device() torch.Device { return m.G.In.Weight.Device() }
