package models

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// deepSums allows for the same sums in another order (fused kernels, NHWC, pooling first) through
// a dozen float32 layers, relative to a tensor's largest element: about a hundred ulps of 1.2e-7.
const deepSums = 1e-5

// cancelling is for gradients, which are also sums over images and pixels that may cancel: that of a
// bias in front of a batch norm is 0 but for rounding.
const cancelling = 5e-5

// checkGrads compares the gradients of a scalar with respect to x and to every parameter of the
// module that the golden has one for.
func checkGrads(t *testing.T, golden *torchtest.Golden, prefix, dx string, y, x torch.Tensor, module any) {
	t.Helper()
	want := golden.State(prefix + "g.")
	inputs, names := []torch.Tensor{x}, []string{""}
	for _, l := range nn.State(module) {
		if _, ok := want[l.Name]; ok {
			inputs, names = append(inputs, l.Tensor), append(names, l.Name)
		}
	}
	require.Len(t, names, 1+len(want), "every gradient of the golden has its parameter")
	grads := torch.Grads(y, inputs, torch.GradOptions{RetainGraph: true})
	torchtest.InDelta(t, golden.Tensor(prefix+dx), grads[0], cancelling)
	for i, name := range names[1:] {
		require.True(t, grads[i+1].Defined(), "no gradient reaches %s", name)
		torchtest.InDelta(t, want[name], grads[i+1], cancelling)
	}
}

func TestEnergyMatchesItsPlainForm(t *testing.T) {
	golden := torchtest.Load(t, "testdata/energy.npz")
	for name, c := range map[string]EnergyConfig{
		"bias":     {Channels: 3, Widths: []int{4, 6, 6, 5}, Downs: []bool{true, true, false, false}, Bias: true},
		"no_bias":  {Channels: 3, Widths: []int{4, 4, 4, 4}, Downs: []bool{true, true, false, false}},
		"spectral": {Channels: 1, Widths: []int{4, 6, 6}, Downs: []bool{true, false, false}, Bias: true, SpectralNorm: true},
		"linear_f": {Channels: 3, Widths: []int{3, 4, 5}, Downs: []bool{true, true, true}, SpectralNorm: true, LinearF: true},
		"pooled":   {Channels: 3, Widths: []int{4, 5}, Downs: []bool{true, false}, SpectralNorm: true, LinearF: true},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			c.FeatureDim, c.HeadDim, c.LatentDim, c.Gamma = 7, 9, 6, 0.3
			if name == "pooled" {
				c.FeatureDim = 0
			}
			e, err := NewEnergy(c, 1)
			require.NoError(t, err)
			defer nn.Close(e)
			require.NoError(t, nn.Load(e, "", golden.State(name+".w.")))
			x, z := golden.Tensor(name+".x").Leaf(), golden.Tensor(name+".z")

			for kind, b := range map[string]*Bound{"bound": e.Bind(), "frozen": e.Frozen(torch.Float32)} {
				f := b.Features(x)
				torchtest.InDelta(t, golden.Tensor(name+".features"), f, deepSums)
				torchtest.InDelta(t, golden.Tensor(name+".score"), b.Score(f), deepSums)
				torchtest.InDelta(t, golden.Tensor(name+".score"), b.Marginal(x), deepSums)
				torchtest.InDelta(t, golden.Tensor(name+".cosine"), b.Cosine(f, z), deepSums)
				torchtest.InDelta(t, golden.Tensor(name+".joint"), b.Joint(x, z), deepSums)
				torchtest.InDelta(t, golden.Tensor(name+".dscore"), torch.Grad(b.Marginal(x).Sum(), x, false), deepSums)
				probe := golden.Tensor(name + ".probe")
				sum := b.Marginal(x).Mul(probe.Select(0, 0)).Add(b.Joint(x, z).Mul(probe.Select(0, 1))).Sum()
				if kind == "bound" {
					checkGrads(t, golden, name+".", "dx", sum, x, e)
					continue
				}
				grads := torch.Grads(sum, append(nn.Params(e), x), torch.GradOptions{})
				torchtest.InDelta(t, golden.Tensor(name+".dx"), grads[len(grads)-1], deepSums)
				for _, g := range grads[:len(grads)-1] {
					assert.False(t, g.Defined(), "frozen weights are constants")
				}
			}
		})
	}
}

func TestGeneratorMatchesItsPlainForm(t *testing.T) {
	golden := torchtest.Load(t, "testdata/generator.npz")
	for name, c := range map[string]struct {
		config GeneratorConfig
		r      Range
	}{
		"unit":      {GeneratorConfig{Channels: 3, LatentDim: 5, Widths: []int{6, 5, 4}}, Range{0, 1}},
		"symmetric": {GeneratorConfig{Channels: 1, LatentDim: 5, Widths: []int{4, 4, 3}}, Range{-1, 1}},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			g, err := NewGenerator(c.config, c.r, 1)
			require.NoError(t, err)
			defer nn.Close(g)
			require.NoError(t, nn.Load(g, "", golden.State(name+".w.")))
			m := golden.Tensor(name + ".m").Leaf()
			assert.Equal(t, 16, c.config.Size())
			check := func(prefix string, mode nn.Mode) {
				x := g.Forward(m, mode)
				torchtest.InDelta(t, golden.Tensor(prefix+"x"), x, deepSums)
				checkGrads(t, golden, prefix, "dm", x.Mul(golden.Tensor(prefix+"probe")).Sum(), m, g)
			}
			check(name+".eval.", nn.Eval)
			check(name+".train.", nn.BatchStats)
			checkState(t, golden.State(name+".w."), g, 0)
			check(name+".train.", nn.Train)
			checkState(t, golden.State(name+".moved."), g, deepSums)
		})
	}
}

