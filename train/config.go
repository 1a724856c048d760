package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/optim"
)

// DataConfig says what a run trains on.
type DataConfig struct {
	Name  string       `yaml:"name"`  // fmnist, mnist, cifar10, cifar100, or any name for the data at path
	Path  string       `yaml:"path"`  // file or folder; empty: where the named data set is usually installed
	Size  int          `yaml:"size"`  // pixels; 28 is padded to 32 with zeros
	Range models.Range `yaml:"range"` // that pixels are scaled to (Table 12)
}

// OptimConfig is one network's Adam and its learning rate.
type OptimConfig struct {
	LR                float64 `yaml:"lr"` // learning rate before the schedule (Table 12)
	optim.AdamOptions `yaml:",inline"`
}

// Schedule is the learning rates' factor: 1 until hold of the run, then linearly down to floor.
type Schedule struct {
	Hold  float64 `yaml:"hold"`  // fraction of the steps; 1: constant, as in the paper
	Floor float64 `yaml:"floor"` // factor at the last step
}

// Factor is the schedule's value at a step of total.
func (s Schedule) Factor(step, total int) float64 {
	return optim.Linear(step, total, s.Hold, s.Floor)
}

// Config is everything that a training run depends on, apart from the encoder's weights. Presets
// fill every field; a YAML file and --set change some.
type Config struct {
	Preset      string                 `yaml:"preset"` // the preset that filled the rest
	Seed        uint64                 `yaml:"seed"`   // of weights, data order, noise
	Data        DataConfig             `yaml:"data"`
	Energy      models.EnergyConfig    `yaml:"energy"`
	Generator   models.GeneratorConfig `yaml:"generator"`
	Inference   models.InferenceConfig `yaml:"inference"`   // q; unused by em and ejm, but for liebm train-q
	Views       data.Augment           `yaml:"views"`       // V of Sec. 3.1
	Target      string                 `yaml:"target"`      // of G: em, chains on E(x) (Eq. 9); ejm, on E(x,h(x)) (Eq. 10); erm, em and the data (Eq. 11)
	EMAfter     int                    `yaml:"em_after"`    // step at which ejm goes over to em; 0: never
	Encoder     string                 `yaml:"encoder"`     // h: pretrained (frozen), or joint (learns along, as in CLEL)
	Temperature float64                `yaml:"temperature"` // τ of the joint encoder's NT-Xent; 0.5
	Chain       mcmc.Langevin          `yaml:"chain"`
	ReplaceProb float64                `yaml:"replace_prob"` // p, chance that a negative sample starts as a view of itself; 0.1
	Tau2        float64                `yaml:"tau2"`         // τ², variance of p_g(x|m) (Eq. 8); ½
	Omega1      float64                `yaml:"omega1"`       // ω₁, weight of Eq. 8 (Table 12); 0 with erm: a VAE
	Omega2      float64                `yaml:"omega2"`       // ω₂, weight of Eq. 14 in erm (Table 12)
	Rho         float64                `yaml:"rho"`          // ρ of Eq. 13; 1, and 50 on CelebA-HQ (Table 12)
	Batch       int                    `yaml:"batch"`        // images per step; 256 (Table 12)
	Steps       int                    `yaml:"steps"`        // of Algorithm 1
	OptE        OptimConfig            `yaml:"opt_e"`
	OptG        OptimConfig            `yaml:"opt_g"`
	OptQ        OptimConfig            `yaml:"opt_q"` // of erm and of liebm train-q
	OptH        OptimConfig            `yaml:"opt_h"` // of a joint encoder
	Schedule    Schedule               `yaml:"schedule"`
	EMA         float64                `yaml:"ema"`       // decay of the averaged weights, warmed up; 0.9999 (Sec. 4)
	Precision   string                 `yaml:"precision"` // of the chains' convolutions: float32 or bfloat16
	Log         LogConfig              `yaml:"log"`
}

// LogConfig says how often a run records itself, in steps.
type LogConfig struct {
	Metrics    int `yaml:"metrics"`    // a line of metrics.jsonl
	Samples    int `yaml:"samples"`    // a grid of samples
	Checkpoint int `yaml:"checkpoint"` // a checkpoint
	Keep       int `yaml:"keep"`       // how many checkpoints stay
}

// The choices of Config.Target.
const (
	EM  = "em"
	EJM = "ejm"
	ERM = "erm"
)

// The choices of Config.Encoder.
const (
	Pretrained = "pretrained"
	Joint      = "joint"
)

