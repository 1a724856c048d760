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

// LinearOptions of [NewLinear]. The zero value is PyTorch's default.
type LinearOptions struct {
	NoBias       bool
	SpectralNorm bool
	Weights      Weights
}

// Linear is torch.nn.Linear.
type Linear struct {
	Weight torch.Tensor // [out,in]
	Bias   torch.Tensor // [out], or none
	Spectral
	weights Weights
}

// NewLinear makes a layer from in to out features. It needs an open scope.
func NewLinear(in, out int, o LinearOptions) *Linear {
	l := &Linear{Weight: param(out, in), Spectral: newSpectral(o.SpectralNorm, out, in), weights: o.Weights}
	if !o.NoBias {
		l.Bias = param(out)
	}
	return l
}

// Forward maps [n,in] to [n,out].
func (l *Linear) Forward(x torch.Tensor) torch.Tensor { return x.Linear(l.Normalized(), l.Bias) }

// Normalized is the weight that Forward uses. With spectral norm that is Weight divided by its norm.
func (l *Linear) Normalized() torch.Tensor { return l.apply(l.Weight) }

// PowerIterate improves the estimate of the spectral norm by one power iteration.
func (l *Linear) PowerIterate() { l.iterate(l.Weight) }

func (l *Linear) reset(rng *torch.RNG) { initWeight(l.weights, l.Weight, l.Bias, l.Spectral, rng) }

// Conv2dOptions of [NewConv2d]. The zero value is PyTorch's default.
type Conv2dOptions struct {
	Stride       int // 0 means 1
	Padding      int
	NoBias       bool
	SpectralNorm bool
	Weights      Weights
}

// Conv2d is torch.nn.Conv2d with a square kernel.
type Conv2d struct {
	Weight torch.Tensor // [out,in,k,k], NHWC in memory
	Bias   torch.Tensor // [out], or none
	Spectral
	opt Conv2dOptions
}

// NewConv2d makes a k×k convolution. It needs an open scope.
func NewConv2d(in, out, k int, o Conv2dOptions) *Conv2d {
	c := &Conv2d{Weight: param(out, in, k, k), Spectral: newSpectral(o.SpectralNorm, out, in*k*k), opt: o}
	if !o.NoBias {
		c.Bias = param(out)
	}
	return c
}

// Forward maps [n,in,h,w] to [n,out,h',w'].
func (c *Conv2d) Forward(x torch.Tensor) torch.Tensor {
	return x.Conv2d(c.Normalized(), c.Bias, torch.Conv2dOptions{Stride: c.opt.Stride, Padding: c.opt.Padding})
}

// Normalized is the weight that Forward uses. With spectral norm that is Weight divided by its norm.
func (c *Conv2d) Normalized() torch.Tensor { return c.apply(c.Weight) }

// PowerIterate improves the estimate of the spectral norm by one power iteration.
func (c *Conv2d) PowerIterate() { c.iterate(c.Weight) }

func (c *Conv2d) reset(rng *torch.RNG) { initWeight(c.opt.Weights, c.Weight, c.Bias, c.Spectral, rng) }

// initWeight draws a weight [out,in,…], a bias and the vectors of its spectral norm.
func initWeight(kind Weights, weight, bias torch.Tensor, s Spectral, rng *torch.RNG) {
	shape := weight.Shape()
	receptive := 1
	for _, n := range shape[2:] {
		receptive *= n
	}
	fanIn, fanOut := float64(shape[1]*receptive), float64(shape[0]*receptive)
	switch kind {
	case XavierNormal:
		weight.NormalInPlace(math.Sqrt(2/(fanIn+fanOut)), rng)
	default:
		bound := 1 / math.Sqrt(fanIn)
		weight.UniformInPlace(-bound, bound, rng)
		if bias.Defined() {
			bias.UniformInPlace(-bound, bound, rng)
		}
	}
	s.start(weight, rng)
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

// Affine returns the map x ↦ scale·x + shift that Forward is in eval mode. scale, shift: [c].
func (b *BatchNorm) Affine() (scale, shift torch.Tensor) {
	scale = b.Weight.Mul(b.RunningVar.AddScalar(1e-5).Rsqrt())
	return scale, b.Bias.Sub(scale.Mul(b.RunningMean))
}

func (b *BatchNorm) reset(*torch.RNG) {
	b.Weight.CopyFrom(torch.Scalar(1))
	b.Bias.ZeroInPlace()
}
