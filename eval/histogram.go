package eval

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// A Histogram counts numbers of several kinds in the same bins. The first and the last bin also count all numbers beyond them.
type Histogram struct {
	Edges  []float64        `json:"edges"`  // of the bins, ascending
	Counts map[string][]int `json:"counts"` // by kind: one number fewer than edges
}

// NewHistogram counts numbers by kind in bins of equal width. The bins cover the middle 98 % of each kind, and half as much on either
// side. They are limited to twice the width of the kind called around on each side, so that far numbers cannot push this kind into one
// bin. NewHistogram returns an error if a number is infinite or NaN.
func NewHistogram(numbers map[string][]float64, around string, bins int) (*Histogram, error) {
	lo, hi := math.Inf(1), math.Inf(-1)
	ends := map[string][2]float64{} // of each kind without far numbers
	for kind, list := range numbers {
		sorted := slices.Sorted(slices.Values(list))
		least, most := sorted[0], sorted[len(sorted)-1]
		lo, hi = min(lo, least), max(hi, most)
		low, high := stat.Quantile(0.01, stat.Empirical, sorted, nil), stat.Quantile(0.99, stat.Empirical, sorted, nil)
		ends[kind] = [2]float64{max(least, low-(high-low)/2), min(most, high+(high-low)/2)}
	}
	if width := hi - lo; math.IsInf(width, 0) || math.IsNaN(width) {
		return nil, fmt.Errorf("a histogram of numbers from %v to %v: all must be finite", lo, hi)
	}
	if middle := ends[around]; middle[1] > middle[0] {
		least, most := middle[0]-2*(middle[1]-middle[0]), middle[1]+2*(middle[1]-middle[0])
		lo, hi = middle[0], middle[1]
		for _, end := range ends {
			lo, hi = min(lo, max(end[0], least)), max(hi, min(end[1], most))
		}
	}
	if lo == hi {
		lo, hi = lo-0.5, hi+0.5
	}
	h := &Histogram{Counts: map[string][]int{}}
	for i := range bins + 1 {
		h.Edges = append(h.Edges, lo+(hi-lo)*float64(i)/float64(bins))
	}
	for kind, list := range numbers {
		counts := make([]int, bins)
		for _, v := range list {
			at := float64(bins) * (v - lo) / (hi - lo)
			counts[int(min(max(at, 0), float64(bins-1)))]++
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