// Validate refuses settings that contradict each other, naming all of them.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	c.shapes(bad)
	bad(c.Batch < 2, "batch is %d: batch norm needs at least 2 images", c.Batch)
	bad(c.Steps < 1, "steps is %d: give at least 1", c.Steps)
	bad(!(c.ReplaceProb >= 0 && c.ReplaceProb <= 1), "replace_prob is %v: give a probability", c.ReplaceProb)
	bad(!(c.EMA >= 0 && c.EMA < 1), "ema is %v: give a decay of at least 0 and below 1", c.EMA)
	bad(!positive(c.Tau2), "tau2 is %v: give a variance above 0", c.Tau2)
	// With target=erm, ω₁ = 0 leaves G and q a VAE, which Table 11 compares with.
	bad(!positive(c.Omega1) && !(c.Omega1 == 0 && c.Target == ERM), "omega1 is %v: give a weight above 0, such as 1", c.Omega1)
	if frozen := c.Energy.LinearF && c.OptE.LR == 0; frozen {
		bad(frozen, "energy.linear_f=true learns F, and opt_e.lr=0 freezes it: --set opt_e.lr=1e-4, or energy.linear_f=false")
	} else {
		c.OptE.check("opt_e", bad)
	}
	c.OptG.check("opt_g", bad)
	bad(!(c.Schedule.Hold >= 0 && c.Schedule.Hold <= 1) || !(c.Schedule.Floor >= 0) || math.IsInf(c.Schedule.Floor, 0), "schedule is hold %v, floor %v: give a fraction and a factor", c.Schedule.Hold, c.Schedule.Floor)
	c.Log.check(bad)
	c.variant(bad)
	for _, err := range []error{c.Energy.Validate(), c.Views.Validate(), c.Chain.Validate()} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if _, err := c.dtype(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// shapes refuses networks that do not fit the images, or each other.
func (c Config) shapes(bad func(wrong bool, format string, args ...any)) {
	size := c.Generator.Size()
	bad(len(c.Generator.Widths) < 2 || size != c.Data.Size, "generator.widths %v makes %d×%d images, data.size is %d: give one width for 4×4 and one per doubling", c.Generator.Widths, size, size, c.Data.Size)
	bad(c.Generator.Channels != c.Energy.Channels, "generator.channels is %d, energy.channels %d", c.Generator.Channels, c.Energy.Channels)
	smallest := c.Data.Size
	for _, down := range c.Energy.Downs {
		if down {
			smallest /= 2
		}
	}
	bad(smallest < 1, "energy.downs halve %d×%d images to nothing: leave some true out", c.Data.Size, c.Data.Size)
	checkRange(c.Data.Range, bad)
}

func checkRange(r models.Range, bad func(wrong bool, format string, args ...any)) {
	bad(!(r.Low < r.High) || math.IsInf(r.High-r.Low, 0), "data.range is [%v, %v]: give [0, 1] or [-1, 1]", r.Low, r.High)
}

// check refuses an optimiser that would not move its network, or by numbers that are none.
func (o OptimConfig) check(name string, bad func(wrong bool, format string, args ...any)) {
	bad(!positive(o.LR), "%s.lr is %v: give a learning rate above 0, such as 1e-4", name, o.LR)
	bad(!(o.Beta1 >= 0 && o.Beta1 < 1) || !(o.Beta2 >= 0 && o.Beta2 < 1), "%s.beta1 is %v and beta2 %v: give decays of at least 0 and below 1", name, o.Beta1, o.Beta2)
	bad(!positive(o.Eps), "%s.eps is %v: give a number above 0, such as 1e-8", name, o.Eps)
	bad(!(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0) || !(o.Clip >= 0), "%s.weight_decay is %v and clip %v: give 0 or more", name, o.WeightDecay, o.Clip)
}

func (l LogConfig) check(bad func(wrong bool, format string, args ...any)) {
	bad(l.Metrics < 1 || l.Samples < 1 || l.Checkpoint < 1 || l.Keep < 1, "log: every interval and keep must be at least 1, got %+v", l)
}

// positive reports whether v is a number above 0.
func positive(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

// Warnings names settings that are legal but known to fail.
func (c Config) Warnings() []string {
	r := c.Data.Range
	if c.Energy.Posterior != models.CEBM && !c.Energy.LinearF && !c.Energy.Bias && r.Low <= 0 && r.High >= 0 {
		return []string{"F = −½‖f‖² without biases makes the all-zero image a global maximum of the energy, and 0 lies in the range: " +
			"on data with a dark or grey background such runs collapse to it; set energy.bias=true"}
	}
	return nil
}

// chain is Chain in the range of the data.
func (c Config) chain() mcmc.Langevin {
	l := c.Chain
	l.Low, l.High = c.Data.Range.Low, c.Data.Range.High
	return l
}

func (c Config) dtype() (torch.DType, error) {
	switch c.Precision {
	case "float32":
		return torch.Float32, nil
	case "bfloat16":
		return torch.BFloat16, nil
	}
	return 0, fmt.Errorf("precision is %q: give float32 or bfloat16", c.Precision)
}
