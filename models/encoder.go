package models

import (
	"fmt"
	"slices"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// EncoderConfig is the shape of h.
type EncoderConfig struct {
	Channels  int       `yaml:"channels" min:"1"`   // channels of the images: 1 or 3
	Stem      string    `yaml:"stem"`               // first layers: "small", a 3×3 convolution with stride 1 (for 32 pixels); "medium", the same and a max-pool (for 64 pixels, and for 32 in the small presets); "large", a 7×7 convolution with stride 2 and a max-pool (for 256 pixels)
	Widths    []int     `yaml:"widths" min:"1"`     // channels of each stage; ResNet-18 has 64, 128, 256, 512
	Blocks    []int     `yaml:"blocks" min:"1"`     // blocks of each stage; ResNet-18 has 2, 2, 2, 2
	HeadDim   int       `yaml:"head_dim" min:"1"`   // hidden width of the head; usually 1024
	LatentDim int       `yaml:"latent_dim" min:"1"` // d_z, length of z; usually 64
	Mean      []float64 `yaml:"mean"`               // mean of each channel of images in [0,1]; empty: the mean of the training images
	Std       []float64 `yaml:"std" min:"1e-9"`     // standard deviation of each channel; empty: that of the training images
}

// Encoder is h, a ResNet of basic blocks (He et al. 2016) with the head Linear–BN–ReLU–Linear, as
// in the official code of W-MSE. The names of its fields, in this order, are those of the weights.
type Encoder struct {
	Stem   *nn.Conv2d
	BN     *nn.BatchNorm
	Stages [][]*residualBlock
	Head1  *nn.Linear
	HeadBN *nn.BatchNorm
	Head2  *nn.Linear

	Config EncoderConfig
	Range  Range // of the images that Forward reads
}

type residualBlock struct {
	Conv1  *nn.Conv2d
	BN1    *nn.BatchNorm
	Conv2  *nn.Conv2d
	BN2    *nn.BatchNorm
	Skip   *nn.Conv2d // 1×1; nil if the shape does not change
	SkipBN *nn.BatchNorm
	stride int // of Skip
}

// stems are the first convolutions of h, by the name in its config.
var stems = map[string]struct{ k, stride int }{"small": {3, 1}, "medium": {3, 1}, "large": {7, 2}}

// NewEncoder makes h for images in r with weights drawn from the seed. Without a mean and a deviation in c they are 0.5 and 0.25.
// The caller closes it with nn.Close.
func NewEncoder(c EncoderConfig, r Range, seed uint64) (*Encoder, error) {
	stem, ok := stems[c.Stem]
	if len(c.Mean) == 0 && len(c.Std) == 0 {
		c.Mean, c.Std = slices.Repeat([]float64{0.5}, c.Channels), slices.Repeat([]float64{0.25}, c.Channels)
	}
	if !ok || len(c.Widths) == 0 || len(c.Widths) != len(c.Blocks) || len(c.Mean) != c.Channels || len(c.Std) != c.Channels {
		return nil, fmt.Errorf("encoder: stem is %q (use small, medium or large), %d widths for %d blocks, %d means and %d stds for %d channels",
			c.Stem, len(c.Widths), len(c.Blocks), len(c.Mean), len(c.Std), c.Channels)
	}
	h := &Encoder{Config: c, Range: r}
	return h, torch.Do(func() error {
		conv := func(in, out, k, stride int) *nn.Conv2d {
			return nn.NewConv2d(in, out, k, nn.Conv2dOptions{Stride: stride, Padding: k / 2, NoBias: true})
		}
		convOfReLU := func(in, out int) *nn.Conv2d {
			return nn.NewConv2d(in, out, 3, nn.Conv2dOptions{Padding: 1, ReLU: true, NoBias: true})
		}
		in := c.Widths[0]
		h.Stem, h.BN = conv(c.Channels, in, stem.k, stem.stride), nn.NewBatchNorm(in)
		for i, out := range c.Widths {
			var stage []*residualBlock
			for j := range c.Blocks[i] {
				stride := 1
				if i > 0 && j == 0 {
					stride = 2
				}
				b := &residualBlock{Conv1: conv(in, out, 3, stride), BN1: nn.NewBatchNorm(out),
					Conv2: convOfReLU(out, out), BN2: nn.NewBatchNorm(out)}
				if stride != 1 || in != out {
					b.Skip, b.SkipBN, b.stride = conv(in, out, 1, 1), nn.NewBatchNorm(out), stride
				}
				stage = append(stage, b)
				in = out
			}
			h.Stages = append(h.Stages, stage)
		}
		h.Head1 = nn.NewLinear(in, c.HeadDim, nn.LinearOptions{})
		h.HeadBN = nn.NewBatchNorm(c.HeadDim)
		h.Head2 = nn.NewLinear(c.HeadDim, c.LatentDim, nn.LinearOptions{})
		nn.Init(h, torch.NewRNG(seed, 0, "encoder weights"))
		return nil
	})
}

// boundEncoder is h with its batch norms in one mode, or h with constant weights.
type boundEncoder struct {
	scale, shift torch.Tensor // of the pixels: [1,c,1,1]
	stem         module
	pool         bool
	blocks       []boundResidual
	head1        module
	head2        affine
}

type boundResidual struct {
	conv1, conv2, skip module // skip: nil if the shape does not change
	stride             int    // of skip
}

// bind returns h as a boundEncoder. with joins a layer and the batch norm after it. The layer is an *nn.Conv2d without a bias or an
// *nn.Linear.
func (h *Encoder) bind(with func(module, *nn.BatchNorm) module) boundEncoder {
	b := boundEncoder{stem: with(h.Stem, h.BN), pool: h.Config.Stem != "small", head1: with(h.Head1, h.HeadBN), head2: affine{h.Head2.Weight, h.Head2.Bias}}
	scale, shift := h.affine()
	device := h.Stem.Weight.Device()
	b.scale, b.shift = scale.ToDevice(device), shift.ToDevice(device)
	for _, stage := range h.Stages {
		for _, block := range stage {
			r := boundResidual{conv1: with(block.Conv1, block.BN1), conv2: with(block.Conv2, block.BN2), stride: block.stride}
			if block.Skip != nil {
				r.skip = with(block.Skip, block.SkipBN)
			}
			b.blocks = append(b.blocks, r)
		}
	}
	return b
}

// in returns h with its batch norms in mode.
func (h *Encoder) in(mode nn.Mode) boundEncoder {
	return h.bind(func(l module, bn *nn.BatchNorm) module { return normed{l, bn, mode} })
}

// normed is a layer and its batch norm.
type normed struct {
	module
	bn   *nn.BatchNorm
	mode nn.Mode
}

func (l normed) Forward(x torch.Tensor) torch.Tensor {
	return l.bn.Forward(l.module.Forward(x), l.mode)
}

// FrozenEncoder is h with the weights and the statistics that it had when Frozen was called, as constants. It is faster than h: its batch
// norms are part of the weights, and the weights of its convolutions are transformed once.
type FrozenEncoder struct{ bound boundEncoder }

// Frozen returns h with constant weights. It belongs to the open scope, unless Keep is called.
func (h *Encoder) Frozen() *FrozenEncoder {
	var b boundEncoder
	torch.NoGrad(func() {
		b = h.bind(fold)
		b.head2 = affine{b.head2.w.Detach().Clone(), b.head2.b.Detach().Clone()}
	})
	return &FrozenEncoder{b}
}

// Forward is h(x) before normalisation to the sphere: [n,c,h,w] → [n,d_z].
func (h *FrozenEncoder) Forward(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { return h.bound.latent(x) })
}

