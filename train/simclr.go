package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// SSLConfig is everything that pretraining an encoder depends on.
type SSLConfig struct {
	Preset      string               `yaml:"preset"` // the preset that the config started from
	Seed        uint64               `yaml:"seed"`   // seed of weights, data order and views
	Data        DataConfig           `yaml:"data"`
	Encoder     models.EncoderConfig `yaml:"encoder"`
	Views       data.Augment         `yaml:"views"`                   // V, the distribution of both views of a pair
	Target      string               `yaml:"target"`                  // the loss: simclr, byol or wmse (Table 10)
	Temperature float64              `yaml:"temperature"`             // for simclr: τ of NT-Xent; usually 0.5
	Tau         float64              `yaml:"tau"`                     // for byol: τ, decay of the averaged encoder whose outputs are predicted; τ has this value at the first step and rises to 1; usually 0.99
	Whiten      int                  `yaml:"whiten"`                  // for wmse: number of images in each sub-batch that is whitened; usually 128
	Batch       int                  `yaml:"batch" min:"2"`           // pairs of views per step. liebm makes two views of an image. For two views W-MSE's code has batches of 512, for four views 256
	Steps       int                  `yaml:"steps" min:"1" max:"1e9"` // training steps
	Optim       OptimConfig          `yaml:"optim"`                   // Adam 3e-3, weight decay 1e-6, as W-MSE's README has them for CIFAR
	WarmUp      int                  `yaml:"warm_up" max:"1e9"`       // steps in which the learning rate rises linearly; the code of W-MSE has 500
	Drops       []int                `yaml:"drops" max:"1e9"`         // numbers of steps before the end at which the learning rate is multiplied by 0.2; the code of W-MSE has 50 and 25 epochs
	TF32        bool                 `yaml:"tf32"`                    // on a GPU, training steps round the inputs of matrix products and convolutions to TF32, which is faster and less exact
	Log         LogConfig            `yaml:"log"`
}

// The choices of SSLConfig.Target.
const (
	SimCLR = "simclr"
	BYOL   = "byol"
	WMSE   = "wmse"
)

// SSLPresets lists the names that SSLPreset knows: data set, hyphen, target.
func SSLPresets() (names []string) {
	for set := range presets {
		names = append(names, set+"-"+SimCLR, set+"-"+BYOL, set+"-"+WMSE)
	}
	slices.Sort(names)
	return names
}

// SSLPreset returns a complete pretraining config by name.
func SSLPreset(name string) (SSLConfig, error) {
	if !slices.Contains(SSLPresets(), name) {
		return SSLConfig{}, unknownPreset(name, SSLPresets(), Presets(), "training")
	}
	set, target, _ := strings.Cut(name, "-")
	p := presets[set]
	if p.epochs > 0 {
		return sslFor(p.config(), target, p.epochs), nil
	}
	c := quickSSL(p.config(), target)
	if p.pretrain != nil {
		p.pretrain(&c)
	}
	return c, nil
}

// EncoderPreset returns the preset that pretrains an encoder by target on the data of a training config: for
// cifar10-em and simclr it is cifar10-simclr.
func EncoderPreset(c Config, target string) string {
	set, _, _ := strings.Cut(c.Preset, "-")
	return set + "-" + target
}

// sslFor is the config of W-MSE's code for a target, on the data of a training config.
func sslFor(c Config, target string, epochs int) SSLConfig {
	const batch = 512
	perEpoch := stepsOf(1, batch, c.Data)
	return SSLConfig{
		Preset: EncoderPreset(c, target), Seed: 1, Data: c.Data, Encoder: EncoderFor(c), Views: c.Views,
		Target: target, Temperature: 0.5, Tau: 0.99, Whiten: 128,
		Batch: batch, Steps: epochs * perEpoch, WarmUp: 500, Drops: []int{50 * perEpoch, 25 * perEpoch},
		Optim: OptimConfig{LR: 3e-3, AdamOptions: optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-6}},
		Log:   LogConfig{Metrics: 50, Samples: 1000, Checkpoint: 1000, Keep: 2},
	}
}

