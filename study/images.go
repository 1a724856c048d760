package study

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// ImageOptions say how the metrics of sets of images read them: [AssessFID], [AssessIS], [AssessKID], [AssessPrecisionRecall],
// [AssessPSNR] and [AssessSSIM]. A set is a folder of images, an .npz of samples, a run of liebm train, or a data set
// that [data.Open] opens; its split may follow a colon, as in cifar10:test. In a group every process calls the function. The processes share sampling and
// features. Rank 0 gets the record, and the others get nil.
type ImageOptions struct {
	Skip      bool                // leave out files that cannot be read
	N         int                 // samples to draw from a run; 0 means 50,000
	Samples   train.SampleOptions // how they are drawn
	Inception string              // file of Inception's weights; empty: that of [eval.FindInception]
	Mode      eval.Resizing       // how images are resized for Inception; empty: the default of the metric
}

// FIDOptions are the options of [AssessFID].
type FIDOptions struct {
	StatsOut string // .npz that receives the statistics of a, in the format of pytorch-fid; empty: none
}

const fid = "FID"

// AssessFID measures the Fréchet inception distance between two sets of images. Either set may also be a file of statistics. If b is
// empty, it only writes the statistics of a to o.StatsOut. The default mode is that of pytorch-fid. The value is called "value".
// With other weights than the published ones the metric is called Fréchet distance.
func AssessFID(ctx context.Context, a, b string, o FIDOptions, images ImageOptions, s Setup) (*eval.Record, error) {
	names := []string{a, b}
	if b == "" {
		if o.StatsOut == "" {
			return nil, errors.New("FID of one set: name another set, or a file for the statistics of the first")
		}
		names = names[:1]
	}
	images.Mode = cmp.Or(images.Mode, eval.PyTorch)
	return s.assessImages(ctx, fid, names, images, func(m *imageMetric, r *eval.Record) error {
		stats, err := m.statistics(ctx, r)
		if err != nil {
			return err
		}
		if o.StatsOut != "" {
			if err := eval.WriteStats(o.StatsOut, stats[0], r.Inputs[0]); err != nil {
				return err
			}
		}
		r.Network = cmp.Or(r.Network, stats[0].Features, stats[len(stats)-1].Features, "unnamed features")
		if b == "" {
			r.Metric = "statistics"
			return nil
		}
		r.Metric = eval.DistanceName(stats[0], stats[1])
		r.Values["value"], err = eval.Frechet(stats[0], stats[1])
		return err
	})
}

// AssessIS measures the inception score of images. The default mode is that of torch-fidelity and ADM. The values are mean and std,
// over the splits.
func AssessIS(ctx context.Context, a string, o eval.ISOptions, images ImageOptions, s Setup) (*eval.Record, error) {
	images.Mode = cmp.Or(images.Mode, eval.TF)
	return s.assessImages(ctx, "IS", []string{a}, images, func(m *imageMetric, r *eval.Record) error {
		o.Splits = cmp.Or(o.Splits, 10)
		r.Settings = map[string]string{"splits": fmt.Sprint(o.Splits), "shuffle": fmt.Sprint(o.Shuffle), "logits": "1008, without bias"}
		if o.Shuffle {
			r.Seed = &o.Seed
		}
		set := m.sources[0].Images
		mean, std, input, err := eval.InceptionScore(ctx, m.net, set, o, m.watchImages(set))
		if err == nil {
			err = m.measured(r, input)
		}
		r.Values["mean"], r.Values["std"] = mean, std
		return err
	})
}

// AssessKID measures the kernel inception distance between two sets of images. The default mode is that of torch-fidelity and ADM. The
// values are mean and std, over the subsets.
func AssessKID(ctx context.Context, a, b string, o eval.KIDOptions, images ImageOptions, s Setup) (*eval.Record, error) {
	images.Mode = cmp.Or(images.Mode, eval.TF)
	return s.assessImages(ctx, "KID", []string{a, b}, images, func(m *imageMetric, r *eval.Record) error {
		e, err := m.embed(ctx, r)
		if err != nil {
			return err
		}
		o.Subsets, o.Size, o.Watch = cmp.Or(o.Subsets, 100), cmp.Or(o.Size, 1000), s.progress("subsets")
		mean, std, size, err := eval.KID(ctx, e[0], e[1], o)
		if err == nil && size < o.Size {
			r.Warn(fmt.Sprintf("subsets have %d images, since one set has no more", size))
		}
		r.Seed, r.Settings = &o.Seed, map[string]string{"subsets": fmt.Sprint(o.Subsets), "subset_size": fmt.Sprint(size), "kernel": "(x·y/d+1)^3"}
		r.Values["mean"], r.Values["std"] = mean, std
		return err
	})
}

