//go:build long

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program's own defaults, 8 seeds of 10,000 steps, take an hour and more.
func TestClippedChainsCoverTwoModesFromEAlone(t *testing.T) {
	r, err := runAll(t.Context(), t.TempDir(), 1, 1500)
	require.NoError(t, err)
	end := r.Runs[0].Course[len(r.Runs[0].Course)-1]
	for _, share := range []float64{end.Left, end.Right, r.Runs[0].MCMC.Left, r.Runs[0].MCMC.Right} {
		assert.Greater(t, share, 0.25, "both modes: %+v, after MCMC %+v", end, r.Runs[0].MCMC)
	}
}