// quickSSL trains in minutes on two CPU cores. A step has a quarter of the paper's pairs, so that it takes a quarter of the time. For
// wmse this is one sub-batch.
func quickSSL(of Config, target string) SSLConfig {
	c := sslFor(of, target, 1)
	c.Batch, c.Steps, c.WarmUp, c.Drops = 128, 800, 100, []int{160, 80}
	c.Log.Metrics, c.Log.Checkpoint = 20, 200
	return c
}

// garments changes the pretraining for Fashion-MNIST. A crop of a fifth of a garment often does not show its class.
func garments(c *SSLConfig) { c.Views.Crop, c.Temperature = [2]float64{0.4, 1}, 0.3 }

// Validate returns an error that names every setting that is invalid or contradicts another one.
func (c SSLConfig) Validate() error {
	if err := config.Bounds(c); err != nil {
		return err
	}
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Target != SimCLR && c.Target != BYOL && c.Target != WMSE, "target is %q: give simclr, byol or wmse", c.Target)
	bad(c.Target == SimCLR && !positive(c.Temperature), "temperature is %v: give one above 0, such as 0.5", c.Temperature)
	bad(c.Target == BYOL && !(c.Tau >= 0 && c.Tau <= 1), "tau is %v: give a decay from 0 to 1, such as 0.99", c.Tau)
	bad(c.Target == WMSE && (c.Whiten <= c.Encoder.LatentDim || c.Batch%c.Whiten != 0),
		"whiten is %d, batch %d and encoder.latent_dim %d: wmse needs sub-batches larger than the latent that divide the batch", c.Whiten, c.Batch, c.Encoder.LatentDim)
	c.Optim.check("optim", bad)
	checkRange(c.Data.Range, bad)
	return errors.Join(append(errs, c.Views.Validate())...)
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
	H    *models.Encoder
	BN   *nn.BatchNorm // of SimCLR, on h's output, during pretraining only
	BYOL *byol         // of BYOL

	cfg    SSLConfig
	device torch.Device
	opt    *optim.Adam
	step   int
	group  *torch.Group // nil: this process trains alone
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
	if cfg.Target == BYOL {
		if s.BYOL, err = newBYOL(cfg); err != nil {
			return nil, err
		}
	}
	return s, torch.Do(func() error {
		if cfg.Target == SimCLR {
			s.BN = nn.NewBatchNorm(cfg.Encoder.LatentDim)
			nn.Init(s.BN, torch.NewRNG(cfg.Seed, 0, "output bn"))
		}
		nn.To(s, device, torch.Float32)
		params := append(nn.Params(s.H), nn.Params(s.BN)...)
		if s.BYOL != nil {
			nn.Freeze(s.BYOL.Target) // after nn.To, which makes parameters that learn
			params = append(params, s.BYOL.predictor()...)
		}
		s.opt = optim.NewAdam(params, cfg.Optim.AdamOptions)
		return nil
	})
}

func (s *ssl) close() {
	for _, p := range s.parts() {
		p.close()
	}
}

// Step is one update on x: [n,c,h,w] in [0,1]. In a group x is this process's share of the batch. If a peer is lost,
// rank 0 has the state before the step.
func (s *ssl) Step(x torch.Tensor) (loss []Metric, err error) {
	torch.AllowTF32(s.cfg.TF32)
	defer torch.AllowTF32(false)
	err = torch.Do(func() (err error) {
		undo := undo(s.group, s.step, func() ([]torch.Entry, []*optim.Adam) { return buffers(s), nil })
		loss, err = s.update(x)
		return undo(err)
	})
	if !errors.Is(err, torch.ErrPeerLost) {
		s.step++
	}
	return loss, err
}