// AssessPrecisionRecall measures the improved precision and recall of generated images, with balls that reach to the k-th nearest
// neighbour; 0 means 3. The default mode is that of torch-fidelity and ADM. The values are precision and recall.
func AssessPrecisionRecall(ctx context.Context, generated, real string, k int, images ImageOptions, s Setup) (*eval.Record, error) {
	images.Mode = cmp.Or(images.Mode, eval.TF)
	return s.assessImages(ctx, "precision and recall", []string{generated, real}, images, func(m *imageMetric, r *eval.Record) error {
		e, err := m.embed(ctx, r)
		if err != nil {
			return err
		}
		k = cmp.Or(k, 3)
		r.Settings = map[string]string{"k": fmt.Sprint(k)}
		r.Values["precision"], r.Values["recall"], err = eval.PrecisionRecall(ctx, e[0], e[1], k, s.progress("neighbours"))
		return err
	})
}

// AssessPSNR measures the PSNR and the MSE between image i of a and image i of b, with pixels in [0,1]. The values are psnr and mse, the
// means over the pairs.
func AssessPSNR(ctx context.Context, a, b string, images ImageOptions, s Setup) (*eval.Record, error) {
	return s.assessPairs(ctx, "PSNR", a, b, images, func(a, b *data.Set, r *eval.Record) error {
		psnr, mse, err := eval.PSNR(ctx, a, b)
		r.Settings = map[string]string{"data_range": "1"}
		r.Values["psnr"], r.Values["mse"] = stat.Mean(psnr, nil), stat.Mean(mse, nil)
		return err
	})
}

// AssessSSIM measures the structural similarity between image i of a and image i of b, with pixels in [0,1]. The value is ssim, the
// mean over the pairs.
func AssessSSIM(ctx context.Context, a, b string, w eval.Window, images ImageOptions, s Setup) (*eval.Record, error) {
	return s.assessPairs(ctx, "SSIM", a, b, images, func(a, b *data.Set, r *eval.Record) error {
		ssim, err := eval.SSIM(ctx, a, b, w)
		r.Settings = map[string]string{"window": w.String(), "data_range": "1", "K1": "0.01", "K2": "0.03"}
		r.Values["ssim"] = stat.Mean(ssim, nil)
		return err
	})
}

// assessPairs is assessImages for a metric of pairs of images, which measure puts into the record.
func (s Setup) assessPairs(ctx context.Context, metric, a, b string, o ImageOptions, measure func(a, b *data.Set, r *eval.Record) error) (*eval.Record, error) {
	o.Mode = ""
	return s.assessImages(ctx, metric, []string{a, b}, o, func(m *imageMetric, r *eval.Record) error {
		var sets []*data.Set
		var inputs []eval.Input
		for _, source := range m.sources {
			set, input, err := source.Images.Set(ctx)
			if err != nil {
				return err
			}
			if len(input.Skipped) > 0 {
				return fmt.Errorf("%s: %d files cannot be read, so the pairs do not match: mend these files, the first is %s", source.Images.Name, len(input.Skipped), input.Skipped[0])
			}
			sets, inputs = append(sets, set.RGB()), append(inputs, input)
		}
		if err := m.measured(r, inputs...); err != nil {
			return err
		}
		return measure(sets[0], sets[1], r)
	})
}

// An imageMetric has what a metric of sets of images reads.
type imageMetric struct {
	Setup
	ImageOptions
	metric  string
	net     *eval.InceptionFeatures // nil until some images need it; nil for a metric without Mode, which compares pixels
	sources []*eval.Source
	closers []func()
}

// assessImages opens the sets of images. names are their paths or names. It opens Inception too, if o has a Mode and a set has images, not
// statistics. Then it calls measure, which puts the metric into the record.
func (s Setup) assessImages(ctx context.Context, metric string, names []string, o ImageOptions, measure func(m *imageMetric, r *eval.Record) error) (*eval.Record, error) {
	o.N = cmp.Or(o.N, 50_000)
	m := &imageMetric{Setup: s, ImageOptions: o, metric: metric}
	defer m.close()
	if err := s.Group.Agree(m.open(ctx, names)); err != nil {
		return nil, err
	}
	r := eval.NewRecord(metric, s.Versions)
	if m.net != nil {
		r.On(m.net)
	}
	if err := s.Group.Alike([]string{"metric=" + metric, "network=" + r.Network, "device=" + torch.Device{Type: s.Device.Type}.String()}); err != nil {
		return nil, err
	}
	if err := measure(m, r); errors.Is(err, errRankZero) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return r, nil
}

// errRankZero ends the work of the other processes.
var errRankZero = errors.New("rank 0 does the rest")