// Latent is z = h(x)/‖h(x)‖ (Sec. 3.1): [n,c,h,w] → [n,d_z].
func (h *FrozenEncoder) Latent(x torch.Tensor) torch.Tensor { return h.Forward(x).Normalize() }

// Keep takes h out of all scopes and returns it. The caller must close it.
func (h *FrozenEncoder) Keep() *FrozenEncoder {
	for _, l := range h.bound.constants() {
		l.Keep()
	}
	return h
}

// Close frees an h that was kept.
func (h *FrozenEncoder) Close() {
	for _, l := range h.bound.constants() {
		l.Close()
	}
}

// constant is a layer with constant weights.
type constant interface {
	Keep()
	Close()
}

// constants are the layers of an encoder with constant weights.
func (b boundEncoder) constants() []constant {
	layers := []constant{affine{b.scale, b.shift}, b.stem.(constant), b.head1.(constant), b.head2}
	for _, block := range b.blocks {
		layers = append(layers, block.conv1.(constant), block.conv2.(constant))
		if block.skip != nil {
			layers = append(layers, block.skip.(constant))
		}
	}
	return layers
}

// fold returns a layer and its batch norm in eval mode as one layer with constant weights.
func fold(l module, bn *nn.BatchNorm) module {
	scale, shift := bn.Affine()
	if l, ok := l.(*nn.Conv2d); ok {
		return torch.NewFrozenConv2d(l.Normalized().Mul(scale.Reshape(-1, 1, 1, 1)), shift, torch.Float32, l.Options())
	}
	linear := l.(*nn.Linear)
	return affine{linear.Normalized().Mul(scale.Reshape(-1, 1)), shift.Add(scale.Mul(linear.Bias))}
}