func (s *ssl) update(x torch.Tensor) (loss []Metric, err error) {
	rng := torch.NewRNG(s.cfg.Seed, s.step, "pretrain").Share(s.group.Rank(), s.group.World())
	err = torch.Do(func() error {
		x = x.ToDevice(s.device)
		views := torch.Cat([]torch.Tensor{s.cfg.Views.Apply(x, rng.Fork("first")), s.cfg.Views.Apply(x, rng.Fork("second"))}, 0)
		l := s.loss(s.cfg.Data.Range.FromUnit(views), rng)
		mean := meanOver(s.group, l)
		s.opt.Step(l, s.cfg.rate(s.step)) // the last operation that a lost peer can stop
		if s.BYOL != nil {
			optim.UpdateEMA(s.BYOL.Target, s.H, byolTau(s.cfg.Tau, s.step, s.cfg.Steps))
		}
		loss, err = oneLoss(s.step+1, "loss", mean)
		return err
	})
	return loss, err
}

// perView applies f to the first views and to the second views in turn, so that a batch norm sees one view at a
// time, as in W-MSE's code. views: [2n,…] → [2n,…].
func perView(views torch.Tensor, f func(view torch.Tensor) torch.Tensor) torch.Tensor {
	v := views.Chunk(2, 0)
	return torch.Cat([]torch.Tensor{f(v[0]), f(v[1])}, 0)
}

// outputsOfViews are the outputs of an encoder that learns, for two views of each image: [2n,c,h,w] → [2n,d_z].
func outputsOfViews(h *models.Encoder, views torch.Tensor) torch.Tensor {
	return perView(views, func(view torch.Tensor) torch.Tensor { return h.Forward(view, nn.Train) })
}

// loss is the loss of the target on two views of each image: [2n,c,h,w] in the range. SimCLR and W-MSE compare all images of
// the batch, so in a group every process computes the loss of the whole batch from the outputs of all. They are small.
func (s *ssl) loss(views torch.Tensor, rng *torch.RNG) torch.Tensor {
	out := outputsOfViews(s.H, views)
	switch s.cfg.Target {
	case BYOL:
		return s.BYOL.loss(views, out)
	case WMSE:
		return WMSELoss(gatheredViews(s.group, out), s.cfg.Whiten, rng.Fork("whiten"))
	}
	return NTXent(gatheredViews(s.group, s.BN.Forward(out, nn.Train)), s.cfg.Temperature)
}

// whitenN is the number of images from which the statistics of W-MSE's whitening are computed.
const whitenN = 4096

// finish appends to h the map between its output and the vector that the loss compared, since z is that vector:
// the last batch norm of SimCLR or the whitening of W-MSE, with fixed statistics. BYOL compares the outputs.
func (s *ssl) finish(set *data.Set) error {
	return torch.Do(func() error {
		switch s.cfg.Target {
		case SimCLR:
			scale, shift := s.BN.Affine()
			s.H.Compose(torch.Eye(scale.Size(0), scale.DType()).ToDevice(s.device).Mul(scale), shift)
		case WMSE:
			inverse, mean := whitening(s.outputs(set.Head(whitenN)))
			s.H.Compose(inverse, mean.Matmul(inverse.T()).Reshape(-1).MulScalar(-1))
		}
		return nil
	})
}

// outputs are the outputs of h for one view of every image of set, in eval mode: [n,d_z].
func (s *ssl) outputs(set *data.Set) torch.Tensor {
	var rows []torch.Tensor
	rng := torch.NewRNG(s.cfg.Seed, s.cfg.Steps, "whitening")
	for start, batch := range set.Batches(sampleBatch) {
		torch.NoGrad(func() {
			rows = append(rows, torch.Tidy(func() torch.Tensor {
				x := s.cfg.Views.Apply(batch.Floats().ToDevice(s.device), rng.Fork(strconv.Itoa(start)))
				return s.H.Forward(s.cfg.Data.Range.FromUnit(x), nn.Eval)
			}))
		})
	}
	return torch.Cat(rows, 0)
}

