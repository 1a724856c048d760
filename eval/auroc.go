package eval

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate"
	"gonum.org/v1/gonum/stat"
)

// AUROC is the chance that an inlier scores above an outlier, ties counting half: inliers are the
// positive class and score high. 0.5 is chance.
func AUROC(inliers, outliers []float64) (float64, error) {
	if len(inliers) == 0 || len(outliers) == 0 {
		return 0, fmt.Errorf("AUROC of %d inliers and %d outliers: give some of each", len(inliers), len(outliers))
	}
	type scored struct {
		score  float64
		inlier bool
	}
	var all []scored
	for i, list := range [][]float64{outliers, inliers} {
		for _, s := range list {
			if math.IsNaN(s) {
				return 0, fmt.Errorf("AUROC: a score is NaN: the model or the images are damaged")
			}
			all = append(all, scored{s, i == 1})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return 0
	})
	scores, positive := make([]float64, len(all)), make([]bool, len(all))
	for i, s := range all {
		scores[i], positive[i] = s.score, s.inlier
	}
	tpr, fpr, _ := stat.ROC(nil, scores, positive, nil)
	return integrate.Trapezoidal(fpr, tpr), nil
}
