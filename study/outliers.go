package study

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// MadeOutliers are sets of outliers that liebm makes from the inliers or from their shape. They need no files.
var MadeOutliers = []string{"constant", "noise", "inverted"}

// NearOutliers are made too, and are closer to the inliers: inliers upside down, inliers cut into patches in a random order,
// blurred inliers, letters and digits, and samples of G alone.
var NearOutliers = []string{"flipped", "shuffled", "blurred", "glyphs", "samples"}

// LeftOut are the held-out images of the classes that data.leave_out of the run's config names.
const LeftOut = "left-out"

// blur is the standard deviation of the filter of blurred outliers, as a share of the image's side: 2 pixels of 28.
const blur = 1.0 / 14

// standardized is the number of training images that give the mean and the deviation of a score's terms.
const standardized = 2000

// OutlierOptions are the options of [AssessOutliers].
type OutlierOptions struct {
	Sets        []string // sets of outliers: names in MadeOutliers or NearOutliers, LeftOut, or sources that [train.Config.OpenImages] opens; nil: MadeOutliers
	Inliers     string   // source of the inliers; empty: the held-out images of the run's data
	Gamma       *float64 // γ of the score s(x) (Eq. 15); nil: score_gamma of the config
	Seed        uint64   // of outliers that are made, and of the bootstrap
	Resamples   int      // of the bootstrap; 0: no intervals
	Skip        bool     // leave out files that cannot be read
	SkipMissing bool     // leave out a set that is not on this machine, with a warning; the machines of a group must have the same sets
	taken       []string // names that other sets have: see setNames
	Standardize bool     // also score by both terms with equal weight, whatever γ: see [AssessOutliers]
}

// The scores that AssessOutliers compares, and how the names of their values end.
var scoreSuffixes = []string{"", "_energy", "_cosine", "_z"}

// AssessOutliers measures how well the scores of m tell inliers, which score high, from each set of
// outliers. The scores are s(x) of Eq. 15 and its two terms. If a known set is named without a split,
// as in svhn, its held-out images are used.
//
// The values are auroc/SET, aupr_in/SET, aupr_out/SET, fpr95_in/SET and fpr95_out/SET for s(x). Those of
// F(f(x)) alone are auroc_energy/SET and so on, those of the cosine alone auroc_cosine/SET. With resamples
// the ends of the intervals are auroc/SET/low and auroc/SET/high. energy_std is the standard deviation of
// F(f(x)) on inliers: compare γ with it. The record's histogram is of s(x). SET is a name of [SetNames].
//
// With o.Standardize, auroc_z/SET and so on are those of the sum of both terms, each minus its mean and divided by its
// standard deviation over training images.
//
// In a group every process calls AssessOutliers. Rank 0 alone compares the scores: the other processes return no values.
func AssessOutliers(ctx context.Context, m *train.Model, o OutlierOptions, s Setup) (*eval.Record, error) {
	gamma := m.Config.ScoreGamma
	if o.Gamma != nil {
		gamma = *o.Gamma
	}
	if math.IsNaN(gamma) || math.IsInf(gamma, 0) {
		return nil, fmt.Errorf("gamma is %v: give a number", gamma)
	}
	if o.Sets == nil {
		o.Sets = MadeOutliers
	}
	if err := s.Group.Agree(checkSets(o.Sets)); err != nil {
		return nil, err
	}
	test, err := s.agreed(m.Config.Open(data.HeldOut))
	if err != nil {
		return nil, err
	}
	defer test.Close()
	r := s.detection(o)
	r.WeightsSHA256, r.Settings["gamma"] = m.SHA256, fmt.Sprint(gamma)
	weigh, err := standardize(ctx, m, o, s)
	if err != nil {
		return nil, err
	}
	scores := scorer{Setup: s, m: m, gamma: gamma, weigh: weigh, record: r}
	inliers, input := test, inputOf(test)
	if o.Inliers != "" {
		if inliers, err = s.agreed(openOutliers(ctx, m, o.Inliers, test, o, r)); err != nil {
			return nil, err
		}
		defer inliers.Close()
		input = eval.InputOf(o.Inliers, inliers)
	}
	in, err := scores.score(ctx, "inliers", input, inliers)
	if err != nil {
		return nil, err
	}
	out, err := scores.scoreOutliers(ctx, test, o)
	if err != nil {
		return nil, err
	}
	if s.Group.Rank() > 0 {
		return r, nil
	}
	r.Values["energy_std"] = stat.PopStdDev(in[1], nil)
	joint := map[string][]float64{"inliers": in[0]}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		joint[name] = out[name][0]
		for i := range out[name] {
			if err := detect(ctx, r, scoreSuffixes[i], name, in[i], out[name][i], o); err != nil {
				return nil, err
			}
		}
	}
	if r.Histogram, err = eval.NewHistogram(joint, "inliers", 60); err != nil {
		return nil, fmt.Errorf("scores with gamma %v: %w", gamma, err)
	}
	return r, nil
}

