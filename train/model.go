package train

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Model is a trained run, ready to use: the averaged networks and the encoder.
type Model struct {
	E      *models.Energy
	G      *models.Generator // nil in a model of LoadScorer
	H      *models.Encoder   // nil if the run read no encoder
	Q      *models.Inference // of ERM, as trained and not averaged, or of LoadInference; else nil
	Config Config
	Device torch.Device
	Folder string // of the run; empty for a model that does not come from one
	Step   int
	SHA256 string // of the checkpoint, followed by the decay of a further average, as in @0.999; empty for a model that does not come from one

	QSHA256     string   // of the checkpoint that LoadInference read; empty for the q of ERM
	Warnings    []string // of LoadModel: the newer checkpoints that it could not read
	NoPosterior error    // why G uses the prior's batch-norm statistics also for latents of ERM's q; nil: it does not

	dtype      torch.DType
	group      *torch.Group
	average    string            // decay of a further average, as in @0.999; empty for that of ema
	posteriorG *models.Generator // G with the statistics of q's latents; nil before its first use
}

// LoadModel reads the newest checkpoint of the run in dir that can be read. The caller closes the model. The
// first call computes the batch-norm statistics of the averaged G, and keeps this G beside the checkpoint if it
// can write there. Later calls read it.
func LoadModel(dir string, device torch.Device) (*Model, error) {
	return LoadCheckpoint(dir, lastCheckpoint, device, true)
}

// LoadScorer is LoadModel without G and q, for [Model.Scores] and other uses of E and h.
func LoadScorer(dir string, device torch.Device) (*Model, error) {
	return LoadCheckpoint(dir, lastCheckpoint, device, false)
}

