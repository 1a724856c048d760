package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// SSLConfig is everything that pretraining an encoder depends on.
type SSLConfig struct {
	Preset      string               `yaml:"preset"` // the preset that filled the rest
	Seed        uint64               `yaml:"seed"`   // of weights, data order, views
	Data        DataConfig           `yaml:"data"`
	Encoder     models.EncoderConfig `yaml:"encoder"`
	Views       data.Augment         `yaml:"views"`       // V; both views of a pair are drawn from it
	Temperature float64              `yaml:"temperature"` // τ of NT-Xent: 0.5
	Batch       int                  `yaml:"batch"`       // pairs per step; 512
	Steps       int                  `yaml:"steps"`
	Optim       OptimConfig          `yaml:"optim"`   // Adam 1e-3, weight decay 1e-6
	WarmUp      int                  `yaml:"warm_up"` // steps of linear warm-up; 500
	Drops       []int                `yaml:"drops"`   // steps before the end at which the rate falls to a fifth: 50 and 25 epochs
	Log         LogConfig            `yaml:"log"`
}

var sslPresets = map[string]func() SSLConfig{
	"fmnist-simclr":      fashionSimCLR,
	"cifar10-simclr":     func() SSLConfig { return simCLR(CIFAR10(), 97, 1000) },
	"imagenet32-simclr":  func() SSLConfig { return simCLR(ImageNet32(), 2502, 100) },
	"celeba64-simclr":    func() SSLConfig { return simCLR(CelebA64(), 317, 200) },
	"celebahq256-simclr": func() SSLConfig { return simCLR(CelebAHQ256(), 58, 500) },
}

// SSLPresets lists the names that SSLPreset knows.
func SSLPresets() []string { return slices.Sorted(maps.Keys(sslPresets)) }

// SSLPreset returns a complete pretraining config by name.
func SSLPreset(name string) (SSLConfig, error) {
	make, ok := sslPresets[name]
	if !ok {
		return SSLConfig{}, unknownPreset(name, SSLPresets())
	}
	return make(), nil
}

// simCLR is W-MSE's SimCLR setting for the data of an energy's config, with batches of 512 and so
// many batches an epoch.
func simCLR(c Config, perEpoch, epochs int) SSLConfig {
	return SSLConfig{
		Preset: c.Data.Name + "-simclr", Seed: 1, Data: c.Data, Encoder: EncoderFor(c), Views: c.Views, Temperature: 0.5,
		Batch: 512, Steps: perEpoch * epochs, WarmUp: 500, Drops: []int{50 * perEpoch, 25 * perEpoch},
		Optim: OptimConfig{LR: 1e-3, AdamOptions: optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-6}},
		Log:   LogConfig{Metrics: 50, Samples: 1000, Checkpoint: 1000, Keep: 2},
	}
}

// fashionSimCLR is a short schedule, for minutes on two CPU cores.
func fashionSimCLR() SSLConfig {
	c := simCLR(FashionMNIST(), 117, 1)
	c.Batch, c.Steps, c.WarmUp, c.Drops = 128, 400, 50, []int{100, 50}
	c.Log.Metrics, c.Log.Checkpoint = 20, 200
	return c
}

// Validate refuses settings that contradict each other.
func (c SSLConfig) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Batch < 2, "batch is %d: a contrast needs at least 2 images", c.Batch)
	bad(c.Steps < 1, "steps is %d: give at least 1", c.Steps)
	bad(!(c.Temperature > 0), "temperature is %v: give one above 0, such as 0.5", c.Temperature)
	bad(!(c.Optim.LR > 0), "optim.lr is %v: give a learning rate above 0", c.Optim.LR)
	bad(!(c.Data.Range.Low < c.Data.Range.High), "data.range is [%v, %v]: give [0, 1] or [-1, 1]", c.Data.Range.Low, c.Data.Range.High)
	bad(c.Log.Metrics < 1 || c.Log.Samples < 1 || c.Log.Checkpoint < 1 || c.Log.Keep < 1, "log: every interval and keep must be at least 1, got %+v", c.Log)
	return errors.Join(errs...)
}

func (c SSLConfig) rate(step int) float64 {
	var at []int
	for _, d := range c.Drops {
		at = append(at, c.Steps-d)
	}
	return c.Optim.LR * optim.WarmUp(step, c.WarmUp) * optim.Drops(step, 0.2, at...)
}

// ssl is the state of pretraining.
type ssl struct {
	H  *models.Encoder
	BN *nn.BatchNorm // on h's output, during pretraining only

	cfg    SSLConfig
	device torch.Device
	opt    *optim.Adam
	step   int
}

func newSSL(cfg SSLConfig, device torch.Device) (*ssl, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h, err := models.NewEncoder(cfg.Encoder, cfg.Data.Range, cfg.Seed)
	if err != nil {
		return nil, err
	}
	s := &ssl{H: h, cfg: cfg, device: device}
	return s, torch.Do(func() error {
		s.BN = nn.NewBatchNorm(cfg.Encoder.LatentDim)
		nn.Init(s.BN, torch.NewRNG(cfg.Seed, 0, "output bn"))
		nn.To(s, device, torch.Float32)
		s.opt = optim.NewAdam(nn.Params(s), cfg.Optim.AdamOptions)
		return nil
	})
}