// NTXent is the loss of SimCLR (its Eq. 1; Chen et al. 2020): a cross-entropy, the mean over all 2n views. The
// logits of a view are its cosines with the 2n−1 other views, divided by τ. The right class is the other view of
// the same image. out: [2n,d], all first views, then all second views.
func NTXent(out torch.Tensor, tau float64) torch.Tensor {
	return NTXentAgainst(out, torch.Tensor{}, tau)
}

// NTXentAgainst is NTXent with k further negatives for every view, as CLEL trains its encoder (Lee et al. 2023).
// extra: [k,d], or none.
func NTXentAgainst(out, extra torch.Tensor, tau float64) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		n := out.Size(0) / 2
		z := out.Normalize()
		logits := z.Matmul(z.T()).DivScalar(tau)
		self := torch.Eye(2*n, torch.Bool).ToDevice(out.Device())
		logits = torch.Where(self, torch.Scalar(-1e9).To(logits.DType()).ToDevice(out.Device()), logits)
		if extra.Defined() {
			logits = torch.Cat([]torch.Tensor{logits, z.Matmul(extra.Normalize().T()).DivScalar(tau)}, 1)
		}
		i := torch.Arange(n)
		partner := torch.Cat([]torch.Tensor{i.AddScalar(float64(n)).To(torch.Int64), i}, 0).ToDevice(out.Device())
		return logits.CrossEntropy(partner)
	})
}

const sslFormat = "liebm-pretrain"

// parts is the table of what a checkpoint holds. One optimiser moves all of it.
func (s *ssl) parts() []part {
	none := new(*optim.Adam)
	return []part{
		{"encoder", s.H, nil, "opt", &s.opt},
		{"output_bn", s.BN, nil, "", none},
		{"byol", s.BYOL, nil, "", none},
	}
}

func (s *ssl) load(path string) (err error) {
	s.step, err = readCheckpoint(path, sslFormat, s.parts(), anyMeta)
	return err
}

// Pretrain trains an encoder by cfg.Target on set, and writes it to the run folder as encoder.safetensors. It
// resumes and stops as [Run] does, also in a group.
func Pretrain(ctx context.Context, cfg SSLConfig, set *data.Set, o Options) (err error) {
	if o.Resume {
		cfg, err = ReadSSLConfig(o.Out)
		cfg.Steps = cmp.Or(o.Steps, cfg.Steps)
	}
	settings := cfg
	settings.Data.Name, settings.Data.Path = "", ""
	run, err := o.start(settings, cfg.Batch, set, "", cmp.Or(o.noMinutes(), err))
	if err != nil {
		return err
	}
	defer closing(run, &err)
	if len(cfg.Encoder.Mean) == 0 && len(cfg.Encoder.Std) == 0 {
		cfg.Encoder.Mean, cfg.Encoder.Std = set.Moments()
	}
	s, err := newSSL(cfg, o.Device)
	if s != nil {
		defer s.close()
	}
	if err := o.Group.Agree(err); err != nil {
		return err
	}
	s.group = o.Group
	l := &loop{cfg: cfg, seed: cfg.Seed, batch: cfg.Batch, flip: cfg.Data.Flip, log: cfg.Log, made: &s.step, steps: &cfg.Steps, step: s.Step,
		format: sslFormat, parts: s.parts(), load: s.load, rule: cfg.rule()}
	if o.Probe != nil {
		l.samples = func(*tensorBoard) ([]Metric, error) { return o.Probe(ctx, s.H) }
	}
	if err := l.run(ctx, run, set, o); err != nil || run == nil {
		return err
	}
	if err := s.finish(set); err != nil {
		return err
	}
	if err := writeNetwork(run.Path(encoderFile), kindH, nn.Entries("", s.H), s.H.Config, nil); err != nil {
		return err
	}
	return run.finish(cfg.Steps, o)
}
