package study

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

func TestAFirstSpikeDoesNotSetTheRange(t *testing.T) {
	curve := plotter.XYs{{X: 0, Y: 5000}}
	for i := range 100 {
		curve = append(curve, plotter.XY{X: float64(10 + i), Y: 3 + float64(i%5)})
	}
	var c chart
	y := plot.Axis{Min: 3, Max: 5000}
	c.settle(&y, []plotter.XYs{curve})
	assert.Equal(t, []float64{3, 7}, []float64{y.Min, y.Max})
	slow := plotter.XYs{{X: 0, Y: 10}, {X: 50, Y: 6}, {X: 100, Y: 2}}
	y = plot.Axis{Min: 2, Max: 10}
	c.settle(&y, []plotter.XYs{slow})
	assert.Equal(t, 10.0, y.Max, "a beginning that is no spike is shown")
}

func TestLogarithmicAxesHaveLabels(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   []string
	}{{0.02, 60, []string{"0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"}}, {1e-5, 1e3, []string{"1e-05", "0.0001", "0.001", "0.01", "0.1", "1", "10", "100", "1e+03"}},
		{12, 60, []string{"20", "50"}}} {
		var labels []string
		for _, tick := range logTicks(c.lo, c.hi) {
			labels = append(labels, tick.Label)
		}
		assert.Equal(t, c.want, labels)
	}
	require.Greater(t, len(logTicks(2.1, 4.9)), 1, "within an interval of 2 to 5 the ticks are linear")
}