// LoadCheckpoint loads a chosen checkpoint of the run in dir. If generates is true it loads all that LoadModel loads, else all
// that LoadScorer loads. which is "best" (the smallest distance in training), "last", or a step such as "5000". To use another
// average of the weights, append @ and one of the decays in the config's emas, as in "best@0.999". The Config of the model then
// has this decay as its EMA.
func LoadCheckpoint(dir, which string, device torch.Device, generates bool) (m *Model, err error) {
	cfg, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	which, decay, err := cfg.chooseAverage(which)
	if err != nil {
		return nil, err
	}
	run, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	skipped, err := run.read(which, func(from savedCheckpoint) error {
		m = &Model{Config: cfg, Folder: dir}
		err := m.load(run, from, decay, device, generates)
		m.Config = cfg.withAverage(decay)
		if err != nil {
			m.Close()
		}
		return err
	})
	if errors.Is(err, ErrNoCheckpoint) {
		return nil, fmt.Errorf("%s has no checkpoint yet: wait until training reaches the first one", dir)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range skipped {
		m.Warnings = append(m.Warnings, s.Error())
	}
	return m, nil
}

// load reads E and h. If the model generates, it reads G and q too. E and G are the averages with that decay.
func (m *Model) load(run *runDir, from savedCheckpoint, decay float64, device torch.Device, generates bool) (err error) {
	cfg := m.Config
	average := cfg.ofDecay(decay)
	file, err := os.ReadFile(from.Path) // once: training may replace the best checkpoint meanwhile
	if err != nil {
		return err
	}
	m.average, m.SHA256 = average, fmt.Sprintf("%x%s", sha256.Sum256(file), average)
	var errs [4]error
	m.dtype, errs[0] = cfg.dtype()
	m.E, errs[1] = models.NewEnergy(cfg.Energy, 0)
	if m.H, errs[2] = cfg.loadEncoder(run.Path(encoderFile), nil); errs[2] != nil {
		errs[2] = fmt.Errorf("read the encoder: %w", errs[2])
	}
	if generates && cfg.Target == ERM {
		m.Q, errs[3] = models.NewInference(cfg.Inference, 0)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	parts := []part{{name: "energy_ema" + average, net: m.E}, {name: "inference", net: m.Q}}
	if cfg.Encoder == Joint {
		parts = append(parts, part{name: "encoder", net: m.H})
	}
	kept, fresh := run.Path(generatorFile(from.Step, average)), false
	if generates {
		if m.G, err = models.NewGenerator(cfg.Generator, cfg.Data.Range, 0); err != nil {
			return err
		}
		if !m.readGenerator(m.G, kept) {
			parts, fresh = append(parts, part{name: "generator_ema" + average, net: m.G}), from.Step > 0
		}
	}
	if m.Step, err = parseCheckpoint(from.Path, file, trainerFormat, parts, anyMeta); err != nil {
		return err
	}
	err = torch.Do(func() error {
		m.place(device)
		if fresh {
			torch.NoGrad(func() { cfg.recalibrate(m.G) })
		}
		return nil
	})
	if err == nil && fresh {
		// The folder may be read-only. Then the next call computes them again.
		_ = m.keepGenerator(m.G, kept)
	}
	return err
}

// readGenerator reads the g that keepGenerator wrote, and reports whether it belongs to the checkpoint.
func (m *Model) readGenerator(g *models.Generator, path string) bool {
	tensors, meta, err := readSealed(path)
	defer closeAll(tensors)
	return err == nil && meta[checkpointKey] == m.SHA256 && nn.Load(g, "", tensors) == nil
}

// keepGenerator writes g, so that later calls need not compute its batch-norm statistics again.
func (m *Model) keepGenerator(g *models.Generator, path string) error {
	return writeNetwork(path, kindG, nn.Entries("", g), g.Config, map[string]string{checkpointKey: m.SHA256})
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
		m.place(device)
		return nil
	})
	if err == nil {
		m.SHA256, err = data.FileSHA256(path)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// NeedsEncoder reports whether anything in the training reads h.
func (c Config) NeedsEncoder() bool {
	return c.Energy.Posterior != models.NoLatent || (c.Target == ERM && c.Rho > 0)
}

// FixedEncoder returns an encoder that does not learn in a training with c, so that distances can be measured on its features. It
// is h or, if h learns together with E, the h that training starts from. path is the file of h that is given to training, or the
// file in the run's folder. If path is empty, an h that learns together with E is untrained, and images, the training images, give
// its mean and deviation. If the config reads no encoder, FixedEncoder returns an untrained one, which is the same for all runs of
// an architecture. The caller closes it with nn.Close.
func (c Config) FixedEncoder(path string, images *data.Set) (*models.Encoder, error) {
	if !c.NeedsEncoder() {
		return models.NewEncoder(EncoderFor(c), c.Data.Range, 0)
	}
	return c.loadEncoder(path, images)
}

// loadEncoder reads h. If h learns together with E and path is empty, it makes an untrained one, which is normalised by the moments
// of images. The file of h keeps them, so that a resumed run has the same. It returns nil if the config reads none. An h that does not
// fit the config is an error.
func (c Config) loadEncoder(path string, images *data.Set) (*models.Encoder, error) {
	if !c.NeedsEncoder() {
		return nil, nil
	}
	if c.Encoder == Joint && path == "" {
		h := EncoderFor(c)
		if images != nil {
			h.Mean, h.Std = images.Moments()
		}
		return models.NewEncoder(h, c.Data.Range, c.Seed)
	}
	if path == "" {
		return nil, fmt.Errorf("no file is given, and target=%s with energy.posterior=%s needs one: pretrain an encoder: %w", c.Target, c.Energy.Posterior, os.ErrNotExist)
	}
	h, err := LoadEncoder(path, c.Data.Range)
	if err == nil {
		err = c.checkEncoder(h)
	}
	if err != nil {
		nn.Close(h)
		return nil, err
	}
	return h, nil
}

// G's batch-norm statistics of the averaged weights are computed from this many latents, in batches of
// [Config.samplesAtOnce]. The average of the statistics lags behind these weights. Before the first step the
// statistics stay as they are, so those of an imported model do too.
const recalibration = 10_000

// recalibrate computes the batch-norm statistics of g from latents of the prior. It needs an open scope.
func (c Config) recalibrate(g *models.Generator) {
	rng := torch.NewRNG(c.Seed, 0, "recalibrate")
	batch := c.samplesAtOnce()
	g.Recalibrate(recalibration/batch, func(int) torch.Tensor { return rng.Normal(batch, g.Config.LatentDim) })
}

// sampleBatch is [Config.samplesAtOnce] for images of 32×32 pixels.
const sampleBatch = 250

// samplesAtOnce is how many images G draws at once during training. It is smaller for larger images, since they have larger activations.
func (c Config) samplesAtOnce() int { return max(16, sampleBatch*32*32/(c.Data.Size*c.Data.Size)) }

func (m *Model) networks() []any { return []any{m.E, m.G, m.H, m.Q} }

// place moves the networks to a device and makes their weights constants. It needs an open scope.
func (m *Model) place(device torch.Device) {
	for _, net := range m.networks() {
		nn.To(net, device, torch.Float32)
		nn.Freeze(net)
		if all := nn.Params(net); len(all) > 0 {
			m.Device = all[0].Device()
		}
	}
}

// Share lets the processes of a group share [Model.Sample] and [Model.Scores]. Every process calls it with its own copy of the
// model. It returns an error in all of them if their checkpoints or kinds of device differ.
func (m *Model) Share(g *torch.Group) error {
	m.group = g
	return g.Alike([]string{"SHA-256 of the checkpoint=" + m.SHA256, "device=" + torch.Device{Type: m.Device.Type}.String()})
}

// Close frees the model.
func (m *Model) Close() {
	for _, net := range append(m.networks(), m.posteriorG) {
		nn.Close(net)
	}
}
