package models

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestConfigsThatMakeNoNetworkAreErrors(t *testing.T) {
	before := torch.Live()
	_, err := NewEnergy(EnergyConfig{}, 1)
	assert.ErrorContains(t, err, "energy.widths has 0 entries and energy.downs 0")
	_, err = NewEnergy(EnergyConfig{Widths: []int{4, 4}, Downs: []bool{true}}, 1)
	assert.ErrorContains(t, err, "energy.widths has 2 entries and energy.downs 1")
	_, err = NewGenerator(GeneratorConfig{Widths: []int{4}}, Range{0, 1}, 1)
	assert.ErrorContains(t, err, "widths [4]")
	_, err = NewEncoder(EncoderConfig{Stem: "huge"}, Range{0, 1}, 1)
	assert.ErrorContains(t, err, `stem is "huge" (use small, medium or large)`)
	_, err = NewEncoder(EncoderConfig{Channels: 3, Stem: "small", Widths: []int{4}, Blocks: []int{1}, Mean: []float64{0.5}, Std: []float64{0.5}}, Range{0, 1}, 1)
	assert.ErrorContains(t, err, "1 means and 1 stds for 3 channels")
	assert.Equal(t, before, torch.Live())
}

func TestWeightsComeFromTheSeed(t *testing.T) {
	c := GeneratorConfig{Channels: 1, LatentDim: 3, Widths: []int{4, 4}}
	draw := func(seed uint64) (out []float64) {
		g, err := NewGenerator(c, Range{0, 1}, seed)
		require.NoError(t, err)
		defer nn.Close(g)
		require.NoError(t, torch.Do(func() error {
			for _, p := range nn.Params(g) {
				out = append(out, p.Float64s()...)
			}
			return nil
		}))
		return out
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}

func TestRanges(t *testing.T) {
	torchtest.Scope(t, func() {
		unit, symmetric, x := Range{0, 1}, Range{-1, 1}, torch.FromSlice([]float32{0, 0.25, 1})
		assert.Equal(t, x, unit.FromUnit(x), "nothing to do")
		assert.Equal(t, x, unit.ToUnit(x))
		assert.Equal(t, x, symmetric.To(symmetric, x))
		assert.Equal(t, []float32{-1, -0.5, 1}, torch.ToSlice[float32](symmetric.FromUnit(x)))
		assert.Equal(t, []float32{0, 0.25, 1}, torch.ToSlice[float32](symmetric.ToUnit(symmetric.FromUnit(x))))
		assert.Equal(t, []float32{-1, -0.5, 1}, torch.ToSlice[float32](unit.To(symmetric, x)))
		assert.Equal(t, []float32{10, 12.5, 20}, torch.ToSlice[float32](unit.To(Range{10, 20}, x)))
	})
}

func TestGeneratorStaysInItsRange(t *testing.T) {
	for name, r := range map[string]Range{"unit": {0, 1}, "symmetric": {-1, 1}} {
		torchtest.Run(t, name, func(t *testing.T) {
			g, err := NewGenerator(GeneratorConfig{Channels: 3, LatentDim: 4, Widths: []int{8, 8, 4}}, r, 1)
			require.NoError(t, err)
			defer nn.Close(g)
			x := g.Forward(torch.NewRNG(1, 0, "m").Normal(16, 4).MulScalar(50), nn.Train).AssertShape(16, 3, 16, 16)
			assert.GreaterOrEqual(t, x.Min().Item(), r.Low)
			assert.LessOrEqual(t, x.Max().Item(), r.High)
			assert.Less(t, x.Min().Item(), r.Low+0.3*(r.High-r.Low), "and uses it")
			assert.Greater(t, x.Max().Item(), r.High-0.3*(r.High-r.Low), "and uses it")
		})
	}
}

func TestLatentsLieOnTheSphere(t *testing.T) {
	torchtest.Scope(t, func() {
		h, err := NewEncoder(EncoderConfig{Channels: 1, Stem: "small", Widths: []int{4}, Blocks: []int{1}, HeadDim: 8, LatentDim: 5,
			Mean: []float64{0.5}, Std: []float64{0.25}}, Range{0, 1}, 1)
		require.NoError(t, err)
		defer nn.Close(h)
		z := h.Latent(torch.NewRNG(1, 0, "x").Uniform(0, 1, 7, 1, 8, 8)).AssertShape(7, 5)
		torchtest.InDelta(t, torch.Ones([]int{7}, torch.Float32), z.Norm(1), 1e-6) // a square root of five squares
	})
}

func TestEncodersOfEveryImageSizeAreTorchvisionsResNet18(t *testing.T) {
	golden := torchtest.Load(t, "testdata/encoder.npz")
	const head = 512*1024 + 1024 + 2*1024 + 1024*64 + 64 // Linear, BN, Linear
	for stem, size := range map[string]int{"small": 32, "medium": 64, "large": 256} {
		torchtest.Run(t, stem, func(t *testing.T) {
			h, err := NewEncoder(EncoderConfig{Channels: 3, Stem: stem, Widths: []int{64, 128, 256, 512}, Blocks: []int{2, 2, 2, 2}, HeadDim: 1024, LatentDim: 64,
				Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25}}, Range{0, 1}, 1)
			require.NoError(t, err)
			defer nn.Close(h)
			assert.Equal(t, golden.Tensor("resnet18."+stem+".parameters").Item()+head, float64(nn.CountParams(h)))
			torch.NoGrad(func() {
				x := torch.NewRNG(1, 0, "x").Uniform(0, 1, 2, 3, size, size)
				h.Features(x, nn.Eval).AssertShape(2, 512)
				z := h.Forward(x, nn.Train).AssertShape(2, 64)
				assert.Greater(t, z.Sub(z.MeanKeepDim(0)).Abs().Max().Item(), 0.0, "images differ")
			})
		})
	}
}

