package models

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch/nn"
)

func TestParamsAreThoseOfTheNetworksThatAreMade(t *testing.T) {
	wide := EnergyConfig{Channels: 3, Widths: []int{4, 4, 6}, Downs: []bool{true, false, false}, FeatureDim: 5, HeadDim: 7, LatentDim: 3}
	change := func(f func(c *EnergyConfig)) EnergyConfig {
		c := wide
		f(&c)
		return c
	}
	for name, c := range map[string]EnergyConfig{
		"the paper's":    wide,
		"with biases":    change(func(c *EnergyConfig) { c.Bias = true }),
		"spectral norms": change(func(c *EnergyConfig) { c.SpectralNorm = true }),
		"pooled f":       change(func(c *EnergyConfig) { c.FeatureDim = 0 }),
		"linear F":       change(func(c *EnergyConfig) { c.LinearF = true }),
		"linear F of pooled f, no latents": change(func(c *EnergyConfig) {
			c.LinearF, c.FeatureDim, c.Posterior = true, 0, NoLatent
		}),
		"Gaussian": change(func(c *EnergyConfig) { c.Posterior = Gaussian }),
		"CEBM":     change(func(c *EnergyConfig) { c.Posterior = CEBM }),
	} {
		e, err := NewEnergy(c, 1)
		require.NoError(t, err)
		assert.Equal(t, nn.CountParams(e), c.Count(32).Params, name)
		nn.Close(e)
	}
	for _, c := range []GeneratorConfig{{Channels: 3, LatentDim: 5, Widths: []int{6, 4, 4}}, {Channels: 1, LatentDim: 2, Widths: []int{3, 3}}} {
		g, err := NewGenerator(c, Range{0, 1}, 1)
		require.NoError(t, err)
		assert.Equal(t, nn.CountParams(g), c.Count().Params, "%+v", c)
		nn.Close(g)
	}
	for _, c := range []InferenceConfig{{Channels: 3, Stem: 5, Widths: []int{4, 6}, LatentDim: 3}, {Channels: 1, Widths: []int{4}, LatentDim: 2}} {
		q, err := NewInference(c, 1)
		require.NoError(t, err)
		assert.Equal(t, nn.CountParams(q), c.Count(32).Params, "%+v", c)
		nn.Close(q)
	}
	for _, stem := range []string{"small", "medium", "large"} {
		c := EncoderConfig{Channels: 1, Stem: stem, Widths: []int{4, 4, 6}, Blocks: []int{2, 1, 1}, HeadDim: 8, LatentDim: 3, Mean: []float64{0}, Std: []float64{1}}
		h, err := NewEncoder(c, Range{0, 1}, 1)
		require.NoError(t, err)
		assert.Equal(t, nn.CountParams(h), c.Count(32).Params, stem)
		nn.Close(h)
	}
}