func (s *ssl) close() {
	nn.Close(s)
	s.opt.Close()
}

// Step is one update of SimCLR on x: [n,c,h,w] in [0,1].
func (s *ssl) Step(x torch.Tensor) (loss float64, err error) {
	rng := torch.NewRNG(s.cfg.Seed, s.step, "pretrain")
	err = torch.Do(func() error {
		x = x.ToDevice(s.device)
		views := torch.Cat([]torch.Tensor{s.cfg.Views.Apply(x, rng.Fork("first")), s.cfg.Views.Apply(x, rng.Fork("second"))}, 0)
		out := s.BN.Forward(s.H.Forward(s.cfg.Data.Range.FromUnit(views), nn.Train), nn.Train)
		l := NTXent(out, s.cfg.Temperature)
		s.opt.Step(l, s.cfg.rate(s.step))
		loss = l.Item()
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return &Diverged{s.step, "loss", loss}
		}
		return nil
	})
	s.step++
	return loss, err
}

// NTXent is the loss of SimCLR (Chen et al. 2020, Eq. 1), the mean over both directions: each of
// 2n views should find the other view of its image among the 2n−1 others, by cosine over τ.
// out: [2n,d], first all first views, then all second ones.
func NTXent(out torch.Tensor, tau float64) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		n := out.Size(0) / 2
		z := out.Normalize()
		logits := z.Matmul(z.T()).DivScalar(tau)
		self := torch.Eye(2*n, torch.Bool).ToDevice(out.Device())
		logits = torch.Where(self, torch.Scalar(-1e9).To(logits.DType()).ToDevice(out.Device()), logits)
		i := torch.Arange(n)
		partner := torch.Cat([]torch.Tensor{i.AddScalar(float64(n)).To(torch.Int64), i}, 0).ToDevice(out.Device())
		return logits.CrossEntropy(partner)
	})
}

func (s *ssl) save(w io.Writer) error {
	all := append(nn.Entries("encoder.", s.H), nn.Entries("output_bn.", s.BN)...)
	all = append(all, s.opt.Entries("opt.")...)
	if err := finite(all); err != nil {
		return fmt.Errorf("step %d: not saved: %w", s.step, err)
	}
	return torch.WriteSafetensors(w, all, map[string]string{"step": strconv.Itoa(s.step), "format": "liebm-pretrain"})
}

func (s *ssl) load(path string) error {
	tensors, meta, err := torch.ReadSafetensors(path)
	if err != nil {
		return err
	}
	defer closeAll(tensors)
	if s.step, err = strconv.Atoi(meta["step"]); err != nil {
		return fmt.Errorf("%s: no step in its metadata: not a checkpoint of liebm pretrain", path)
	}
	for prefix, module := range map[string]any{"encoder.": s.H, "output_bn.": s.BN} {
		if err := nn.Load(module, prefix, tensors); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return s.opt.Load("opt.", tensors, s.step)
}

// Pretrain trains an encoder by SimCLR on set, in a run folder, and leaves it there as
// encoder.safetensors. Resuming and cancelling are as in [Run].
func Pretrain(ctx context.Context, cfg SSLConfig, set *data.Set, o Options) (err error) {
	run, err := CreateRun(o.Out, o.Resume)
	if err != nil {
		return err
	}
	defer closing(run, &err)
	s, err := newSSL(cfg, o.Device)
	if err != nil {
		return err
	}
	defer s.close()
	if o.Resume {
		if err := resume(run, s.load, o); err != nil {
			return err
		}
	}
	if err := writeInfo(run, s.step, cfg.Seed, set, o); err != nil {
		return err
	}
	if err := writeConfig(run, cfg); err != nil {
		return err
	}
	run.Keep = cfg.Log.Keep
	batches := newBatches(set, cfg.Seed, cfg.Batch, nil)
	l := loop{
		run: run, log: cfg.Log, start: s.step, steps: func() int { return cfg.Steps }, watch: o.Watch, save: s.save,
		step: func(i int) (m []Metric, err error) {
			err = torch.Do(func() error {
				loss, err := s.Step(batches.at(i))
				m = []Metric{{"loss", loss}}
				return err
			})
			return m, err
		},
	}
	if err := torch.Do(func() error { return l.drive(ctx) }); err != nil {
		return err
	}
	if err := saveEncoder(run.Path(encoderFile), s.H); err != nil {
		return err
	}
	return finished(run)
}

// ReadSSLConfig reads the config of the pretraining run in dir.
func ReadSSLConfig(dir string) (cfg SSLConfig, err error) {
	run, err := OpenRun(dir)
	if err != nil {
		return cfg, err
	}
	text, err := run.Config()
	if err != nil {
		return cfg, err
	}
	if err := decodeYAML(text, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", run.Path(configFile), err)
	}
	return cfg, cfg.Validate()
}

// ReadConfig reads the config of the training run in dir.
func ReadConfig(dir string) (Config, error) {
	run, err := OpenRun(dir)
	if err != nil {
		return Config{}, err
	}
	return readConfig(run)
}
