package study

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// ResultsFile is the file of a run folder with the measurements of the run, one record in each
// line.
const ResultsFile = "results.jsonl"

// Keep appends records to the results of the run in dir: all of them or, on an error, none.
func Keep(dir string, records ...*eval.Record) error {
	return eval.AppendRecords(filepath.Join(dir, ResultsFile), records...)
}

// record begins a record about m.
func (s Setup) record(metric string, m *train.Model, seed uint64) *eval.Record {
	r := eval.NewRecord(metric, s.Versions)
	r.Seed, r.WeightsSHA256, r.Settings = &seed, m.SHA256, map[string]string{}
	return r
}

// inputOf describes a set under its name and split.
func inputOf(set *data.Set) eval.Input {
	name := set.Name
	if set.Split != "" {
		name += ":" + string(set.Split)
	}
	return eval.InputOf(name, set)
}

// SampleOptions are the options of [AssessSamples].
type SampleOptions struct {
	N         int                // samples to draw; 0 means 10,000
	Seed      uint64             // of latents and noise
	Inception string             // pytorch-fid's file of weights, for FID and IS; empty: other features
	Reference string             // file that keeps Inception's statistics of the training split; empty: none
	Seconds   map[string]float64 // of the stages of training, such as train, to record with the times; may be nil
}

// Samples are the images that [AssessSamples] drew, and their measurements.
type Samples struct {
	Refined, Plain *data.Set // after the chain, and G alone from the same latents, at the training size
	Records        []*eval.Record
}

// AssessSamples draws samples with the chain (Eq. 9) and from G alone. It measures the time of each, their
// Fréchet distances on the features of [OpenFeatures], and with Inception the IS. If no features fit the data,
// there are no distances. Images are compared without the padding of training.
//
// The values are nfe, seconds (of a sample), and fid, fd or fd_h, depending on the features. With Inception there are also is
// and is_std. Values of G alone have the suffix _no_mcmc. fd_floor and fd_h_floor are the distances of as many training images
// from the held-out images. In a group every process calls AssessSamples and gets all values.
func AssessSamples(ctx context.Context, m *train.Model, o SampleOptions, s Setup) (*Samples, error) {
	if o.N == 0 {
		o.N = 10_000
	}
	if o.N < 2 {
		return nil, fmt.Errorf("%d samples: a covariance needs at least 2", o.N)
	}
	features, err := s.featuresOf(m, o.Inception)
	if err == nil {
		defer features.Close()
	} else if !errors.Is(err, ErrNoFeatures) {
		return nil, err
	}
	times, out := s.times(m, o.N, o.Seed), &Samples{}
	for stage, seconds := range o.Seconds {
		times.Values["seconds_to_"+stage] = seconds
	}
	if out.Refined, err = drawSamples(ctx, m, times, o.N, train.SampleOptions{Seed: o.Seed}, s); err != nil {
		return nil, err
	}
	if out.Plain, err = drawSamples(ctx, m, times, o.N, train.SampleOptions{Seed: o.Seed, NoMCMC: true}, s); err != nil {
		return nil, err
	}
	out.Records = append(out.Records, times)
	if features == nil {
		s.logf("%v", ErrNoFeatures)
		return out, nil
	}
	distances, err := out.distances(ctx, m, features, o, s)
	if err != nil {
		return nil, err
	}
	out.Records = append(out.Records, distances)
	if features.inception == nil {
		return out, nil
	}
	score, err := out.inceptionScore(ctx, m, features, o, s)
	out.Records = append(out.Records, score)
	return out, err
}

// featuresOf opens the features that samples of m are measured on, in every process of the group or in none. The caller closes
// them. The error is [ErrNoFeatures] if nothing fits.
func (s Setup) featuresOf(m *train.Model, inception string) (*DistanceFeatures, error) {
	f, err := localFeatures(m, FeatureOptions{Inception: inception, Device: m.Device})
	if err = s.Group.Agree(err); err == nil {
		err = s.Group.Alike([]string{"network=" + f.Name()})
	}
	if err != nil && f != nil {
		f.Close()
		f = nil
	}
	return f, err
}

// localFeatures opens the features in this process. Their encoder is that of [train.Config.FixedEncoder]. There is none if the
// model's run is not known.
func localFeatures(m *train.Model, o FeatureOptions) (f *DistanceFeatures, err error) {
	if m.H != nil && m.Config.Encoder == train.Pretrained {
		o.Encoder = m.H // the model closes it
	}
	if o.Encoder != nil || m.Config.NeedsEncoder() && m.Folder == "" {
		return OpenFeatures(m.Config, o)
	}
	if o.Encoder, err = m.Config.FixedEncoder(train.EncoderPath(m.Folder), nil); err != nil {
		return nil, fmt.Errorf("read the encoder that training began with: %w", err)
	}
	return openFixed(m.Config, o)
}

