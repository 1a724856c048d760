package models

import (
	"cmp"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// EnergyConfig is the shape of E.
type EnergyConfig struct {
	Channels     int     `yaml:"channels" min:"1"` // channels of the images: 1 or 3
	Widths       []int   `yaml:"widths" min:"1"`   // output channels of each block (Table 12)
	Downs        []bool  `yaml:"downs"`            // whether each block halves the image
	FeatureDim   int     `yaml:"feature_dim"`      // length of f(x), usually 512; 0: f(x) is the pooled output of the last block, as in Dual-MCMC
	HeadDim      int     `yaml:"head_dim"`         // hidden width of g, usually 1024 as in the head of the encoder
	LatentDim    int     `yaml:"latent_dim"`       // d_z, length of z; usually 64
	Bias         bool    `yaml:"bias"`             // biases in f; the paper's networks have none
	SpectralNorm bool    `yaml:"spectral_norm"`    // use spectral norm on every convolution and linear layer of E
	LinearF      bool    `yaml:"linear_f"`         // F is a learnable linear map instead of −½‖f‖²
	Gamma        float64 `yaml:"gamma"`            // γ of Eq. 7, weight of the cosine; the paper has 0.01 (Table 12)

	Posterior       Posterior `yaml:"posterior"`        // log p(z|x): cosine (Eq. 7), gaussian, cebm (Fig. 8), or none
	PosteriorWeight float64   `yaml:"posterior_weight"` // weight of log p(z|x) of gaussian and cebm in training and in E(x,z); 0: 1, as in the paper
}

// Energy is E(x,z) = F(f(x)) + γ·cos(g(f(x)), z) (Eq. 5 and 7), or a form with another [Posterior]. The names of the weights
// are those of the fields, in this order.
type Energy struct {
	Blocks []*energyBlock
	Out    *nn.Linear // from the pooled output to f; nil if f is the pooled output
	Head1  *nn.Linear // g, with biases; nil without a latent term
	Head2  *nn.Linear
	F      *nn.Linear // nil if F is −½‖f‖²

	Config EnergyConfig
}

// energyBlock is relu–conv–relu–conv plus a skip, without normalisation. The first block has no leading relu.
type energyBlock struct {
	Conv1, Conv2 *nn.Conv2d
	Skip         *nn.Conv2d // 1×1; nil if the shape does not change
	down         bool       // 2×2 average pool
}

// NewEnergy makes E with weights drawn from the seed. Those of convolutions have Xavier's normal distribution. The
// caller closes it with nn.Close.
func NewEnergy(c EnergyConfig, seed uint64) (*Energy, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	e := &Energy{Config: c}
	return e, torch.Do(func() error {
		in := c.Channels
		for i, out := range c.Widths {
			conv := func(in, k int, relu bool) *nn.Conv2d {
				return nn.NewConv2d(in, out, k, nn.Conv2dOptions{Padding: k / 2, ReLU: relu, NoBias: !c.Bias,
					SpectralNorm: c.SpectralNorm, Weights: nn.XavierNormal})
			}
			b := &energyBlock{Conv1: conv(in, 3, i > 0), Conv2: conv(out, 3, true), down: c.Downs[i]}
			if in != out || b.down {
				b.Skip = conv(in, 1, false)
			}
			e.Blocks = append(e.Blocks, b)
			in = out
		}
		linear := func(in, out int, bias bool) *nn.Linear {
			return nn.NewLinear(in, out, nn.LinearOptions{NoBias: !bias, SpectralNorm: c.SpectralNorm})
		}
		if c.FeatureDim > 0 {
			e.Out = linear(in, c.FeatureDim, c.Bias)
		}
		if c.Posterior != NoLatent {
			e.Head1 = linear(c.Features(), c.HeadDim, true)
			e.Head2 = linear(c.HeadDim, c.headWidth(), true)
		}
		if c.LinearF {
			e.F = linear(c.Features(), 1, false)
		}
		nn.Init(e, torch.NewRNG(seed, 0, "energy weights"))
		return nil
	})
}

// Features is the length of f(x).
func (c EnergyConfig) Features() int {
	if c.FeatureDim == 0 {
		return c.Widths[len(c.Widths)-1]
	}
	return c.FeatureDim
}

// PowerIterate improves the estimate of every spectral norm by one iteration. Training calls it once per update.
func (e *Energy) PowerIterate() { nn.PowerIterate(e) }

// Bound is E at the weights that it had when Bind or Frozen was called. It shares memory with E: do not use it after E's weights have
// changed. It belongs to the open scope.
type Bound struct {
	blocks       []boundBlock
	out          affine
	head1, head2 affine
	f            affine
	gamma        float64
	weight       float64 // of the other posteriors
	posterior    Posterior
	dtype        torch.DType // of the convolutions
}

// affine is the weight and the bias of a layer; the zero affine is no layer.
type affine struct{ w, b torch.Tensor }

// Forward is a linear layer.
func (a affine) Forward(x torch.Tensor) torch.Tensor { return x.Linear(a.w, a.b) }

// Keep takes the tensors out of all scopes.
func (a affine) Keep() { a.w.Keep(); a.b.Keep() }

// Close frees tensors that were kept.
func (a affine) Close() { a.w.Close(); a.b.Close() }

// module maps a batch to a batch.
type module interface {
	Forward(x torch.Tensor) torch.Tensor
}

// boundConv is a convolution.
type boundConv struct {
	affine
	options torch.Conv2dOptions
}

func (c boundConv) Forward(x torch.Tensor) torch.Tensor { return x.Conv2d(c.w, c.b, c.options) }

// boundDown is the end of a block that halves the image: conv2 of relu(h) and a 2×2 average, plus the skip from x.
type boundDown interface {
	Forward(h, x torch.Tensor) torch.Tensor
}

// downConv is boundDown with weights that have gradients.
type downConv struct {
	affine
	skip torch.Tensor
}

func (c downConv) Forward(h, x torch.Tensor) torch.Tensor {
	return h.PooledConv2d(c.w, c.b, torch.PooledConv2dOptions{ReLU: true, Skip: x, SkipWeight: c.skip})
}

type boundBlock struct {
	conv1       module
	down        boundDown // nil if the block keeps the size
	conv2, skip module    // without down; skip: nil if the shape does not change
}

// Bind returns E at its present weights, differentiable in them.
func (e *Energy) Bind() *Bound {
	return e.bind(torch.Float32, false)
}

// Frozen returns E at its present weights as constants, with convolutions in dtype. It is for chains, which move
// x only: the weights are normalised and fused once per chain.
func (e *Energy) Frozen(dtype torch.DType) *Bound {
	var b *Bound
	torch.NoGrad(func() { b = e.bind(dtype, true) })
	return b
}

func (e *Energy) bind(dtype torch.DType, constant bool) *Bound {
	conv := func(c *nn.Conv2d) module {
		if constant {
			return torch.NewFrozenConv2d(c.Normalized(), c.Bias, dtype, c.Options())
		}
		return boundConv{affine{c.Normalized(), c.Bias}, c.Options()}
	}
	down := func(conv2, skip *nn.Conv2d) boundDown {
		bias := conv2.Bias
		if bias.Defined() {
			bias = bias.Add(skip.Bias) // pooling commutes with a bias
		}
		if constant {
			return torch.NewFrozenPooledConv2d(conv2.Normalized(), bias, dtype, torch.PooledConv2dOptions{ReLU: true, SkipWeight: skip.Normalized()})
		}
		return downConv{affine{conv2.Normalized(), bias}, skip.Normalized()}
	}
	linear := func(l *nn.Linear) affine {
		if l == nil {
			return affine{}
		}
		a := affine{l.Normalized(), l.Bias}
		if constant {
			a.w = a.w.Detach()
			if a.b.Defined() {
				a.b = a.b.Detach()
			}
		}
		return a
	}
	b := &Bound{out: linear(e.Out), head1: linear(e.Head1), head2: linear(e.Head2), f: linear(e.F),
		gamma: e.Config.Gamma, weight: cmp.Or(e.Config.PosteriorWeight, 1), posterior: e.Config.Posterior, dtype: dtype}
	for _, block := range e.Blocks {
		bound := boundBlock{conv1: conv(block.Conv1)}
		if block.down {
			bound.down = down(block.Conv2, block.Skip)
		} else {
			bound.conv2 = conv(block.Conv2)
			if block.Skip != nil {
				bound.skip = conv(block.Skip)
			}
		}
		b.blocks = append(b.blocks, bound)
	}
	return b
}

// forward maps [n,in,h,w] to [n,out,h,w], or to [n,out,h/2,w/2] if the block halves the image. Each 3×3 convolution begins with ReLU. Only
// the first one of E does not.
func (b boundBlock) forward(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		h := b.conv1.Forward(x)
		if b.down != nil {
			return b.down.Forward(h, x)
		}
		h = b.conv2.Forward(h)
		if b.skip != nil {
			x = b.skip.Forward(x)
		}
		h.AddInPlace(x, 1)
		return h
	})
}

// Features is f(x), float32: [n,c,h,w] → [n,feature_dim], or [n,last width] if feature_dim is 0. Marginal and
// joint energies are functions of f(x), so one call serves both.
func (b *Bound) Features(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { // the graph keeps the tensors that the gradient needs
		h := x.To(b.dtype).Contiguous(torch.ChannelsLast)
		for _, block := range b.blocks {
			h = block.forward(h)
		}
		// A pool over the whole image is the mean, and its gradient stays NHWC.
		f := h.ReLU().AvgPool2d(h.Size(2)).Flatten(1).To(torch.Float32)
		if !b.out.w.Defined() {
			return f
		}
		return b.out.Forward(f)
	})
}
