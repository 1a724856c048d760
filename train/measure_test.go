package train

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStepThatDivergedIsFound(t *testing.T) {
	good := Losses{Generator: 3, Energy: -2, Real: -1, Fake: 1, Move: 0.05}
	require.NoError(t, good.Check(7, 2))
	for name, change := range map[string]func(l *Losses){
		"cosine":   func(l *Losses) { l.Cosine = math.NaN() },
		"loss_g":   func(l *Losses) { l.Generator = math.Inf(1) },
		"move_rms": func(l *Losses) { l.Move = 0.81 },
		"loss_e":   func(l *Losses) { l.Energy = -2e6 }, // the chains are clipped, and so move little
	} {
		bad := good
		change(&bad)
		var d *Diverged
		require.ErrorAs(t, bad.Check(7, 2), &d, name)
		assert.Equal(t, name, d.Name)
		assert.Equal(t, 7, d.Step)
	}
}