func TestBlackIsAMaximumOfAnEnergyWithoutBiases(t *testing.T) {
	torchtest.Scope(t, func() { // train.Config.Warnings warns of it
		e, err := NewEnergy(EnergyConfig{Channels: 1, Widths: []int{8, 8}, Downs: []bool{true, false}, FeatureDim: 8, HeadDim: 8, LatentDim: 4}, 1)
		require.NoError(t, err)
		defer nn.Close(e)
		b := e.Bind()
		assert.Zero(t, b.Marginal(torch.Zeros([]int{1, 1, 8, 8}, torch.Float32)).Item())
		assert.Negative(t, b.Marginal(torch.NewRNG(1, 0, "x").Uniform(0, 1, 20, 1, 8, 8)).Max().Item())
	})
}

func TestPowerIterateReachesEveryLayer(t *testing.T) {
	torchtest.Scope(t, func() {
		e, err := NewEnergy(EnergyConfig{Channels: 1, Widths: []int{4, 4}, Downs: []bool{true, false}, FeatureDim: 6, HeadDim: 5, LatentDim: 4,
			SpectralNorm: true, LinearF: true}, 1)
		require.NoError(t, err)
		defer nn.Close(e)
		before := map[string]torch.Tensor{}
		torch.NoGrad(func() {
			for _, l := range nn.State(e) {
				if !l.Buffer {
					l.Tensor.CopyFrom(torch.NewRNG(2, 0, l.Name).NormalLike(l.Tensor)) // another weight, so that u and v must move
				} else {
					before[l.Name] = l.Tensor.Clone()
				}
			}
		})
		e.PowerIterate()
		assert.Len(t, before, 2*(5+4), "u and v of five convolutions and four linear maps")
		for _, l := range nn.State(e) {
			if l.Buffer && l.Tensor.Numel() > 1 { // u of F is a single ±1
				assert.False(t, before[l.Name].Equal(l.Tensor), l.Name)
			}
		}
	})
}

func TestRecalibrateAveragesBatchStatistics(t *testing.T) {
	const batches, n = 4, 8
	torchtest.Scope(t, func() {
		g, err := NewGenerator(GeneratorConfig{Channels: 1, LatentDim: 3, Widths: []int{4, 4}}, Range{0, 1}, 1)
		require.NoError(t, err)
		defer nn.Close(g)
		g.BN.RunningMean.CopyFrom(torch.Scalar(1000)) // what was there does not matter
		var latents []torch.Tensor
		for i := range batches {
			latents = append(latents, torch.NewRNG(1, i, "m").Normal(n, 3).AddScalar(2))
		}
		g.Recalibrate(batches, func(i int) torch.Tensor { return latents[i] })

		// The first norm sees In's output: its statistics are the batches' plain means.
		mean := torch.Zeros([]int{4}, torch.Float32)
		for _, m := range latents {
			h := g.In.Forward(m).Detach().Reshape(n, 4, 4, 4)
			mean = mean.AddScaled(h.MeanDim(0, 2, 3), 1.0/batches)
		}
		torchtest.InDelta(t, mean, g.Blocks[0].BN1.RunningMean, 1e-6)
		assert.Less(t, g.BN.RunningMean.Abs().Max().Item(), 100.0)
		assert.Equal(t, 0.1, g.BN.Momentum, "as before")
		assert.Equal(t, 0.1, g.Blocks[0].BN2.Momentum)
	})
}
