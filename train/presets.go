package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch/optim"
)

// preset is the settings for a data set, or for images of a size.
type preset struct {
	config    func() Config    // the complete config, for target em
	published func() Config    // a column of Table 12 with the paper's settings, or nil
	epochs    int              // of pretraining h; 0: h is narrow and trains in minutes on two CPU cores
	pretrain  func(*SSLConfig) // changes the pretraining of h, or nil
	bySize    bool             // for any images of about this size: they are named by --data
}

// presets are columns of Table 12, partly with settings that work better (see balanced), a small one for Fashion-MNIST, and small,
// medium and large for other images. In trials of cifar10-em-published the chains stopped moving within 20 steps: see
// docs/results/presets-published.md.
var presets = map[string]preset{
	"small":       {config: func() Config { return forImages("small", 32) }, bySize: true},
	"medium":      {config: func() Config { return forImages("medium", 64) }, bySize: true},
	"large":       {config: func() Config { return forImages("large", 128) }, bySize: true},
	"fmnist":      {config: FashionMNIST, pretrain: garments},
	"stacked":     {config: StackedFashionMNIST},
	"cifar10":     {config: CIFAR10, published: cifar10, epochs: 1000},
	"imagenet32":  {config: ImageNet32, published: imageNet32, epochs: 100},
	"celeba64":    {config: CelebA64, published: celebA64, epochs: 200},
	"celebahq256": {config: CelebAHQ256, published: celebAHQ256, epochs: 500},
}

// presetOf returns the settings that a preset's name begins with, as cifar10 in cifar10-em. For other names they are empty.
func presetOf(name string) preset {
	set, _, _ := strings.Cut(name, "-")
	return presets[set]
}

// publishedSuffix ends the names of published presets.
const publishedSuffix = "-published"