// checkState compares running statistics; a tolerance of 0 wants them untouched.
func checkState(t *testing.T, want map[string]torch.Tensor, module any, tol float64) {
	t.Helper()
	seen := 0
	for _, l := range nn.State(module) {
		if strings.Contains(l.Name, "running_") {
			torchtest.InDelta(t, want[l.Name], l.Tensor, tol)
			seen++
		}
	}
	assert.NotZero(t, seen)
}

func TestInferenceMatchesItsPlainForm(t *testing.T) {
	golden := torchtest.Load(t, "testdata/inference.npz")
	for name, c := range map[string]InferenceConfig{
		"stem":    {Channels: 3, Stem: 4, Widths: []int{5, 6, 4}, LatentDim: 5},
		"no_stem": {Channels: 1, Widths: []int{4, 6}, LatentDim: 5},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			q, err := NewInference(c, 1)
			require.NoError(t, err)
			defer nn.Close(q)
			require.NoError(t, nn.Load(q, "", golden.State(name+".w.")))
			x := golden.Tensor(name + ".x").Leaf()
			mean, logVar := q.Forward(x)
			torchtest.InDelta(t, golden.Tensor(name+".mean"), mean, deepSums)
			torchtest.InDelta(t, golden.Tensor(name+".log_var"), logVar, deepSums)
			probe := golden.Tensor(name + ".probe")
			sum := mean.Mul(probe.Select(0, 0)).Add(logVar.Mul(probe.Select(0, 1))).Sum()
			checkGrads(t, golden, name+".", "dx", sum, x, q)
		})
	}
}

// At widths that the golden file does not have, where convolutions that read images are computed in another way.
func TestFrozenEncoderIsTheEncoder(t *testing.T) {
	for stem, c := range map[string]EncoderConfig{
		"small":  {Channels: 3, Widths: []int{48, 8}, Blocks: []int{1, 1}},
		"medium": {Channels: 1, Widths: []int{16, 32}, Blocks: []int{1, 2}},
		"large":  {Channels: 1, Widths: []int{16, 256}, Blocks: []int{1, 1}}, // a stride before 16 times the channels too
	} {
		torchtest.Run(t, stem, func(t *testing.T) {
			c.Stem, c.HeadDim, c.LatentDim = stem, 16, 8
			h, err := NewEncoder(c, Range{-1, 1}, 1)
			require.NoError(t, err)
			defer nn.Close(h)
			x := torch.NewRNG(2, 0, "x").Uniform(-1, 1, 3, c.Channels, 32, 32).Leaf()
			torch.NoGrad(func() { h.Forward(x.MulScalar(0.5), nn.Train) }) // statistics that are not 0 and 1
			probe := torch.NewRNG(2, 0, "probe").Normal(3, c.LatentDim)
			want, got := h.Latent(x), h.Frozen().Latent(x)
			torchtest.InDelta(t, want, got, deepSums)
			gradient := func(z torch.Tensor) torch.Tensor { return torch.Grad(z.Mul(probe).Sum(), x, false) }
			dx := gradient(want)
			torchtest.InDelta(t, dx, gradient(got), deepSums*(1+dx.Abs().Max().Item()))
		})
	}
}

func TestEncoderMatchesItsPlainForm(t *testing.T) {
	golden := torchtest.Load(t, "testdata/encoder.npz")
	for name, c := range map[string]struct {
		config EncoderConfig
		r      Range
	}{
		"small":  {EncoderConfig{Channels: 3, Widths: []int{4, 6}, Blocks: []int{2, 1}}, Range{0, 1}},
		"medium": {EncoderConfig{Channels: 1, Widths: []int{4, 4, 5}, Blocks: []int{1, 1, 2}}, Range{-1, 1}},
		"large":  {EncoderConfig{Channels: 3, Widths: []int{3, 4, 5}, Blocks: []int{1, 1, 1}}, Range{-1, 1}},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			c.config.Stem, c.config.HeadDim, c.config.LatentDim = name, 8, 6
			c.config.Mean, c.config.Std = golden.Tensor(name+".mean").Float64s(), golden.Tensor(name+".std").Float64s()
			h, err := NewEncoder(c.config, c.r, 1)
			require.NoError(t, err)
			defer nn.Close(h)
			require.NoError(t, nn.Load(h, "", golden.State(name+".w.")))
			x := golden.Tensor(name + ".x").Leaf()

			eval, train := name+".eval.", name+".train."
			torchtest.InDelta(t, golden.Tensor(eval+"features"), h.Features(x, nn.Eval), deepSums)
			torchtest.InDelta(t, golden.Tensor(eval+"y"), h.Forward(x, nn.Eval), deepSums)
			z := h.Latent(x)
			torchtest.InDelta(t, golden.Tensor(eval+"z"), z, deepSums)
			checkGrads(t, golden, eval, "dx", z.Mul(golden.Tensor(eval+"probe")).Sum(), x, h)
			frozen := h.Frozen().Latent(x)
			torchtest.InDelta(t, golden.Tensor(eval+"z"), frozen, deepSums)
			torchtest.InDelta(t, golden.Tensor(eval+"dx"), torch.Grad(frozen.Mul(golden.Tensor(eval+"probe")).Sum(), x, false), deepSums)

			for _, mode := range []nn.Mode{nn.BatchStats, nn.Train} {
				y := h.Forward(x, mode)
				torchtest.InDelta(t, golden.Tensor(train+"y"), y, deepSums)
				checkGrads(t, golden, train, "dx", y.Mul(golden.Tensor(train+"probe")).Sum(), x, h)
				if mode == nn.BatchStats {
					checkState(t, golden.State(name+".w."), h, 0)
				}
			}
			checkState(t, golden.State(name+".moved."), h, deepSums)
		})
	}
}
