package models

import (
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// InferenceConfig is the shape of q.
type InferenceConfig struct {
	Channels  int   `yaml:"channels"`       // channels of the images: 1 or 3
	Stem      int   `yaml:"stem"`           // channels of a first 3×3 convolution with stride 1; 0: no such convolution
	Widths    []int `yaml:"widths" min:"1"` // channels of each 4×4 convolution with stride 2; the output of the last one has 4×4 pixels
	LatentDim int   `yaml:"latent_dim"`     // d_m, length of m
}

// Inference is q(m|x) = N(μ(x), σ²(x)) of Eq. 14. The names of its fields, in this order, are those of the weights.
type Inference struct {
	Stem   *nn.Conv2d // nil if Config.Stem is 0
	Convs  []*nn.Conv2d
	Mean   *nn.Conv2d
	LogVar *nn.Conv2d

	Config InferenceConfig
}

// NewInference makes q with weights drawn from the seed. The caller closes it with nn.Close.
func NewInference(c InferenceConfig, seed uint64) (*Inference, error) {
	q := &Inference{Config: c}
	return q, torch.Do(func() error {
		in := c.Channels
		if c.Stem > 0 {
			q.Stem = nn.NewConv2d(in, c.Stem, 3, nn.Conv2dOptions{Padding: 1, NoBias: true})
			in = c.Stem
		}
		for _, out := range c.Widths {
			q.Convs = append(q.Convs, nn.NewConv2d(in, out, 4, nn.Conv2dOptions{Stride: 2, Padding: 1, NoBias: true}))
			in = out
		}
		q.Mean = nn.NewConv2d(in, c.LatentDim, 4, nn.Conv2dOptions{})
		q.LogVar = nn.NewConv2d(in, c.LatentDim, 4, nn.Conv2dOptions{})
		nn.Init(q, torch.NewRNG(seed, 0, "inference weights"))
		return nil
	})
}

// Forward maps images [n,c,h,w] to μ and log σ², both [n,d_m].
func (q *Inference) Forward(x torch.Tensor) (mean, logVar torch.Tensor) {
	h := x.Contiguous(torch.ChannelsLast)
	if q.Stem != nil {
		h = q.Stem.Forward(h).LeakyReLU(0.2)
	}
	for _, c := range q.Convs {
		h = c.Forward(h).LeakyReLU(0.2)
	}
	return q.Mean.Forward(h).Flatten(1), q.LogVar.Forward(h).Flatten(1)
}