// measured adds the inputs to the record once all processes have read them. In the others than rank 0 it returns errRankZero.
func (m *imageMetric) measured(r *eval.Record, inputs ...eval.Input) error {
	r.Of(inputs...)
	if m.Group.Rank() > 0 {
		return errRankZero
	}
	return nil
}

func (m *imageMetric) close() {
	for _, f := range m.closers {
		f()
	}
}

// open opens the sources, and Inception if some are images.
func (m *imageMetric) open(ctx context.Context, names []string) error {
	for _, name := range names {
		source, err := m.openSource(ctx, name)
		if err != nil {
			return err
		}
		if source.Images != nil {
			source.Images.Group = m.Group
			err = m.openInception()
		} else if m.metric != fid {
			err = fmt.Errorf("%s holds statistics: %s needs the images themselves", name, m.metric)
		}
		if err != nil {
			return err
		}
		m.sources = append(m.sources, source)
	}
	for _, source := range m.sources {
		if source.Stats != nil && m.net != nil {
			if err := source.Stats.CheckFeatures(m.net); err != nil {
				return err
			}
		}
	}
	return nil
}

// openInception opens the network of a metric on its features, once.
func (m *imageMetric) openInception() (err error) {
	if m.Mode == "" || m.net != nil {
		return nil
	}
	if m.Inception == "" {
		if m.Inception, err = eval.FindInception(); err != nil {
			return err
		}
	}
	if m.net, err = eval.OpenInception(m.Inception, m.Mode, m.Device); err == nil {
		m.closers = append(m.closers, m.net.Close)
	}
	return err
}

func (m *imageMetric) openSource(ctx context.Context, name string) (*eval.Source, error) {
	if IsRun(name) {
		return m.sample(ctx, name)
	}
	info, err := os.Stat(name)
	if err == nil && (info.IsDir() || strings.EqualFold(filepath.Ext(name), ".npz")) {
		return eval.Open(name, eval.OpenOptions{Skip: m.Skip})
	}
	known, split, _ := strings.Cut(name, ":")
	if err == nil {
		known, split = name, ""
	}
	set, openErr := data.Open(known, data.Options{Split: data.Split(split), Skip: m.Skip})
	if openErr != nil && err != nil {
		return nil, fmt.Errorf("%s is no file or folder, and no data set that can be opened: %w", name, openErr)
	}
	if openErr != nil {
		return nil, openErr
	}
	return m.sourceOf(set, name), nil
}

// sourceOf is a set as a source. It is closed in the end.
func (m *imageMetric) sourceOf(set *data.Set, name string) *eval.Source {
	m.closers = append(m.closers, func() { _ = set.Close() })
	images := eval.FromSet(set)
	images.Name = name
	return &eval.Source{Images: images}
}

// sample draws samples from the run in a folder.
func (m *imageMetric) sample(ctx context.Context, dir string) (*eval.Source, error) {
	if err := m.openInception(); err != nil { // before the samples, which take long
		return nil, err
	}
	model, err := m.LoadModel(dir)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	set, err := m.Sample(ctx, model, m.N, m.Samples, "sampling "+dir)
	if err != nil {
		return nil, err
	}
	source, seed := m.sourceOf(set, dir), m.Samples.Seed
	source.Images.Kind, source.Images.Seed, source.Images.NFE, source.Images.WeightsSHA256 = "run", &seed, model.NFE(m.Samples), model.SHA256
	return source, nil
}

// watchImages reports the images that were read.
func (m *imageMetric) watchImages(images *eval.Images) func(done int) {
	return m.watch("measuring "+images.Name, images.N)
}

// statistics returns those of every source and adds the sources to the record.
func (m *imageMetric) statistics(ctx context.Context, r *eval.Record) (all []*eval.Stats, err error) {
	var inputs []eval.Input
	for _, source := range m.sources {
		stats, input := source.Stats, source.Input
		if stats == nil {
			if stats, input, err = eval.MeasureImages(ctx, m.net, source.Images, m.watchImages(source.Images)); err != nil {
				return nil, err
			}
		}
		r.Warn(stats.FewImages(input.Name))
		all, inputs = append(all, stats), append(inputs, input)
	}
	return all, m.measured(r, inputs...)
}

// embed returns the features of every source and adds the sources to the record.
func (m *imageMetric) embed(ctx context.Context, r *eval.Record) (all []*eval.Embedding, err error) {
	var inputs []eval.Input
	for _, source := range m.sources {
		e, input, err := eval.Embed(ctx, m.net, source.Images, m.watchImages(source.Images))
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, e.Close)
		all, inputs = append(all, e), append(inputs, input)
	}
	return all, m.measured(r, inputs...)
}
