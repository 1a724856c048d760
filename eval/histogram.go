package eval

import (
	"fmt"
	"math"
	"slices"
)

// A Histogram counts numbers of several kinds in the same bins.
type Histogram struct {
	Edges  []float64        `json:"edges"`  // of the bins, ascending
	Counts map[string][]int `json:"counts"` // by kind: one number fewer than edges
}

// NewHistogram counts numbers by kind in bins of equal width over their common range. It returns an error if a number is
// infinite or NaN.
func NewHistogram(numbers map[string][]float64, bins int) (*Histogram, error) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, list := range numbers {
		lo, hi = min(lo, slices.Min(list)), max(hi, slices.Max(list))
	}
	if width := hi - lo; math.IsInf(width, 0) || math.IsNaN(width) {
		return nil, fmt.Errorf("a histogram of numbers from %v to %v: all must be finite", lo, hi)
	}
	h := &Histogram{Counts: map[string][]int{}}
	for i := range bins + 1 {
		h.Edges = append(h.Edges, lo+(hi-lo)*float64(i)/float64(bins))
	}
	for kind, list := range numbers {
		counts := make([]int, bins)
		for _, v := range list {
			counts[min(bins-1, int(float64(bins)*(v-lo)/max(hi-lo, 1e-300)))]++
		}
		h.Counts[kind] = counts
	}
	return h, nil
}

// Check returns an error unless the edges ascend by steps that a plot can show and each kind has a count
// for each bin.
func (h *Histogram) Check() error {
	for i, edge := range h.Edges {
		if math.Abs(edge) > math.MaxFloat32 || i > 0 && edge <= h.Edges[i-1] {
			return fmt.Errorf("edge %d of the histogram is %g: edges must ascend", i, edge)
		}
	}
	for kind, counts := range h.Counts {
		if len(counts) != len(h.Edges)-1 || slices.ContainsFunc(counts, func(n int) bool { return n < 0 || n > math.MaxInt32 }) {
			return fmt.Errorf("the histogram of %s has %d counts for %d edges: there must be one between any two edges, and none below 0", kind, len(counts), len(h.Edges))
		}
	}
	return nil
}
