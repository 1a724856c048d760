package models

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// Each algebraic shortcut against the plain form, in float64, so that the
// tolerance can be that of rounding alone.
const exact = 1e-13

// random draws float64 numbers; the same purpose draws the same ones.
func random(purpose string, shape ...int) torch.Tensor {
	return torch.NewRNG(11, 0, purpose).NormalLike(torch.Empty(shape, torch.Float64))
}

// same compares two functions of some tensors: values, and the gradients of a random projection.
func same(t *testing.T, plain, fast func(in []torch.Tensor) torch.Tensor, in ...torch.Tensor) {
	t.Helper()
	for i := range in {
		in[i] = in[i].Leaf()
	}
	want, got := plain(in), fast(in)
	torchtest.InDelta(t, want, got, exact)
	probe := random("probe", want.Shape()...)
	wantGrads := torch.Grads(want.Mul(probe).Sum(), in, torch.GradOptions{})
	gotGrads := torch.Grads(got.Mul(probe).Sum(), in, torch.GradOptions{})
	for i := range in {
		torchtest.InDelta(t, wantGrads[i], gotGrads[i], exact)
	}
}

func TestFusedPoolIsConvolutionThenPool(t *testing.T) {
	for name, size := range map[string][2]int{"square": {8, 8}, "one output pixel": {2, 2}, "tall": {12, 4}} {
		torchtest.Run(t, name, func(t *testing.T) {
			x, w, b := random("x", 2, 3, size[0], size[1]), random("w", 5, 3, 3, 3), random("b", 5)
			same(t,
				func(in []torch.Tensor) torch.Tensor {
					return in[0].Conv2d(in[1], in[2], torch.Conv2dOptions{Padding: 1}).AvgPool2d(2)
				},
				func(in []torch.Tensor) torch.Tensor {
					return in[0].PooledConv2d(in[1], in[2], torch.PooledConv2dOptions{})
				}, x, w, b)
		})
	}
}

func TestPoolingCommutesWithA1x1Convolution(t *testing.T) {
	torchtest.Scope(t, func() {
		conv := func(x, w, b torch.Tensor) torch.Tensor { return x.Conv2d(w, b, torch.Conv2dOptions{}) }
		same(t,
			func(in []torch.Tensor) torch.Tensor { return conv(in[0], in[1], in[2]).AvgPool2d(2) },
			func(in []torch.Tensor) torch.Tensor { return conv(in[0].AvgPool2d(2), in[1], in[2]) },
			random("x", 2, 3, 8, 6), random("w", 5, 3, 1, 1), random("b", 5))
	})
}

func TestUpsamplingCommutesWithA1x1Convolution(t *testing.T) {
	torchtest.Scope(t, func() {
		conv := func(x, w, b torch.Tensor) torch.Tensor { return x.Conv2d(w, b, torch.Conv2dOptions{}) }
		same(t,
			func(in []torch.Tensor) torch.Tensor { return conv(in[0].UpsampleBilinear2d(), in[1], in[2]) },
			func(in []torch.Tensor) torch.Tensor { return conv(in[0], in[1], in[2]).UpsampleBilinear2d() },
			random("x", 2, 3, 4, 4), random("w", 5, 3, 1, 1), random("b", 5))
	})
}

func TestA1x1MaxPoolIsTheStrideOfA1x1Convolution(t *testing.T) {
	for name, size := range map[string][2]int{"even": {8, 6}, "odd": {7, 5}, "one pixel": {1, 1}} {
		torchtest.Run(t, name, func(t *testing.T) {
			x := random("x", 2, 3, size[0], size[1]).Contiguous(torch.ChannelsLast)
			same(t,
				func(in []torch.Tensor) torch.Tensor {
					return in[0].Conv2d(in[1], torch.Tensor{}, torch.Conv2dOptions{Stride: 2})
				},
				func(in []torch.Tensor) torch.Tensor {
					return in[0].MaxPool2d(1, 2, 0).Conv2d(in[1], torch.Tensor{}, torch.Conv2dOptions{})
				}, x, random("w", 5, 3, 1, 1))
		})
	}
}

