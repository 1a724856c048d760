// Package nn has layers of networks, and functions that list, save and load a network's tensors by name.
//
// A layer is a struct of tensors. Its constructor needs an open scope, and its tensors are kept until [Close].
// [Init] draws the weights, by PyTorch's defaults unless the layer's options say otherwise; before Init they
// are zero. A network is a struct of layers. The fields give its tensors their names and their order.
//
//	type mlp struct{ Hidden, Out *nn.Linear }
//	net := &mlp{nn.NewLinear(784, 256, nn.LinearOptions{}), nn.NewLinear(256, 10, nn.LinearOptions{})}
//	nn.Init(net, torch.NewRNG(seed, 0, "init"))
//	logits := net.Out.Forward(net.Hidden.Forward(x).ReLU())
package nn

import (
	"math"

	"github.com/liebm/liebm/torch"
)

// Mode selects the statistics that batch norm uses.
type Mode int

const (
	Eval       Mode = iota // the running statistics
	Train                  // the batch's, which also update the running statistics
	BatchStats             // the batch's, without an update
)

// Weights selects the distribution of a layer's first weights.
type Weights int

const (
	KaimingUniform Weights = iota // PyTorch's default for Linear and Conv2d: U(±1/√fan_in)
	XavierNormal                  // N(0, 2/(fan_in+fan_out)); biases zero
)

// Weighted is a weight with its bias and its spectral norm, which Linear and Conv2d share.
type Weighted struct {
	Weight torch.Tensor // [out,in] or [out,in,k,k], NHWC in memory
	Bias   torch.Tensor // [out], or none
	Spectral
	weights Weights
}

func newWeighted(o LinearOptions, shape ...int) Weighted {
	w := Weighted{Weight: param(shape...), weights: o.Weights}
	if o.SpectralNorm {
		w.Spectral = newSpectral(shape[0], w.Weight.Numel()/shape[0])
	}
	if !o.NoBias {
		w.Bias = param(shape[0])
	}
	return w
}

// Normalized is the weight that Forward uses. With spectral norm that is Weight divided by its norm.
func (w *Weighted) Normalized() torch.Tensor { return w.apply(w.Weight) }

// PowerIterate improves the estimate of the spectral norm by one power iteration.
func (w *Weighted) PowerIterate() { w.iterate(w.Weight) }

// LinearOptions of [NewLinear]. The zero value is PyTorch's default.
type LinearOptions struct {
	NoBias       bool
	SpectralNorm bool
	Weights      Weights
}

// Linear is torch.nn.Linear.
type Linear struct{ Weighted }

// NewLinear makes a layer from in to out features. It needs an open scope.
func NewLinear(in, out int, o LinearOptions) *Linear {
	return &Linear{newWeighted(o, out, in)}
}

// Forward maps [n,in] to [n,out].
func (l *Linear) Forward(x torch.Tensor) torch.Tensor { return x.Linear(l.Normalized(), l.Bias) }

// Conv2dOptions of [NewConv2d]. The zero value is PyTorch's default.
type Conv2dOptions struct {
	Stride       int // 0 means 1
	Padding      int
	ReLU         bool // convolve max(x, 0)
	NoBias       bool
	SpectralNorm bool
	Weights      Weights
}

// Conv2d is torch.nn.Conv2d with a square kernel.
type Conv2d struct {
	Weighted
	opt torch.Conv2dOptions
}

// NewConv2d makes a k×k convolution. It needs an open scope.
func NewConv2d(in, out, k int, o Conv2dOptions) *Conv2d {
	return &Conv2d{newWeighted(LinearOptions{o.NoBias, o.SpectralNorm, o.Weights}, out, in, k, k), torch.Conv2dOptions{Stride: o.Stride, Padding: o.Padding, ReLU: o.ReLU}}
}

// Options are the stride, the padding and the ReLU.
func (c *Conv2d) Options() torch.Conv2dOptions { return c.opt }

// Forward maps [n,in,h,w] to [n,out,h',w'].
func (c *Conv2d) Forward(x torch.Tensor) torch.Tensor {
	return x.Conv2d(c.Normalized(), c.Bias, c.opt)
}

// reset draws the weight, the bias and the vectors of the spectral norm.
func (w *Weighted) reset(rng *torch.RNG) {
	shape := w.Weight.Shape()
	receptive := 1
	for _, n := range shape[2:] {
		receptive *= n
	}
	fanIn, fanOut := float64(shape[1]*receptive), float64(shape[0]*receptive)
	switch w.weights {
	case XavierNormal:
		w.Weight.NormalInPlace(math.Sqrt(2/(fanIn+fanOut)), rng)
	default:
		bound := 1 / math.Sqrt(fanIn)
		w.Weight.UniformInPlace(-bound, bound, rng)
		if w.Bias.Defined() {
			w.Bias.UniformInPlace(-bound, bound, rng)
		}
	}
	w.start(w.Weight, rng)
}

// BatchNorm is torch.nn.BatchNorm1d on [n,c] and torch.nn.BatchNorm2d on [n,c,h,w]: momentum 0.1,
// eps 1e-5, unbiased running variance.
type BatchNorm struct {
	Weight, Bias torch.Tensor // [c]
	RunningMean  torch.Tensor `nn:"buffer"` // [c]
	RunningVar   torch.Tensor `nn:"buffer"` // [c]
	Momentum     float64
	group        *torch.Group // whose batches are one; nil: this process's alone
}

// NewBatchNorm makes the layer for c channels. It needs an open scope.
func NewBatchNorm(c int) *BatchNorm {
	return &BatchNorm{
		Weight: param(c), Bias: param(c), Momentum: 0.1,
		RunningMean: keep(torch.Zeros([]int{c}, torch.Float32), false),
		RunningVar:  keep(torch.Ones([]int{c}, torch.Float32), false),
	}
}

// Forward normalises x: [n,c] or [n,c,h,w] as mode says.
func (b *BatchNorm) Forward(x torch.Tensor, mode Mode) torch.Tensor {
	if b.group != nil && mode != Eval {
		return b.together(x, mode)
	}
	mean, variance := b.RunningMean, b.RunningVar
	if mode == BatchStats {
		mean, variance = torch.Tensor{}, torch.Tensor{}
	}
	return x.BatchNorm(b.Weight, b.Bias, mean, variance, mode != Eval, b.Momentum, 1e-5)
}

// Affine returns the map x ↦ scale·x + shift that Forward computes in eval mode. scale, shift: [c].
func (b *BatchNorm) Affine() (scale, shift torch.Tensor) {
	scale = b.Weight.Mul(b.RunningVar.AddScalar(1e-5).Rsqrt())
	return scale, b.Bias.Sub(scale.Mul(b.RunningMean))
}

func (b *BatchNorm) reset(*torch.RNG) {
	b.Weight.CopyFrom(torch.Scalar(1))
	b.Bias.ZeroInPlace()
}