// Presets lists the names that Preset knows: data set, hyphen, target, as in cifar10-em. Presets whose names end in
// -published, as in cifar10-em-published, have exactly the settings of a column of Table 12.
func Presets() []string {
	var names []string
	for set, p := range presets {
		for _, target := range []string{EM, EJM, ERM} {
			names = append(names, set+"-"+target)
			if p.published != nil {
				names = append(names, set+"-"+target+publishedSuffix)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Preset returns a complete config by name.
func Preset(name string) (Config, error) {
	if !slices.Contains(Presets(), name) {
		return Config{}, unknownPreset(name, Presets(), SSLPresets(), "pretraining")
	}
	base, literal := strings.CutSuffix(name, publishedSuffix)
	set, target, _ := strings.Cut(base, "-")
	column := presets[set].config
	if literal {
		column = presets[set].published
	}
	c := column()
	c.Preset, c.Target = name, target
	return c, nil
}

// unknownPreset is the error for a name that is not known, or that names a preset of another kind.
func unknownPreset(name string, known, others []string, kind string) error {
	if slices.Contains(others, name) {
		return fmt.Errorf("%s is a preset of %s, which this command does not use: use one of %v", name, kind, known)
	}
	return fmt.Errorf("no preset is called %q: %sthere are %v", name, config.Guess(name, known), known)
}

func adam(lr, beta2 float64) OptimConfig {
	return OptimConfig{LR: lr, AdamOptions: optim.AdamOptions{Beta1: 0, Beta2: beta2, Eps: 1e-8}}
}

// limited is adam with limited updates, for E. A single update of 5 to 9 times the usual size made E steep enough to diverge in
// the next step (docs/results/stability-margin-long.md).
func limited(lr, beta2 float64) OptimConfig {
	o := adam(lr, beta2)
	o.MaxUpdate = 1
	return o
}

// jointEncoder is the optimiser of SimCLR pretraining, for an encoder that learns together with E.
func jointEncoder() OptimConfig {
	return OptimConfig{LR: 1e-3, AdamOptions: optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1e-6}}
}

// stepsOf is epochs times the number of whole batches in the training images of a known data set.
func stepsOf(epochs, batch int, d DataConfig) int { return epochs * (d.trainingImages() / batch) }

func (d DataConfig) trainingImages() int {
	known, err := data.Lookup(d.Name)
	if err != nil || len(d.LeaveOut) > 0 {
		return 0 // unknown
	}
	return known.Train
}

// Epochs is the number of times that the config's training reads each image of a known data set. It is 0
// for other data.
func (c Config) Epochs() float64 {
	if n := c.Data.trainingImages(); n > 0 {
		return float64(c.Steps) * float64(c.Batch) / float64(n)
	}
	return 0
}

// CIFAR10 has the networks of Table 12's first column. Other settings differ from the table, so that E and G learn together. They did in
// trials at an eighth of the width: see docs/results/presets-rgb.md.
func CIFAR10() Config { return balanced(cifar10()) }

// ImageNet32 has the networks of Table 12's second column, with the changes of CIFAR10. Its networks are twice as wide as those of
// CIFAR10, so its rates are half as large.
func ImageNet32() Config {
	c := balanced(imageNet32())
	c.OptE.LR, c.OptG.LR = c.OptE.LR/2, c.OptG.LR/2
	return c
}

// CelebA64 has the networks of Table 12's third column, a quadratic F, and the changes of CIFAR10.
func CelebA64() Config { return balanced(celebA64()) }

// CelebAHQ256 has the networks of Table 12's fourth column, a quadratic F, and the changes of CIFAR10. One trial of 100 steps does
// not show whether it learns.
func CelebAHQ256() Config { return balanced(celebAHQ256()) }

// balanced changes a column of Table 12 so that E and G learn together. docs/results/presets-rgb.md has trials of these settings at
// an eighth of the width, stability-rgb.md and stability-celeba.md have trials of others.
//
// Without biases F = −½‖f‖² has its maximum at the zero image, whatever the weights, so E needs biases, and a range in which
// 0 is no background. With Table 12's rates G learns faster than E, and the gradients of E become too small. With a faster E
// a run diverged if it had no margin, and its energy gap grew and grew if its chains were not clipped. T·δ² is 120 at 32×32; Table 12
// has 375. The rates are those of the trials, divided by
// eight. A linear F has no upper bound: in a trial negative samples climbed above the data. The loss of G has a weight of 1, as in
// the trials.
func balanced(c Config) Config {
	c.Energy.Bias, c.Energy.SpectralNorm, c.Energy.LinearF, c.Data.Range = true, false, false, models.Range{Low: -1, High: 1}
	c.Chain.Delta2 = delta2(8, c.Data.Size)
	c.Chain.Clip, c.Chain.Clamp, c.Margin = 0.007, mcmc.ClampStep, 1
	c.Omega1, c.Omega2 = 1, c.Omega2/c.Omega1 // ERM's ratio is that of the column
	c.OptE, c.OptG = limited(1e-4, 0.99), adam(5e-5, 0.9)
	return c
}

// cifar10 is Table 12's first column: 500 epochs of 195 batches.
func cifar10() Config {
	c := Config{
		Preset: "cifar10-em", Seed: 1,
		Data: DataConfig{Name: "cifar10", Size: 32, Range: models.Range{Low: 0, High: 1}, HoldOut: 0.1},
		Energy: models.EnergyConfig{Channels: 3, Widths: []int{256, 256, 256, 256}, Downs: []bool{true, true, false, false},
			FeatureDim: 512, HeadDim: 1024, LatentDim: 64, SpectralNorm: true, Gamma: 0.01, Posterior: models.Cosine},
		Generator: models.GeneratorConfig{Channels: 3, LatentDim: 128, Widths: []int{256, 256, 256, 256}},
		Inference: models.InferenceConfig{Channels: 3, Stem: 128, Widths: []int{256, 512, 1024}, LatentDim: 128},
		Views:     data.SimCLRViews(), Target: EM, Encoder: Pretrained, Temperature: 0.5,
		Chain:       mcmc.Langevin{Steps: 15, Delta2: 25, Sigma: 1e-3, Clamp: mcmc.ClampEnd},
		ReplaceProb: 0.1, Tau2: 0.5, Omega1: 1, Omega2: 0.1, Rho: 1, RhoQ: 100, ScoreGamma: 0.1, Batch: 256, BatchSplit: 1,
		OptE: adam(1e-4, 0.999), OptG: adam(2e-4, 0.9), OptQ: adam(2e-4, 0.9), OptH: jointEncoder(), Schedule: Schedule{Hold: 1, Floor: 1},
		EMA: 0.9999, Precision: "float32",
		Log: LogConfig{Metrics: 100, Samples: 1000, Measured: 10_000, Checkpoint: 1000, Keep: 3},
	}
	c.Steps = stepsOf(500, c.Batch, c.Data)
	return c
}

// imageNet32 is Table 12's second column: 100 epochs of 5004 batches.
func imageNet32() Config {
	c := cifar10()
	c.Preset, c.Data.Name, c.Data.Range = "imagenet32-em", "imagenet32", models.Range{Low: -1, High: 1}
	c.Energy.Widths = []int{512, 512, 512, 512}
	c.Generator.Widths = []int{512, 512, 512, 512}
	c.Steps = stepsOf(100, c.Batch, c.Data)
	return c
}

// celebA64 is Table 12's third column: 300 epochs of 635 batches.
func celebA64() Config {
	c := cifar10()
	c.Preset, c.Data = "celeba64-em", DataConfig{Name: "celeba", Size: 64, Range: models.Range{Low: -1, High: 1}, HoldOut: 0.1}
	c.Energy.Widths, c.Energy.Downs = []int{64, 128, 256, 512, 1024}, []bool{true, true, true, true, true}
	c.Energy.LinearF = true
	c.Generator.Widths = []int{1024, 512, 256, 128, 64}
	c.Inference.Stem, c.Inference.Widths = 0, []int{128, 256, 512, 1024}
	c.Chain.Delta2 = 0.1
	c.OptE, c.OptG, c.OptQ = adam(1e-4, 0.9), adam(3e-4, 0.9), adam(1e-4, 0.9)
	c.Omega1, c.Omega2 = 70, 1
	c.Steps = stepsOf(300, c.Batch, c.Data)
	return c
}

// celebAHQ256 is Table 12's fourth column: 300 epochs of 210 batches of the 27,000
// images that its split leaves for training.
func celebAHQ256() Config {
	c := celebA64()
	c.Preset, c.Data.Name, c.Data.Size = "celebahq256-em", "celebahq", 256
	c.Energy.Widths = []int{64, 64, 128, 256, 512, 1024, 1024}
	c.Energy.Downs = []bool{true, true, true, true, true, true, true}
	c.Generator.LatentDim, c.Generator.Widths = 256, []int{1024, 1024, 512, 256, 128, 64, 64}
	c.Inference.LatentDim, c.Inference.Widths = 256, []int{64, 64, 128, 256, 256, 512}
	c.Batch, c.Rho, c.ScoreGamma = 128, 50, 1
	c.Steps = stepsOf(300, c.Batch, c.Data)
	return c
}

// FashionMNIST trains in minutes on two CPU cores: 28×28 clothes, padded to 32×32. Unlike the columns of
// Table 12 it has biases, no spectral norm, and learning rates that suit them. Its batches are small, since more updates
// per second help more than less noise. β₂ of E is below the usual 0.999, so that a few large gradients do not cause
// many large steps. With a constant learning rate of 2e-4 and no margin, E diverged at step 7,058. With a constant rate
// of 5e-4 and a margin of 1 it diverged at step 5,858. In these runs, energies of data are about -0.05.
func FashionMNIST() Config {
	return Config{
		Preset: "fmnist-em", Seed: 1,
		Data: DataConfig{Name: "fmnist", Size: 32, Range: models.Range{Low: -1, High: 1}, HoldOut: 0.1},
		Energy: models.EnergyConfig{Channels: 1, Widths: []int{16, 32, 64, 128}, Downs: []bool{true, true, true, true},
			FeatureDim: 512, HeadDim: 1024, LatentDim: 64, Bias: true, Gamma: 0.1, Posterior: models.Cosine},
		Generator: models.GeneratorConfig{Channels: 1, LatentDim: 128, Widths: []int{64, 64, 32, 16}},
		Inference: models.InferenceConfig{Channels: 1, Stem: 32, Widths: []int{64, 128, 256}, LatentDim: 128},
		Views:     data.SimCLRViews(), Target: EM, Encoder: Pretrained, Temperature: 0.5,
		Chain:       mcmc.Langevin{Steps: 5, Delta2: 25, Sigma: 1e-3, Clamp: mcmc.ClampStep},
		ReplaceProb: 0.1, Margin: 0.25, Tau2: 0.5, Omega1: 1, Omega2: 0.1, Rho: 1, RhoQ: 100, LRQ: 1e-4, ScoreGamma: 0.1, Batch: 16, BatchSplit: 1, Steps: 5000,
		OptE: limited(5e-4, 0.99), OptG: adam(1e-3, 0.9), OptQ: adam(1e-3, 0.9), OptH: jointEncoder(), Schedule: Schedule{Hold: 0.5, Floor: 0.05},
		EMA: 0.99, Precision: "float32",
		Log: LogConfig{Metrics: 20, Samples: 1000, Checkpoint: 250, Keep: 2},
	}
}

// StackedFashionMNIST is FashionMNIST for images whose three channels are three images of that set. There are 1,000 classes. Views
// do not change hue and saturation, since the colours say which images are stacked.
func StackedFashionMNIST() Config {
	c := FashionMNIST()
	c.Preset, c.Data.Name = "stacked-em", "stacked-fmnist"
	c.Views.GrayProb, c.Views.Jitter[2], c.Views.Jitter[3] = 0, 0, 0
	c.inColour()
	return c
}

// inColour changes the networks of FashionMNIST to RGB images, on which G is the slower learner: at FashionMNIST's rates E goes
// flat or runs away from G. Clipped chains keep moving G however steep E becomes. See docs/results/stability-rgb.md.
func (c *Config) inColour() {
	c.channels(3)
	c.OptG.LR, c.Chain.Clip, c.Margin = 5e-4, 0.02, 1
}

// channels makes the networks fit images of n channels.
func (c *Config) channels(n int) {
	c.Energy.Channels, c.Generator.Channels, c.Inference.Channels = n, n, n
}

// forImages returns the preset for RGB images of a size. Its networks have the proportions of FashionMNIST.
func forImages(name string, size int) Config {
	c := FashionMNIST()
	c.Preset, c.Data.Name = name+"-em", ""
	c.inColour()
	c.fit(size)
	return c
}

// delta2 is δ² for images of a size, from that for 32×32. E averages over all pixels, so the gradient in each shrinks with their
// number, and δ² grows with it.
func delta2(at32 float64, size int) float64 { return at32 * float64(size*size) / (32 * 32) }

// fit makes the networks fit images of a size: a level of E, G and q for each halving down to 2×2 or 4×4 pixels.
func (c *Config) fit(size int) {
	c.Data.Size = size
	c.Energy.Widths, c.Energy.Downs, c.Generator.Widths, c.Inference.Widths = nil, nil, nil, nil
	for side, i := size, 0; side >= 4; side, i = side/2, i+1 {
		c.Energy.Widths, c.Energy.Downs = append(c.Energy.Widths, min(128, 16<<i)), append(c.Energy.Downs, true)
		c.Generator.Widths = append([]int{min(64, 16<<i)}, c.Generator.Widths...)
		if side > 4 {
			c.Inference.Widths = append(c.Inference.Widths, min(256, 64<<i))
		}
	}
	c.Chain.Delta2 = delta2(25, size)
}

// rung is the name of the networks for a size.
func rung(size int) string {
	switch {
	case size <= 32:
		return "small"
	case size <= 64:
		return "medium"
	}
	return "large"
}

// rungSize is the size of the ladder to which images with this side are brought: the largest that does not enlarge them
// by more than an eighth.
func rungSize(side int) int {
	size := 32
	for size < 256 && 2*size <= side+side/8 {
		size *= 2
	}
	return size
}