// scorer scores sets of images for [AssessOutliers].
type scorer struct {
	Setup
	m     *train.Model
	gamma float64

	weigh  func(energy, cosine []float64) [][]float64 // made by standardize
	record *eval.Record                               // receives the description of each set
}

// score returns the scores of a set's images: a list for each of scoreSuffixes.
func (s scorer) score(ctx context.Context, name string, input eval.Input, set *data.Set) ([][]float64, error) {
	s.logf("scoring %d images of %s", set.N, name)
	joint, energy, cosine, err := s.m.Scores(ctx, set, s.gamma)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.record.Of(input)
	return append([][]float64{joint, energy, cosine}, s.weigh(energy, cosine)...), nil
}

// scoreOutliers returns the scores of each set of outliers that is on this machine, by its short name.
func (s scorer) scoreOutliers(ctx context.Context, test *data.Set, o OutlierOptions) (map[string][][]float64, error) {
	names, out := setNames(o.Sets, o.taken), map[string][][]float64{}
	for i, source := range o.Sets {
		name := names[i]
		set, err := s.agreed(openOutliers(ctx, s.m, source, test, o, s.record))
		if o.SkipMissing && errors.Is(err, fs.ErrNotExist) {
			s.logf("warning: AUROC against %s is left out: %v", name, err)
			s.record.Warn(fmt.Sprintf("%s is left out: %v", name, err))
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name], err = s.score(ctx, name, eval.InputOf(source, set), set)
		if err := errors.Join(err, set.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// standardize returns a function that computes the standardized sum of both terms of scores. Without o.Standardize, the function
// returns nil.
func standardize(ctx context.Context, m *train.Model, o OutlierOptions, s Setup) (func(energy, cosine []float64) [][]float64, error) {
	if !o.Standardize {
		return func(_, _ []float64) [][]float64 { return nil }, nil
	}
	training, err := s.agreed(m.Config.Open(data.Train))
	if err != nil {
		return nil, err
	}
	defer training.Close()
	_, energies, cosines, err := m.Scores(ctx, training.Head(standardized), 0)
	if err != nil {
		return nil, err
	}
	return standardizedSum(energies, cosines), nil
}

// standardizedSum returns a function that computes the sum of both terms of scores, each minus its mean and divided by its standard
// deviation over these lists.
func standardizedSum(energies, cosines []float64) func(energy, cosine []float64) [][]float64 {
	meanE, stdE := stat.PopMeanStdDev(energies, nil)
	meanC, stdC := stat.PopMeanStdDev(cosines, nil)
	for _, std := range []*float64{&stdE, &stdC} {
		if *std == 0 { // E is flat, or there is no latent term
			*std = 1
		}
	}
	return func(energy, cosine []float64) [][]float64 {
		sum := make([]float64, len(energy))
		for i := range sum {
			sum[i] = (energy[i]-meanE)/stdE + (cosine[i]-meanC)/stdC
		}
		return [][]float64{sum}
	}
}

// SetNames returns a short and different name for each set: the last part of its path, without the ending of a file. If a name
// is taken, a number is added.
func SetNames(sources []string) []string { return setNames(sources, nil) }

// setNames is SetNames if these names are taken.
func setNames(sources, taken []string) (names []string) {
	for _, source := range sources {
		name := source
		if info, err := os.Stat(source); err == nil {
			if full, err := filepath.Abs(source); err == nil {
				name = filepath.Base(full)
			}
			if !info.IsDir() {
				name = strings.TrimSuffix(name, filepath.Ext(name))
			}
		}
		short := name
		for n := 2; name == "inliers" || slices.Contains(names, name) || slices.Contains(taken, name); n++ {
			name = fmt.Sprintf("%s-%d", short, n)
		}
		names = append(names, name)
	}
	return names
}

// setsOfStudies are the names of the outliers that studies have of their own.
func setsOfStudies() []string {
	return slices.Concat(MadeOutliers, NearOutliers, []string{LeftOut}, data.Names())
}

// A ScoreList is the scores of the images of a set.
type ScoreList struct {
	Name   string
	Scores []float64
}

// AssessScores is AssessOutliers for given scores of one method. The names of its values have no suffix.
func AssessScores(ctx context.Context, inliers ScoreList, outliers []ScoreList, o OutlierOptions, s Setup) (*eval.Record, error) {
	r := s.detection(o)
	r.Of(eval.Input{Name: inliers.Name, Kind: "scores", N: len(inliers.Scores)})
	for _, list := range outliers {
		r.Of(eval.Input{Name: list.Name, Kind: "scores", N: len(list.Scores)})
		if err := detect(ctx, r, "", list.Name, inliers.Scores, list.Scores, o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// detection begins a record of a detection.
func (s Setup) detection(o OutlierOptions) *eval.Record {
	r := eval.NewRecord("outlier detection", s.Versions)
	r.Seed = &o.Seed
	r.Settings = map[string]string{"positive": "inliers score high; aupr_in and fpr95_in take them as positive, aupr_out and fpr95_out the outliers"}
	if o.Resamples > 0 {
		r.Settings["interval"] = fmt.Sprintf("95 %% percentile bootstrap of %d resamples", o.Resamples)
	}
	return r
}

// detect adds the values of one score against one set to the record.
func detect(ctx context.Context, r *eval.Record, suffix, set string, in, out []float64, o OutlierOptions) error {
	d, err := eval.Detect(in, out)
	if err != nil {
		return fmt.Errorf("%s: %w", set, err)
	}
	ends := map[string]eval.Detection{"": d}
	if o.Resamples > 0 {
		ci, err := eval.DetectInterval(ctx, in, out, o.Resamples, o.Seed)
		if err != nil {
			return err
		}
		ends["/low"], ends["/high"] = ci.Low, ci.High
	}
	for end, v := range ends {
		for name, x := range map[string]float64{"auroc": v.AUROC, "aupr_in": v.AUPRIn, "aupr_out": v.AUPROut, "fpr95_in": v.FPR95In, "fpr95_out": v.FPR95Out} {
			r.Values[name+suffix+"/"+set+end] = x
		}
	}
	return nil
}

// checkSets returns an error if a set is neither made, nor known, nor at a path, before the others are scored.
func checkSets(sets []string) error {
	made := slices.Concat(MadeOutliers, NearOutliers, []string{LeftOut})
	for _, name := range sets {
		known, _, _ := strings.Cut(name, ":")
		_, errKnown := data.Lookup(known)
		_, errName := os.Stat(name)
		_, errPath := os.Stat(known)
		if errKnown != nil && errName != nil && errPath != nil && !slices.Contains(made, name) {
			return fmt.Errorf("no outliers are called %s: use one of %s, a data set of liebm data list, or a path", name, strings.Join(made, ", "))
		}
	}
	return nil
}

// openOutliers opens or makes a set of outliers in the shape that the run's networks read. What is made has
// the padding that the inliers have.
func openOutliers(ctx context.Context, m *train.Model, name string, test *data.Set, o OutlierOptions, r *eval.Record) (*data.Set, error) {
	if name == "samples" {
		if m.G == nil {
			return nil, errors.New("samples as outliers need the model's G, and LoadScorer leaves it out: use LoadModel")
		}
		return m.Sample(ctx, test.N, train.SampleOptions{Seed: o.Seed, NoMCMC: true})
	}
	if name == LeftOut {
		return m.Config.OpenLeftOut()
	}
	if slices.Contains(MadeOutliers, name) || slices.Contains(NearOutliers, name) {
		return makeOutliers(m.Config, name, test, o.Seed)
	}
	split := data.Split("")
	if _, err := data.Lookup(name); err == nil {
		split = data.HeldOut
	}
	set, err := m.Config.OpenImages(name, data.Options{Split: split, Skip: o.Skip})
	if err == nil && set.Fit != "" {
		r.Warn(fmt.Sprintf("%s: fitted to %d×%d pixels (%s); papers differ between padding with black and resizing", name, set.H, set.W, set.Fit))
	}
	return set, err
}

func makeOutliers(cfg train.Config, name string, test *data.Set, seed uint64) (set *data.Set, err error) {
	raw, err := cfg.Crop(test)
	if err != nil {
		return nil, err
	}
	switch o := (data.OutlierOptions{Seed: seed}); name {
	case "constant":
		set, err = data.Constant(raw.Shape, o)
	case "noise":
		set, err = data.Noise(raw.Shape, o)
	case "inverted":
		set = data.Inverted(raw)
	case "flipped":
		set = data.Flipped(raw)
	case "shuffled":
		set = data.Shuffled(raw, seed)
	case "blurred":
		set = data.Blurred(raw, blur*float64(raw.H))
	default:
		set, err = data.Glyphs(raw.Shape, seed)
	}
	if err != nil || set.H == test.H {
		return set, err
	}
	return set.Pad(test.H)
}
