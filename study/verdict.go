package study

import (
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/liebm/liebm/eval"
)

// A claim is a trend that the paper reports, or that a study of ours tests: one number of a model should be better than another's.
type claim struct {
	text          string
	better, worse reading
	slack         float64 // the first model may be worse by this share of the second one's number; 0: it must be better
	why           string  // what may be the cause where it does not appear, and how to find out; may be empty
	ours          bool    // in a table or figure of the paper: a comparison that the paper does not make
}

// A reading is one number of a variant.
type reading struct{ variant, metric string }

// A Trend is a claim, judged on models of the same seeds.
type Trend struct {
	Text    string  `json:"text"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`  // what may be the cause if the verdict is not "shows"
	Ours    bool    `json:"ours,omitempty"` // the paper does not make the comparison, although its table or figure is the study
	Tie     float64 `json:"tie"`            // gains of this size and below count as equal
	Limit   float64 `json:"limit"`          // the claim allows that the first model is worse by up to this much; 0: it must be better
	Contrast
	Diverged int `json:"diverged,omitempty"` // seeds of which a model diverged for good, or its long chains; the contrast leaves them out
}

// A Pair is two models that a claim compares, with all numbers that tell how good they are. The first model may be better in one
// number and worse in another.
type Pair struct {
	First   string     `json:"first"` // its label; the claims call it the better one
	Second  string     `json:"second"`
	Numbers []Contrast `json:"numbers"`
}

// A Contrast compares one number of two models, seed by seed.
type Contrast struct {
	Name     string      `json:"name"`
	Seeds    int         `json:"seeds"`
	Means    eval.Values `json:"means"`              // of better and worse
	Gain     float64     `json:"gain"`               // mean difference, above 0 where better has the better number
	Interval *[2]float64 `json:"interval,omitempty"` // of the gain, 95 %, by Student's t; nil: fewer than two seeds
}

// A Verdict says whether the results of several seeds support a claim.
type Verdict string

// The verdicts, for a claim without a limit. A claim with a limit has no tie: it shows if the interval is above minus the limit, and
// contradicts if the interval is below. With fewer than [MinSeeds] seeds, or if the model of one seed diverged, a claim is undecided.
const (
	Shows       Verdict = "shows"       // the interval is above 0, and the mean gain above the tie band
	Contradicts Verdict = "contradicts" // the interval is below 0, and the mean gain below minus the tie band
	Tie         Verdict = "tie"         // the interval is inside the tie band
	Undecided   Verdict = "undecided"
	NotMeasured Verdict = "not measured"
)

// MinSeeds is the number of paired seeds that a verdict needs.
const MinSeeds = 3

// tieBand is the gain that counts as a tie: .01 of areas, accuracies and SSIM, 0.1 dB of PSNR, 10 modes, and 5 % of
// distances and errors. Most models of docs/results were trained after it was chosen.
func tieBand(metric string, mean float64) float64 {
	switch {
	case !largerIsBetter(metric) || strings.HasPrefix(strings.ToLower(metric), "is"):
		return 0.05 * math.Abs(mean)
	case strings.HasPrefix(metric, "psnr"):
		return 0.1
	case metric == "modes":
		return 10
	}
	return 0.01
}

// largerIsBetter reports whether a larger number is that of the better model. The names of IS are is in studies, and IS/mean in the
// results of a run that liebm metrics measured.
func largerIsBetter(metric string) bool {
	metric = strings.ToLower(strings.TrimPrefix(metric, evaluated))
	return slices.ContainsFunc([]string{"auroc", "aupr", "is", "psnr", "ssim", "linear", "knn5", "precision", "recall", "images_per_second", "modes", "cosine", "class_agreement"},
		func(kind string) bool { return strings.HasPrefix(metric, kind) })
}

// judge compares the two numbers of a claim on pairs of models of one seed.
func (c claim) judge(sc Scale, cells map[string][]Cell) (t Trend) {
	pairs, diverged := paired(cells[c.better.variant], cells[c.worse.variant])
	first, second := sc.metric(c.better.metric), sc.metric(c.worse.metric)
	for _, p := range pairs {
		if lost(p[0], first) || lost(p[1], second) {
			diverged++
		}
	}
	t = Trend{Text: c.text, Why: c.why, Ours: c.ours, Diverged: diverged, Contrast: contrast(pairs, first, second)}
	t.Tie = tieBand(t.Name, t.Means["worse"])
	t.Limit = c.slack * math.Abs(t.Means["worse"])
	t.Verdict = t.judge()
	return t
}

