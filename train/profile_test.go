package train

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProfileCoversAlgorithm1(t *testing.T) {
	slow(t)
	cfg := FashionMNIST()
	cfg.Batch, cfg.Chain.Steps, cfg.Precision = 2, 2, "bfloat16"
	var seen []int
	p, err := MeasureProfile(t.Context(), cfg, EncoderFor(cfg), 2, func(i int) { seen = append(seen, i) })
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2}, seen)
	var names []string
	share, inParts, inOperators := 0.0, 0.0, 0.0
	for _, r := range p.Parts {
		names = append(names, r.Part)
		share += r.Share
		inParts += r.GFLOP
		assert.Positive(t, r.Milliseconds, r.Part)
	}
	assert.Equal(t, []string{"latent", "G forward", chainOfG, "G update", "negatives", chainOfE, "E update", "averages"}, names)
	assert.InDelta(t, 1, share, 1e-6)
	for _, r := range p.Operators {
		inOperators += r.GFLOP
	}
	assert.InEpsilon(t, inParts, inOperators, 1e-9)
	// What the plan counts, give or take spectral norms, the missing gradient in the first layers'
	// inputs and the margin of strided gradients.
	assert.InEpsilon(t, cfg.flops(EncoderFor(cfg))/1e9, inParts, 0.3)
}