// AssessTime measures the number of network evaluations and the time of a sample (Table 5). The values are
// nfe and seconds for samples with the chain, and nfe_no_mcmc and seconds_no_mcmc for samples of G alone.
// It draws n samples of each, after a batch that is not counted. The time depends on the machine, so the
// record names device and threads.
func AssessTime(ctx context.Context, m *train.Model, n int, seed uint64, s Setup) (*eval.Record, error) {
	if n < 1 {
		return nil, fmt.Errorf("%d samples: give at least 1", n)
	}
	r := s.times(m, n, seed)
	for _, o := range []train.SampleOptions{{Seed: seed}, {Seed: seed, NoMCMC: true}} {
		if _, err := drawSamples(ctx, m, r, n, o, s); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (s Setup) times(m *train.Model, n int, seed uint64) *eval.Record {
	r := s.record("time per sample", m, seed)
	r.NFE = m.NFE(train.SampleOptions{})
	r.Settings = map[string]string{"device": m.Device.String(), "threads": fmt.Sprint(torch.Threads()), "n": fmt.Sprint(n)}
	if world := s.Group.World(); world > 1 {
		r.Settings["processes"] = fmt.Sprint(world)
	}
	return r
}

// alone is the suffix of the values of G alone.
const alone = "_no_mcmc"

// drawSamples draws n samples and records their time.
func drawSamples(ctx context.Context, m *train.Model, times *eval.Record, n int, o train.SampleOptions, s Setup) (*data.Set, error) {
	if _, err := m.Sample(ctx, min(n, m.Batch()*s.Group.World()), o); err != nil { // libtorch prepares its kernels
		return nil, err
	}
	task, end := "sampling", ""
	if o.NoMCMC {
		task, end = "sampling by G alone", alone
	}
	o.Watch = s.watch(task, n)
	start := time.Now()
	set, err := m.Sample(ctx, n, o)
	if err != nil {
		return nil, err
	}
	times.Values["seconds"+end] = time.Since(start).Seconds() / float64(n)
	times.Values["nfe"+end] = float64(m.NFE(o))
	return set, nil
}

// sampled begins a record on features of refined samples.
func (p *Samples) sampled(metric string, m *train.Model, f *DistanceFeatures, o SampleOptions, s Setup) *eval.Record {
	r := s.record(metric, m, o.Seed)
	if f.inception != nil {
		r.On(f.inception)
	} else {
		r.Network = f.Name()
	}
	r.NFE = m.NFE(train.SampleOptions{})
	r.Inputs = []eval.Input{{Name: "samples of " + m.Config.Preset, Kind: "run", N: o.N, SHA256: p.Refined.SHA256(), Seed: &o.Seed, NFE: r.NFE, WeightsSHA256: m.SHA256}}
	return r
}

// distances are the Fréchet distances of the samples.
func (p *Samples) distances(ctx context.Context, m *train.Model, f *DistanceFeatures, o SampleOptions, s Setup) (*eval.Record, error) {
	r := p.sampled(f.Metric, m, f, o, s)
	real, input, err := f.reference(ctx, m.Config, o.Reference, s)
	if err != nil {
		return nil, err
	}
	r.Inputs = append(r.Inputs, input)
	distance := func(set *data.Set, key string) error {
		d, stats, err := f.distance(ctx, m.Config, set, real, "measuring "+key, s)
		if err != nil {
			return err
		}
		r.Warn(stats.FewImages(key))
		r.Values[key] = d
		return nil
	}
	if err := errors.Join(distance(p.Refined, f.Key), distance(p.Plain, f.Key+alone)); err != nil {
		return nil, err
	}
	if f.Split == data.Train || strings.HasSuffix(input.Name, ":"+string(data.Train)) { // then training images are no floor
		return r, nil
	}
	seen, err := s.agreed(m.Config.Open(data.Train))
	if err != nil {
		return nil, err
	}
	defer seen.Close()
	return r, distance(seen.Head(o.N), f.Key+"_floor")
}

var errNoReference = errors.New("no images to compare samples with")

// reference measures the real images that samples are compared with. Statistics of Inception are read from
// the file where they are kept, or written there.
func (f *DistanceFeatures) reference(ctx context.Context, cfg train.Config, file string, s Setup) (*eval.Stats, eval.Input, error) {
	keep := file != "" && f.inception != nil
	if keep {
		stats, input, err := eval.ReadStats(file)
		if err == nil {
			err = stats.CheckFeatures(f.inception)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return stats, input, err
		}
	}
	set, err := s.agreed(cfg.Open(f.Split))
	if err != nil {
		return nil, eval.Input{}, fmt.Errorf("%w: the %s split: %w", errNoReference, f.Split, err)
	}
	defer set.Close()
	if set.N < 2 {
		return nil, eval.Input{}, fmt.Errorf("%w: the %s split has %d", errNoReference, f.Split, set.N)
	}
	cropped, err := f.crop(cfg, set)
	if err != nil {
		return nil, eval.Input{}, err
	}
	input := inputOf(cropped)
	stats, _, err := eval.MeasureImages(ctx, f, s.shared(cropped), s.watch("statistics of "+set.Name, set.N))
	if err == nil && keep && s.Group.Rank() == 0 {
		err = eval.WriteStats(file, stats, input)
	}
	return stats, input, err
}

// inceptionScore is the IS of the samples, on the network of the FID and with its resizing, that of pytorch-fid. [AssessIS] resizes as
// torch-fidelity does, unless it is told otherwise. The record names the mode beside the network.
func (p *Samples) inceptionScore(ctx context.Context, m *train.Model, f *DistanceFeatures, o SampleOptions, s Setup) (*eval.Record, error) {
	r := p.sampled("IS", m, f, o, s)
	r.Settings = map[string]string{"splits": "10", "logits": "1008, without bias"}
	for i, set := range []*data.Set{p.Refined, p.Plain} {
		end := []string{"", alone}[i]
		set, err := f.crop(m.Config, set)
		if err != nil {
			return nil, err
		}
		mean, std, _, err := eval.InceptionScore(ctx, f.inception, s.shared(set), eval.ISOptions{Splits: 10}, s.watch("IS"+end, set.N))
		if err != nil {
			return nil, err
		}
		r.Values["is"+end], r.Values["is_std"+end] = mean, std
	}
	return r, nil
}

// RunOptions are the options of [AssessRun].
type RunOptions struct {
	Samples  SampleOptions
	Outliers OutlierOptions
}

// AssessRun measures the samples of the run in dir, its detection of outliers, for stacked-fmnist the modes that they cover and, if
// it has q, its reconstruction of images that are held out. It adds the records to the run's results and leaves in dir summary.json (a [Summary] of the records), samples.png,
// samples_no_mcmc.png and data.png. A packed run's card gets the new results. In a group every process calls AssessRun. Rank 0
// alone writes and returns the records.
func AssessRun(ctx context.Context, dir string, o RunOptions, s Setup) ([]*eval.Record, error) {
	var readOnly error
	if err := syscall.Access(dir, 2); s.Group.Rank() == 0 && (errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES)) { // W_OK
		readOnly = fmt.Errorf("%s: the results cannot be written to the run folder: %w: copy the run to another place", dir, err)
	}
	if err := s.Group.Agree(readOnly); err != nil {
		return nil, err
	}
	m, err := s.LoadModel(dir)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	test, err := s.agreed(m.Config.Open(data.HeldOut))
	if err != nil {
		return nil, err
	}
	defer test.Close()
	info, err := readInfo(dir)
	if err := s.Group.Agree(err); err != nil {
		return nil, err
	}
	changed := splitChanged(info, test)
	if changed != "" {
		s.logf("warning: %s", changed)
	}
	samples, err := AssessSamples(ctx, m, o.Samples, s)
	if err != nil {
		return nil, err
	}
	outliers, err := AssessOutliers(ctx, m, o.Outliers, s)
	if err != nil {
		return nil, err
	}
	records := append(samples.Records, outliers)
	if m.Config.Data.Name == stacked {
		modes, err := AssessModes(ctx, m, o.Samples.Seed, s)
		if err != nil {
			return nil, err
		}
		records = append(records, modes)
	}
	if s.Group.Rank() > 0 {
		return nil, nil
	}
	if m.Q != nil {
		reconstruction, err := reconstruct(ctx, m, test, s)
		if err != nil {
			return nil, err
		}
		records = append(records, reconstruction)
	}
	for _, r := range records {
		r.Warn(changed)
	}
	return records, leave(dir, m, map[string]*data.Set{"samples.png": samples.Refined, "samples_no_mcmc.png": samples.Plain, "data.png": test}, records)
}

// leave writes grids of images, the records and what is made of these to the folder of a run.
func leave(dir string, m *train.Model, grids map[string]*data.Set, records []*eval.Record) error {
	for file, set := range grids {
		if err := WriteGrid(filepath.Join(dir, file), m.Config, 10, set.Head(100)); err != nil {
			return err
		}
	}
	if err := Keep(dir, records...); err != nil {
		return err
	}
	if err := renewCard(dir, m); err != nil {
		return err
	}
	return data.WriteJSON(filepath.Join(dir, "summary.json"), Summarize(records))
}

// splitChanged is a warning if the images that the data hold out are not those that training left out.
func splitChanged(info *train.RunInfo, test *data.Set) string {
	if info == nil || info.HeldOut == nil || test.Division != nil && *test.Division == *info.HeldOut {
		return ""
	}
	return fmt.Sprintf("the data changed since training, which held out %d images: training may have read some of the %d that are measured now; put the old data back",
		info.HeldOut.N, test.N)
}
