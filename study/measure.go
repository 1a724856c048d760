package study

import (
	"context"
	"maps"
	"path/filepath"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// A measurement is a group of numbers that are measured of a model together.
type measurement string

const (
	ofSamples        measurement = "samples" // distances, areas, seconds
	ofReconstruction measurement = "reconstruction, statistics of q"
	ofRestoration    measurement = "restoration, statistics of q"
	ofProbes         measurement = "probes"
	ofNearOutliers   measurement = "near outliers"
	ofGivenOutliers  measurement = "given outliers"
	ofModes          measurement = "modes"
	ofInference      measurement = "inference, statistics of q"
	ofChains         measurement = "long chains"
	ofEqualTime      measurement = "equal time"
)

// ofLatents are the measurements of images that G makes from latents of q. Earlier versions gave them other names, and measured them
// with other batch-norm statistics of G.
var ofLatents = []measurement{ofReconstruction, ofRestoration, ofInference}

// studyKey is the setting of a record that names the measurement of a study that the record belongs to. The
// results of a run may hold other records too.
const studyKey = "study"

// readings are the numbers in the records of studies. A later record replaces an earlier one.
func readings(records []eval.Record) eval.Values {
	values := eval.Values{}
	for _, r := range records {
		if _, ok := r.Settings[studyKey]; ok {
			maps.Copy(values, r.Values)
		}
	}
	return values
}

// measure makes the measurements of a trained model that the plan needs and its folder lacks, and keeps
// their records in the folder.
func (w *work) measure(ctx context.Context, c *cell, seed uint64) error {
	old, err := eval.ReadRecords(filepath.Join(c.dir(seed), ResultsFile))
	lacking := slices.DeleteFunc(slices.Clone(c.needs), func(what measurement) bool {
		return slices.ContainsFunc(old, func(r eval.Record) bool { return r.Settings[studyKey] == string(what) })
	})
	if err != nil || len(lacking) == 0 {
		return err
	}
	m, err := w.open(c, seed)
	if err != nil {
		return err
	}
	defer m.Close()
	assess := map[measurement]func(context.Context, *cell, *train.Model) ([]*eval.Record, error){
		ofSamples: w.assessSamples, ofReconstruction: w.assessReconstruction, ofRestoration: w.assessRestoration, ofProbes: w.assessProbes,
		ofNearOutliers: w.assessNearOutliers, c.folder.scale.needed(ofGivenOutliers): w.assessGivenOutliers, ofModes: w.assessModes,
		ofInference: w.assessInference, ofChains: w.assessChains, ofEqualTime: w.assessEqualTime,
	}
	for _, what := range lacking {
		records, err := assess[what](ctx, c, m)
		if err != nil {
			return err
		}
		for _, r := range records {
			r.Settings[studyKey] = string(what)
		}
		if err := Keep(c.dir(seed), records...); err != nil {
			return err
		}
	}
	return nil
}

// assessSamples measures what a model draws and, at 32×32 pixels, which images it takes for its own.
func (w *work) assessSamples(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	sc := c.folder.scale
	samples, err := AssessSamples(ctx, m, SampleOptions{N: sc.Samples, Inception: sc.Weights, Reference: c.reference()}, w.Setup)
	if err != nil {
		return nil, err
	}
	records := samples.Records
	if Classified(m.Config.Data.Name) {
		r, err := samples.diversity(ctx, m, w.Setup)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if m.Config.Data.Size != 32 { // the paper detects outliers at 32×32 pixels only
		return records, nil
	}
	outliers, err := AssessOutliers(ctx, m, OutlierOptions{Sets: sc.outliers(c.folder.data), SkipMissing: true}, w.Setup)
	return append(records, outliers), err
}

// diversity measures how samples cover Fashion-MNIST, on the features of its classifier. Other data have no classes, and with
// Inception this would take as long as FID.
func (p *Samples) diversity(ctx context.Context, m *train.Model, s Setup) (*eval.Record, error) {
	features, err := OpenFeatures(m.Config, FeatureOptions{})
	if err != nil {
		return nil, err
	}
	defer features.Close()
	unseen, err := m.Config.Open(data.HeldOut)
	if err != nil {
		return nil, err
	}
	defer unseen.Close()
	r := p.sampled("precision, recall and classes", m, features, SampleOptions{N: p.Refined.N}, s)
	unseen = unseen.Head(p.Refined.N)
	r.Of(inputOf(unseen))
	return r, features.diversity(ctx, m.Config, r, map[string]*data.Set{"": p.Refined, alone: p.Plain}, unseen)
}

// assessNearOutliers measures which images close to the data a model takes for its own.
func (w *work) assessNearOutliers(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	sets := nearSets()
	if len(m.Config.Data.LeaveOut) > 0 {
		sets = append(sets, LeftOut)
	}
	r, err := AssessOutliers(ctx, m, OutlierOptions{Sets: sets, SkipMissing: true, Standardize: true}, w.Setup)
	return []*eval.Record{r}, err
}

// assessGivenOutliers measures which images of the scale's outliers a model takes for its own.
func (w *work) assessGivenOutliers(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	r, err := AssessOutliers(ctx, m, OutlierOptions{Sets: c.folder.scale.Outliers, Standardize: true, taken: setsOfStudies()}, w.Setup)
	return []*eval.Record{r}, err
}

// inferred is how many images assessInference reads.
const inferred = 2000

// assessInference measures what q tells G of unseen images.
func (w *work) assessInference(ctx context.Context, _ *cell, m *train.Model) ([]*eval.Record, error) {
	unseen, err := m.Config.Open(data.HeldOut)
	if err != nil {
		return nil, err
	}
	defer unseen.Close()
	r, err := AssessInference(ctx, m, unseen.Head(inferred), 0, w.Setup)
	return []*eval.Record{r}, err
}

// assessModes counts the modes of samples.
func (w *work) assessModes(ctx context.Context, _ *cell, m *train.Model) ([]*eval.Record, error) {
	r, err := AssessModes(ctx, m, 0, w.Setup)
	return []*eval.Record{r}, err
}

// nearSets are the columns of the study of near outliers. MNIST is measured where it is installed.
func nearSets() []string { return append(slices.Clone(NearOutliers), "mnist") }

// reference is the file that keeps Inception's statistics of the training images. It is empty if the cell leaves classes out, since
// the file is of all classes.
func (c *cell) reference() string {
	if len(c.config.Data.LeaveOut) > 0 {
		return ""
	}
	return filepath.Join(c.folder.path, "reference.npz")
}

// assessReconstruction measures G(μ(x)) on unseen images.
func (w *work) assessReconstruction(ctx context.Context, _ *cell, m *train.Model) ([]*eval.Record, error) {
	unseen, err := m.Config.Open(data.HeldOut)
	if err != nil {
		return nil, err
	}
	defer unseen.Close()
	r, err := reconstruct(ctx, m, unseen, w.Setup)
	return []*eval.Record{r}, err
}

// assessRestoration measures the tasks of Table 8 on the last unseen images: our settings of the chains were
// chosen on the first.
func (w *work) assessRestoration(ctx context.Context, c *cell, m *train.Model) (records []*eval.Record, err error) {
	unseen, err := m.Config.Open(data.HeldOut)
	if err != nil {
		return nil, err
	}
	defer unseen.Close()
	last := unseen.Slice(max(0, unseen.N-c.folder.scale.Restored), unseen.N)
	for _, name := range c.folder.scale.tasks() {
		operator, err := Task(name, m.Config, nil)
		if err != nil {
			return nil, err
		}
		_, r, err := AssessRestoration(ctx, m, last, name, operator, train.RestoreDefaults(m.Config), w.Setup)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// assessProbes measures the features of f and, where there is one, of h.
func (w *work) assessProbes(ctx context.Context, _ *cell, m *train.Model) (records []*eval.Record, err error) {
	networks := []string{"f"}
	if m.H != nil {
		networks = append(networks, "h")
	}
	for _, on := range networks {
		r, err := AssessProbe(ctx, m, ProbeOptions{On: on}, w.Setup)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}
