package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Detection says how well scores tell inliers, which score high, from outliers. Papers differ in which class is positive.
// AUROC does not depend on that; the other measures are given for both.
type Detection struct {
	AUROC float64 `json:"auroc"` // probability that an inlier scores above an outlier; a tie counts half
	// Average precision, as in scikit-learn's average_precision_score.
	AUPRIn  float64 `json:"aupr_in"`  // inliers positive
	AUPROut float64 `json:"aupr_out"` // outliers positive
	// The rate of false positives at the highest threshold that finds at least 95 % of the positives.
	FPR95In  float64 `json:"fpr95_in"`  // inliers positive: outliers accepted at 95 % of the inliers
	FPR95Out float64 `json:"fpr95_out"` // outliers positive: inliers rejected at 95 % of the outliers, as OpenOOD and pytorch-ood
}

// Interval is a bootstrap confidence interval.
type Interval struct {
	Low  Detection `json:"low"`
	High Detection `json:"high"`
}

// Detect compares the scores of inliers with those of outliers.
func Detect(inliers, outliers []float64) (Detection, error) {
	r, err := newRanking(inliers, outliers)
	if err != nil {
		return Detection{}, err
	}
	return r.detection(r.in, r.out), nil
}

// DetectInterval is the 95 % bootstrap interval of [Detect]: inliers and outliers are each resampled with replacement, and
// the interval has the percentiles 2.5 and 97.5.
func DetectInterval(ctx context.Context, inliers, outliers []float64, resamples int, seed uint64) (Interval, error) {
	r, err := newRanking(inliers, outliers)
	if err != nil {
		return Interval{}, err
	}
	if resamples < 2 {
		return Interval{}, fmt.Errorf("%d bootstrap resamples: give at least 2", resamples)
	}
	var key [32]byte
	copy(key[:], fmt.Sprintf("liebm/eval/bootstrap %d", seed))
	source := rand.New(rand.NewChaCha8(key))
	all := make([][]float64, 5)
	in, out := make([]int, len(r.in)), make([]int, len(r.out))
	for range resamples {
		if err := ctx.Err(); err != nil {
			return Interval{}, err
		}
		resample(in, r.groupIn, source)
		resample(out, r.groupOut, source)
		d := r.detection(in, out)
		for i, v := range d.values() {
			all[i] = append(all[i], *v)
		}
	}
	var ci Interval
	low, high := ci.Low.values(), ci.High.values()
	for i, v := range all {
		slices.Sort(v)
		*low[i], *high[i] = quantile(v, 0.025), quantile(v, 0.975)
	}
	return ci, nil
}

// AUROC is the probability that an inlier scores above an outlier, where a tie counts half. It is 0.5 for random scores.
// [Detect] gives the other measures too.
func AUROC(inliers, outliers []float64) (float64, error) {
	d, err := Detect(inliers, outliers)
	return d.AUROC, err
}

func (d *Detection) values() []*float64 {
	return []*float64{&d.AUROC, &d.AUPRIn, &d.AUPROut, &d.FPR95In, &d.FPR95Out}
}

// quantile interpolates linearly between sorted values, as numpy does.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	return sorted[i] + (at-float64(i))*(sorted[min(i+1, len(sorted)-1)]-sorted[i])
}

// A ranking has groups of equal scores, ascending, with the numbers of inliers and outliers in each. A resample changes
// the numbers only.
type ranking struct {
	in, out           []int // per group
	groupIn, groupOut []int // the group of every inlier and outlier
}

func newRanking(inliers, outliers []float64) (*ranking, error) {
	if len(inliers) == 0 || len(outliers) == 0 {
		return nil, fmt.Errorf("AUROC of %d inliers and %d outliers: give at least one of each", len(inliers), len(outliers))
	}
	scores := slices.Concat(inliers, outliers)
	if slices.ContainsFunc(scores, math.IsNaN) {
		return nil, fmt.Errorf("AUROC: a score is NaN: check the model and the images")
	}
	slices.Sort(scores)
	scores = slices.Compact(scores)
	r := &ranking{in: make([]int, len(scores)), out: make([]int, len(scores))}
	place := func(list []float64, counts []int) []int {
		groups := make([]int, len(list))
		for i, s := range list {
			groups[i], _ = slices.BinarySearch(scores, s)
			counts[groups[i]]++
		}
		return groups
	}
	r.groupIn, r.groupOut = place(inliers, r.in), place(outliers, r.out)
	return r, nil
}

// resample draws len(groups) scores with replacement and counts them by group.
func resample(counts, groups []int, source *rand.Rand) {
	clear(counts)
	for range groups {
		counts[groups[source.IntN(len(groups))]]++
	}
}

// detection computes the measures from the counts of groups.
func (r *ranking) detection(in, out []int) Detection {
	nIn, nOut := float64(len(r.groupIn)), float64(len(r.groupOut))
	below, area := 0.0, 0.0
	for i := range in {
		area += float64(in[i]) * (below + float64(out[i])/2)
		below += float64(out[i])
	}
	d := Detection{AUROC: area / (nIn * nOut)}
	d.AUPROut, d.FPR95Out = sweep(out, in, nOut, nIn, func(i int) int { return i })
	d.AUPRIn, d.FPR95In = sweep(in, out, nIn, nOut, func(i int) int { return len(in) - 1 - i })
	return d
}

// sweep lowers the threshold group by group, from the most positive. It returns the average precision, and the rate of
// false positives when 95 % of the positives are found.
func sweep(positive, negative []int, positives, negatives float64, order func(i int) int) (precision, fpr float64) {
	tp, fp, found := 0.0, 0.0, false
	for i := range positive {
		p, n := float64(positive[order(i)]), float64(negative[order(i)])
		tp += p
		fp += n
		if p > 0 {
			precision += p / positives * tp / (tp + fp)
		}
		if !found && tp >= 0.95*positives {
			fpr, found = fp/negatives, true
		}
	}
	return precision, fpr
}