// wide is an energy wide enough for the kernels that real ones use, with everything that E can have.
func wide(t *testing.T) *Energy {
	t.Helper()
	e, err := NewEnergy(EnergyConfig{Channels: 3, Widths: []int{32, 48, 48}, Downs: []bool{true, true, false},
		FeatureDim: 32, HeadDim: 32, LatentDim: 8, Bias: true, SpectralNorm: true, Gamma: 0.1}, 3)
	require.NoError(t, err)
	return e
}

// images are n uniform images in [0,1].
func images(n int) torch.Tensor { return torch.NewRNG(5, 0, "images").Uniform(0, 1, n, 3, 16, 16) }

// scoreAndGradient is E(x) and ∇ₓE(x).
func scoreAndGradient(b *Bound, x torch.Tensor) (score, grad torch.Tensor) {
	x = x.Leaf()
	score = b.Marginal(x)
	return score.Detach(), torch.Grad(score.Sum(), x, false)
}

func TestFrozenEqualsBound(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		x := images(4)
		score, grad := scoreAndGradient(e.Bind(), x)
		frozen, frozenGrad := scoreAndGradient(e.Frozen(torch.Float32), x)
		assert.True(t, score.Equal(frozen), "the same kernels on the same weights")
		assert.True(t, grad.Equal(frozenGrad))
	})
}

// E of grey images has the fast gradient of convolutions that read one channel.
func TestFrozenHasTheGradientInGreyImages(t *testing.T) {
	torchtest.Scope(t, func() {
		e, err := NewEnergy(EnergyConfig{Channels: 1, Widths: []int{16, 32}, Downs: []bool{true, true}, FeatureDim: 32, Bias: true, Posterior: NoLatent}, 3)
		require.NoError(t, err)
		defer nn.Close(e)
		x := torch.NewRNG(5, 0, "images").Uniform(0, 1, 4, 1, 16, 16)
		score, grad := scoreAndGradient(e.Bind(), x)
		frozen, frozenGrad := scoreAndGradient(e.Frozen(torch.Float32), x)
		torchtest.InDelta(t, score, frozen, 0)
		torchtest.InDelta(t, grad, frozenGrad, deepSums*grad.Abs().Max().Item())
	})
}

func TestFrozenKeepsTheWeightsOfItsMoment(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		x := images(2)
		frozen := e.Frozen(torch.Float32)
		before := frozen.Features(x).Clone()
		torch.NoGrad(func() { e.Blocks[0].Conv1.Weight.MulInPlace(1.5); e.Blocks[0].Conv1.PowerIterate() })
		assert.True(t, before.Equal(frozen.Features(x)), "spectral norm makes the frozen weight a copy")
	})
}

func TestBFloat16ChainsAreCloseToFloat32(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		x := images(4)
		score, grad := scoreAndGradient(e.Frozen(torch.Float32), x)
		rough, roughGrad := scoreAndGradient(e.Frozen(torch.BFloat16), x)
		assert.Equal(t, torch.Float32, rough.DType(), "the energy is float32")
		assert.Equal(t, torch.Float32, roughGrad.DType(), "so is the chain's step")
		// bfloat16 keeps 8 bits: each of about ten roundings on the way is off by up to 2⁻⁹, the energy
		// by about 1 %. The gradient rounds as often again on the way back, and a ReLU whose input is
		// near 0 may switch: 5 % here. Twice that would be a fault, not rounding.
		distance := func(a, b torch.Tensor) float64 {
			return math.Sqrt(a.Sub(b).Square().Sum().Item() / a.Square().Sum().Item())
		}
		assert.Less(t, distance(score, rough), 0.03, "energy")
		assert.Less(t, distance(grad, roughGrad), 0.1, "gradient")
		assert.Greater(t, distance(grad, roughGrad), 0.0, "it was computed in bfloat16 at all")
	})
}

