package train

import (
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/optim"
)

// DataConfig names the data of a run.
type DataConfig struct {
	Name      string       `yaml:"name"`               // a known data set, such as fmnist (liebm data list shows all), or any name for the data at path
	Path      string       `yaml:"path"`               // file or folder; empty: where the named data set is usually installed
	Size      int          `yaml:"size" min:"1"`       // height and width in pixels; 28 is padded to 32 with zeros
	Crop      string       `yaml:"crop"`               // region that is cut out of each picture: 148, 140, 128, 178, center or none; empty: 148 for CelebA, and other pictures must be square
	Scale     bool         `yaml:"scale"`              // resize arrays of images that have another size, instead of padding them
	Range     models.Range `yaml:"range"`              // of pixels in the networks (Table 12)
	LeaveOut  []int        `yaml:"leave_out"`          // labels of classes that are left out of training and of its measurements; the images of these classes are the outliers named left-out
	Flip      bool         `yaml:"flip"`               // mirror every training image left-right with probability ½
	HoldOut   float64      `yaml:"hold_out" max:"0.5"` // share of the images that training does not read, if the data have no test or validation images; usually 0.1
	SplitSeed uint64       `yaml:"split_seed"`         // seed for the choice of the held-out images; an encoder and its runs need the same seed
}

// OptimConfig is one network's Adam and its learning rate.
type OptimConfig struct {
	LR                float64 `yaml:"lr"` // learning rate before the schedule (Table 12)
	optim.AdamOptions `yaml:",inline"`
}

// Schedule is a factor of the learning rates: 1 for the first part of the run, then linear down to Floor.
type Schedule struct {
	Hold  float64 `yaml:"hold"`  // share of the steps in which the learning rates stay constant, before they fall linearly; 1: always constant, as in the paper
	Floor float64 `yaml:"floor"` // factor of the learning rates at the last step
}

// Factor is the factor at a step of total steps.
func (s Schedule) Factor(step, total int) float64 {
	return optim.Linear(step, total, s.Hold, s.Floor)
}

// Config is everything that a training run depends on, apart from the encoder's weights. Presets
// fill every field; a YAML file and settings change some.
type Config struct {
	Preset      string                 `yaml:"preset"` // the preset that the config started from
	Seed        uint64                 `yaml:"seed"`   // seed of weights, data order and noise
	Data        DataConfig             `yaml:"data"`
	Energy      models.EnergyConfig    `yaml:"energy"`
	Generator   models.GeneratorConfig `yaml:"generator"`
	Inference   models.InferenceConfig `yaml:"inference"`          // q; read by target erm and by TrainInference
	Views       data.Augment           `yaml:"views"`              // V of Sec. 3.1
	Target      string                 `yaml:"target"`             // what G learns from: em, chains on E(x) (Eq. 9); ejm, chains on E(x,h(x)) (Eq. 10); erm, the chains of em and the data (Eq. 11)
	EMAfter     int                    `yaml:"em_after" max:"1e9"` // step at which ejm becomes em; 0: never
	Encoder     string                 `yaml:"encoder"`            // how h learns: pretrained (before this training, then frozen), or joint (together with E, as in CLEL)
	Temperature float64                `yaml:"temperature"`        // τ of NT-Xent, the loss of a joint encoder; usually 0.5
	Chain       mcmc.Langevin          `yaml:"chain"`
	ReplaceProb float64                `yaml:"replace_prob"`            // p, probability that a negative sample is replaced by a view of itself before its chain; usually 0.1
	Margin      float64                `yaml:"margin"`                  // largest energy gap that E learns from: E ignores a negative sample whose energy is more than this below the energy of its image; 0: no limit, as in the paper
	Tau2        float64                `yaml:"tau2"`                    // τ², variance of p_g(x|m) (Eq. 8); usually 0.5
	Omega1      float64                `yaml:"omega1"`                  // ω₁, weight of Eq. 8 (Table 12); with target erm, 0 makes G and q a VAE
	Omega2      float64                `yaml:"omega2"`                  // ω₂, weight of Eq. 14 with target erm (Table 12)
	Rho         float64                `yaml:"rho"`                     // ρ of Eq. 13; the paper has 1, and 50 on CelebA-HQ (Table 12)
	RhoQ        float64                `yaml:"rho_q"`                   // ρ of Eq. 26, for liebm train-q; usually 100; 0: the value of rho
	LRQ         float64                `yaml:"lr_q"`                    // learning rate of q in liebm train-q; 0: opt_q.lr. With a high rate q stays at the prior
	ScoreGamma  float64                `yaml:"score_gamma"`             // γ of the score s(x) that finds outliers (Eq. 15); the paper has 0.1, and 1 on CelebA-HQ (Table 12)
	Batch       int                    `yaml:"batch" min:"2"`           // images per step; the paper has 256, and 128 on CelebA-HQ (Table 12)
	Steps       int                    `yaml:"steps" min:"1" max:"1e9"` // training steps of Algorithm 1
	OptE        OptimConfig            `yaml:"opt_e"`
	OptG        OptimConfig            `yaml:"opt_g"`
	OptQ        OptimConfig            `yaml:"opt_q"` // of target erm and of TrainInference
	OptH        OptimConfig            `yaml:"opt_h"` // of a joint encoder
	Schedule    Schedule               `yaml:"schedule"`
	EMA         float64                `yaml:"ema"`       // decay of the averaged weights, which is smaller in the first steps; the paper has 0.9999 (Sec. 4)
	EMAs        []float64              `yaml:"emas"`      // decays of further averages of the weights, each below 1; every checkpoint has all averages; --checkpoint last@0.999 uses the one with decay 0.999
	Precision   string                 `yaml:"precision"` // type of the chains' convolutions: float32 or bfloat16
	TF32        bool                   `yaml:"tf32"`      // on a GPU, training steps round the inputs of matrix products and convolutions to TF32, which is faster and less exact
	// Number of parts of a batch that a step computes one after the other, so that it needs less memory. Up to rounding, the
	// result is the same as with 1. z, both chains and the update of E are split. The updates of G, q and a joint encoder are
	// not split, since batch norm and NT-Xent compare all images of the batch. Pretraining is not split either.
	BatchSplit int       `yaml:"batch_split" min:"1"`
	Log        LogConfig `yaml:"log"`
}

// LogConfig says after how many steps a run records metrics, samples and checkpoints, and how many samples it measures.
type LogConfig struct {
	Metrics    int `yaml:"metrics" min:"1" max:"1e9"`    // steps between two lines of metrics.jsonl
	Samples    int `yaml:"samples" min:"1" max:"1e9"`    // steps between two grids of samples; in pretraining, between two measurements of the accuracy of the encoder
	Measured   int `yaml:"measured"`                     // number of samples for the distance that is measured with each grid; 0: 2000. Pretraining does not use it
	Checkpoint int `yaml:"checkpoint" min:"1" max:"1e9"` // steps between two checkpoints
	Keep       int `yaml:"keep" min:"1" max:"1e9"`       // number of checkpoints to keep, besides the milestones and, in train, the best one
	Milestones int `yaml:"milestones" max:"1e9"`         // steps between two checkpoints that are never deleted; 0: no such checkpoints
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

// Langevin returns c.Chain with the range of the data, to which it clamps.
func (c Config) Langevin() mcmc.Langevin {
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