// lost reports whether a number is missing because long chains diverged.
func lost(of eval.Values, metric string) bool {
	_, measured := of[metric]
	return !measured && of[chainsDiverged] > 0
}

// paired are the numbers of two variants' models from the same seed. It leaves out models over two encoders of the same name, and
// seeds of which a model diverged. It counts these seeds.
func paired(first, second []Cell) (pairs [][2]eval.Values, diverged int) {
	for _, a := range first {
		for _, b := range second {
			switch {
			case a.Seed != b.Seed || a.Encoder == b.Encoder && a.H != b.H:
			case a.Diverged != "" || b.Diverged != "":
				diverged++
			default:
				pairs = append(pairs, [2]eval.Values{a.Values, b.Values})
			}
		}
	}
	return pairs, diverged
}

// pairs compares each two variants that a claim of the study names, once.
func (s Study) pairs(cells map[string][]Cell) (all []Pair) {
	for _, c := range s.claims {
		p := Pair{First: variantNamed(c.better.variant).label, Second: variantNamed(c.worse.variant).label}
		known := slices.ContainsFunc(all, func(q Pair) bool {
			return q.First == p.First && q.Second == p.Second || q.First == p.Second && q.Second == p.First
		})
		values, _ := paired(cells[c.better.variant], cells[c.worse.variant])
		if known || p.First == p.Second || len(values) == 0 {
			continue
		}
		a, b := cells[c.better.variant][0], cells[c.worse.variant][0]
		for _, name := range slices.Sorted(maps.Keys(values[0][0])) {
			if n := contrast(values, name, name); tellsQuality(name) && n.Seeds > 0 && a.comparable(name, b) {
				p.Numbers = append(p.Numbers, n)
			}
		}
		all = append(all, p)
	}
	return all
}

// comparable reports whether a number of two models means the same. Distances on h do only if both have the same pretrained h. Without
// one they are on an untrained network.
func (c Cell) comparable(name string, other Cell) bool {
	return !strings.HasPrefix(name, onEncoder) || c.Encoder != "" && c.Encoder == other.Encoder
}

// tellsQuality reports whether a larger or smaller number means a better model. It is false for ends of intervals, counts, memory and
// energies. Of outlier detection only the areas of s(x) and of F(f(x)) count, since the other numbers would repeat them.
func tellsQuality(name string) bool {
	last := name[strings.LastIndex(name, "/")+1:]
	return last != "low" && last != "high" && last != "std" && name != "is_std" && name != "n" && !strings.HasSuffix(name, "_floor") &&
		!slices.ContainsFunc([]string{"seconds", "memory", "nfe", "energy", "move", "aupr", "fpr95", "auroc_cosine", "auroc_z"}, func(kind string) bool { return strings.HasPrefix(name, kind) })
}

// contrast compares a number of the first of each pair with one of the second.
func contrast(pairs [][2]eval.Values, first, second string) Contrast {
	c := Contrast{Name: first, Means: eval.Values{}}
	var better, worse, gains []float64
	for _, p := range pairs {
		x, okX := p[0][first]
		y, okY := p[1][second]
		if !okX || !okY || math.IsInf(x, 0) || math.IsInf(y, 0) {
			continue
		}
		gain := y - x
		if largerIsBetter(first) {
			gain = x - y
		}
		better, worse, gains = append(better, x), append(worse, y), append(gains, gain)
	}
	if c.Seeds = len(gains); c.Seeds == 0 {
		return c
	}
	c.Means["better"], c.Means["worse"] = stat.Mean(better, nil), stat.Mean(worse, nil)
	c.Gain = stat.Mean(gains, nil)
	if c.Seeds > 1 {
		half := distuv.StudentsT{Sigma: 1, Nu: float64(c.Seeds - 1)}.Quantile(0.975) * stat.StdErr(stat.StdDev(gains, nil), float64(c.Seeds))
		c.Interval = &[2]float64{c.Gain - half, c.Gain + half}
	}
	return c
}

// judge says what the contrast shows.
func (t Trend) judge() Verdict {
	if t.Seeds == 0 {
		return NotMeasured
	}
	if t.Seeds < MinSeeds || t.Diverged > 0 {
		return Undecided
	}
	low, high := t.Interval[0], t.Interval[1]
	switch {
	case t.Limit > 0 && low > -t.Limit:
		return Shows
	case t.Limit > 0 && high < -t.Limit:
		return Contradicts
	case t.Limit > 0:
		return Undecided
	case low > 0 && t.Gain > t.Tie:
		return Shows
	case high < 0 && t.Gain < -t.Tie:
		return Contradicts
	case low >= -t.Tie && high <= t.Tie:
		return Tie
	}
	return Undecided
}