func (b boundResidual) forward(x torch.Tensor) torch.Tensor {
	h := b.conv2.Forward(b.conv1.Forward(x))
	if b.skip != nil {
		if b.stride > 1 {
			// A 1×1 max-pool takes the pixels that a 1×1 conv with this stride reads. oneDNN's conv
			// writes past its buffer in the weight's gradient when the input is NHWC and narrower
			// than 16 channels: uxlfoundation/oneDNN#6035.
			x = x.MaxPool2d(1, b.stride, 0)
		}
		x = b.skip.Forward(x)
	}
	h.AddInPlace(x, 1) // for the gradient a layer keeps its input, not its output
	return relu(h)
}

// features is the pooled output of the backbone: [n,c,h,w] → [n,last width].
func (b boundEncoder) features(x torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { // the graph keeps the tensors that the gradient needs
		y := b.stem.Forward(x.Mul(b.scale).Add(b.shift).Contiguous(torch.ChannelsLast))
		if b.pool {
			y = y.MaxPool2d(3, 2, 1) // pooling commutes with the ReLU, and is cheaper first
		}
		y = relu(y)
		for _, block := range b.blocks {
			y = block.forward(y)
		}
		return y.AvgPool2d(y.Size(2)).Flatten(1)
	})
}

// latent is h(x): [n,c,h,w] → [n,d_z].
func (b boundEncoder) latent(x torch.Tensor) torch.Tensor {
	return b.head2.Forward(relu(b.head1.Forward(b.features(x))))
}

// Features is the pooled output of the backbone, for probes: [n,c,h,w] → [n,last width].
func (h *Encoder) Features(x torch.Tensor, mode nn.Mode) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { return h.in(mode).features(x) })
}

// Forward is h(x) before normalisation to the sphere: [n,c,h,w] → [n,d_z].
func (h *Encoder) Forward(x torch.Tensor, mode nn.Mode) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { return h.in(mode).latent(x) })
}

// Latent is z = h(x)/‖h(x)‖ with h frozen (Sec. 3.1; eval mode): [n,c,h,w] → [n,d_z].
func (h *Encoder) Latent(x torch.Tensor) torch.Tensor { return h.Forward(x, nn.Eval).Normalize() }

// Compose appends an affine map to h: Forward(x) becomes a·Forward(x) + c. This is exact, because h ends in a linear layer. Its
// weight W becomes a·W, and its bias b becomes a·b + c. a: [d_z,d_z], c: [d_z].
func (h *Encoder) Compose(a, c torch.Tensor) {
	torch.NoGrad(func() {
		torch.Tidy(func() torch.Tensor {
			w, b := a.Matmul(h.Head2.Weight), a.Matmul(h.Head2.Bias.Reshape(-1, 1)).Reshape(-1).Add(c)
			h.Head2.Weight.CopyFrom(w)
			h.Head2.Bias.CopyFrom(b)
			return torch.Tensor{}
		})
	})
}

// affine is the scale and the shift that map pixels to mean 0 and variance 1 in each channel: [1,c,1,1].
func (h *Encoder) affine() (scale, shift torch.Tensor) {
	c := h.Config.Channels
	a, b := make([]float32, c), make([]float32, c)
	for i := range c {
		perUnit := 1 / (h.Range.High - h.Range.Low)
		a[i] = float32(perUnit / h.Config.Std[i])
		b[i] = float32((-h.Range.Low*perUnit - h.Config.Mean[i]) / h.Config.Std[i])
	}
	return torch.FromSlice(a, 1, c, 1, 1), torch.FromSlice(b, 1, c, 1, 1)
}
