//go:build long

package study

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLongChainsAreMeasuredFromSamplesAndFromData(t *testing.T) {
	m := open(t, tinyRun(t))
	r, err := AssessChains(t.Context(), m, ChainOptions{N: 4, Seed: 1}, Setup{})
	require.NoError(t, err)
	for _, start := range []string{"samples", "data"} {
		for _, steps := range []string{"0", "5", "15", "100", "1000", "trained"} {
			for _, of := range []string{"energy", "move", "class_agreement"} {
				assert.Contains(t, r.Values, of+"/"+steps+"/"+start)
			}
		}
		assert.NotContains(t, r.Values, "fd/1000/"+start, "of too few images")
		assert.Equal(t, 1.0, r.Values["class_agreement/0/"+start])
		assert.Zero(t, r.Values["move/0/"+start])
		assert.Positive(t, r.Values["move/1000/"+start])
		assert.Equal(t, r.Values["fd/5/"+start], r.Values["fd/trained/"+start], "fmnist-em trains chains of 5 steps")
	}
	assert.Less(t, r.Values["fd/0/data"], r.Values["fd/0/samples"], "samples of an untrained G")
	assert.Equal(t, "4", r.Settings["n"])
}
