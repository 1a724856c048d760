package eval

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFarOutliersDoNotHideTheInliersOfAHistogram(t *testing.T) {
	numbers := map[string][]float64{"inliers": nil, "near": nil, "far": nil}
	for i := range 1000 {
		x := float64(i) / 1000
		numbers["inliers"] = append(numbers["inliers"], x)
		numbers["near"] = append(numbers["near"], x-1)
		numbers["far"] = append(numbers["far"], -1e6-x)
	}
	h, err := NewHistogram(numbers, "inliers", 60)
	require.NoError(t, err)
	require.NoError(t, h.Check())
	seen, total := 0, 0
	for i, n := range h.Counts["inliers"] {
		if total += n; n > 20 {
			seen++
			assert.True(t, h.Edges[i] < 1 && h.Edges[i+1] > 0)
		}
	}
	assert.Greater(t, seen, 8, "inliers fill several bins")
	assert.Equal(t, 1000, total)
	assert.Equal(t, 1000, h.Counts["far"][0], "numbers beyond are in the bins at the ends")
	numbers["inliers"][0], numbers["far"] = 1e9, []float64{0.5}
	h, err = NewHistogram(numbers, "inliers", 60)
	require.NoError(t, err)
	assert.Equal(t, 1, h.Counts["inliers"][59], "nor does an inlier")
	assert.Less(t, h.Edges[60], 2.0)

	same, err := NewHistogram(map[string][]float64{"inliers": {2, 2}, "far": {2}}, "inliers", 4)
	require.NoError(t, err)
	assert.NoError(t, same.Check(), "equal numbers")
	_, err = NewHistogram(map[string][]float64{"inliers": {math.Inf(1)}}, "inliers", 4)
	assert.ErrorContains(t, err, "all must be finite")
}
