package optim_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/torch/optim"
)

func TestLinear(t *testing.T) {
	for name, c := range map[string]struct {
		step, total int
		hold, floor float64
		want        float64
	}{
		"start":                 {0, 100, 0.5, 0.05, 1},
		"end of the hold":       {50, 100, 0.5, 0.05, 1},
		"half way down":         {75, 100, 0.5, 0.05, 0.525},
		"end":                   {100, 100, 0.5, 0.05, 0.05},
		"past the end":          {1000, 100, 0.5, 0.05, 0.05},
		"constant":              {100, 100, 1, 1, 1},
		"hold 1 never falls":    {100, 100, 1, 0, 1},
		"hold 1 falls at once":  {101, 100, 1, 0, 0},
		"no hold":               {25, 100, 0, 0, 0.75},
		"a run of no steps":     {0, 0, 0, 0, 1},
		"a floor above 1 rises": {100, 100, 0, 2, 2},
		"steps without a total": {3, 0, 0.5, 0.1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			assert.InDelta(t, c.want, optim.Linear(c.step, c.total, c.hold, c.floor), 1e-15)
		})
	}
}

func TestWarmUp(t *testing.T) {
	assert.Equal(t, 1.0/500, optim.WarmUp(0, 500))
	assert.Equal(t, 0.5, optim.WarmUp(249, 500))
	assert.Equal(t, 1.0, optim.WarmUp(499, 500))
	assert.Equal(t, 1.0, optim.WarmUp(10_000, 500))
	assert.Equal(t, 1.0, optim.WarmUp(0, 0), "none")
}

func TestDrops(t *testing.T) {
	for step, want := range map[int]float64{0: 1, 149: 1, 150: 0.2, 174: 0.2, 175: 0.04, 500: 0.04} {
		assert.InDelta(t, want, optim.Drops(step, 0.2, 150, 175), 1e-15, "step %d", step)
	}
	assert.Equal(t, 1.0, optim.Drops(3, 0.2))
}

func TestEMADecayWarmsUp(t *testing.T) {
	assert.Equal(t, 0.1, optim.EMADecay(0.9999, 0))
	assert.Equal(t, 0.5, optim.EMADecay(0.9999, 8))
	assert.Equal(t, 0.9999, optim.EMADecay(0.9999, 1_000_000))
	assert.Zero(t, optim.EMADecay(0, 100))
}