// Frozen convolutions take another way to the gradient than the plain graph, in the same precision.
func TestBFloat16ChainsAreThePlainGraphOfTheSameWeights(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		x := images(4)
		frozen := e.Frozen(torch.BFloat16)
		plain := *frozen
		plain.blocks = nil
		for i, b := range frozen.blocks {
			block := e.Blocks[i]
			plainConv := func(w, b torch.Tensor, o torch.Conv2dOptions) boundConv {
				if b.Defined() {
					b = b.To(torch.BFloat16)
				}
				return boundConv{affine{w.Detach().To(torch.BFloat16), b}, o}
			}
			b.conv1 = plainConv(block.Conv1.Normalized(), block.Conv1.Bias.Detach(), torch.Conv2dOptions{Padding: 1, ReLU: i > 0})
			if b.down != nil { // E fuses the pool
				b.down = plainDown{plainConv(block.Conv2.Normalized().MovingAverage2d(2, 1), block.Conv2.Bias.Add(block.Skip.Bias).Detach(), torch.Conv2dOptions{Stride: 2, Padding: 1, ReLU: true}),
					plainConv(block.Skip.Normalized(), torch.Tensor{}, torch.Conv2dOptions{})}
			} else {
				b.conv2 = plainConv(block.Conv2.Normalized(), block.Conv2.Bias.Detach(), torch.Conv2dOptions{Padding: 1, ReLU: true})
			}
			if b.skip != nil {
				b.skip = plainConv(block.Skip.Normalized(), block.Skip.Bias.Detach(), torch.Conv2dOptions{})
			}
			plain.blocks = append(plain.blocks, b)
		}
		score, grad := scoreAndGradient(&plain, x)
		frozenScore, frozenGrad := scoreAndGradient(frozen, x)
		assert.True(t, score.Equal(frozenScore), "forward is the same convolutions, to the bit")
		// Sums in another order, rounded to 8 bits in each of six convolutions. A CPU without AVX-512 gave 0.013.
		difference := grad.Sub(frozenGrad).Norm(0, 1, 2, 3).Item() / grad.Norm(0, 1, 2, 3).Item()
		assert.Less(t, difference, 0.02)
	})
}

// plainDown is the end of a block that halves the image, by libtorch's convolutions.
type plainDown struct{ conv, skip boundConv }

func (d plainDown) Forward(h, x torch.Tensor) torch.Tensor {
	return d.conv.Forward(h).Add(d.skip.Forward(x.AvgPool2d(2)))
}

func TestMemoryFormatOfImagesDoesNotMatter(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		nchw := images(4)
		nhwc := nchw.Contiguous(torch.ChannelsLast)
		require.True(t, nhwc.IsChannelsLast())
		require.False(t, nchw.IsChannelsLast())
		score, grad := scoreAndGradient(e.Frozen(torch.Float32), nchw)
		score2, grad2 := scoreAndGradient(e.Frozen(torch.Float32), nhwc)
		torchtest.InDelta(t, score, score2, deepSums)
		torchtest.InDelta(t, grad, grad2, deepSums)

		h, err := NewEncoder(EncoderConfig{Channels: 3, Stem: "small", Widths: []int{8, 16}, Blocks: []int{1, 1}, HeadDim: 8,
			LatentDim: 4, Mean: []float64{0.5, 0.4, 0.3}, Std: []float64{0.2, 0.2, 0.2}}, Range{0, 1}, 1)
		require.NoError(t, err)
		defer nn.Close(h)
		torchtest.InDelta(t, h.Latent(nchw), h.Latent(nhwc), deepSums)

		q, err := NewInference(InferenceConfig{Channels: 3, Widths: []int{8, 16}, LatentDim: 4}, 1)
		require.NoError(t, err)
		defer nn.Close(q)
		mean, logVar := q.Forward(nchw)
		mean2, logVar2 := q.Forward(nhwc)
		torchtest.InDelta(t, mean, mean2, deepSums)
		torchtest.InDelta(t, logVar, logVar2, deepSums)
	})
}

func TestFeaturesServeBothTerms(t *testing.T) {
	torchtest.Scope(t, func() {
		e := wide(t)
		defer nn.Close(e)
		b, x, z := e.Bind(), images(3), random("z", 3, 8).To(torch.Float32)
		f := b.Features(x)
		torchtest.InDelta(t, b.Marginal(x), b.Score(f), 0)
		torchtest.InDelta(t, b.Joint(x, z), b.Score(f).Add(b.Cosine(f, z).MulScalar(0.1)), 1e-6) // one fused multiply-add
		assert.LessOrEqual(t, b.Cosine(f, z).Abs().Max().Item(), 1+1e-6)
	})
}
