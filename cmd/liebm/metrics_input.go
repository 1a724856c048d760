package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// source is an argument of a metric: images or statistics.
type source struct {
	*eval.Source
	set   *data.Set
	drawn eval.Input // how a run drew the images
}

type sourceList []*source

func (l sourceList) close() {
	for _, s := range l {
		if s.set != nil {
			s.set.Close()
		}
	}
}

// openSources opens every argument.
func (m imageMetric) openSources(ctx context.Context) (sourceList, error) {
	var list sourceList
	for _, name := range m.args {
		s, err := m.openSource(ctx, name)
		if err != nil {
			list.close()
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func (m imageMetric) openSource(ctx context.Context, name string) (*source, error) {
	if isRun(name) {
		return m.drawSource(ctx, name)
	}
	info, err := os.Stat(name)
	if err == nil && (info.IsDir() || strings.EqualFold(filepath.Ext(name), ".npz")) {
		s, err := eval.Open(name, eval.OpenOptions{Skip: m.skip})
		return &source{Source: s}, err
	}
	var set *data.Set
	if err == nil {
		set, err = data.Open(name, data.Options{Skip: m.skip})
	} else if set, err = openNamed(name); err != nil {
		err = fmt.Errorf("%s: no such file or folder, and as a data set: %w", name, err)
	}
	if err != nil {
		return nil, err
	}
	images := eval.FromSet(set)
	images.Name = name
	return &source{Source: &eval.Source{Images: images}, set: set}, nil
}

// openNamed opens a known set, "cifar10" or "cifar10:test".
func openNamed(name string) (*data.Set, error) {
	known, split, _ := strings.Cut(name, ":")
	return data.Open(known, data.Options{Split: data.Split(split)})
}

// drawSource draws samples from a run.
func (m imageMetric) drawSource(ctx context.Context, dir string) (*source, error) {
	o := m.samples
	if o.n < 1 {
		return nil, fmt.Errorf("--n %d: give at least 1", o.n)
	}
	model, err := loadRun(dir, m.setup)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	set, err := drawSamples(ctx, model, o, m.setup.Progress("sampling "+dir))
	if err != nil {
		return nil, err
	}
	images := eval.FromSet(set)
	images.Name, images.Kind = dir, "run"
	return &source{Source: &eval.Source{Images: images}, set: set,
		drawn: eval.Input{Seed: &o.seed, NFE: model.NFE(train.SampleOptions{NoMCMC: o.noMCMC}), WeightsSHA256: model.SHA256}}, nil
}

// describe adds how a run drew the images that were read.
func (s *source) describe(in eval.Input) eval.Input {
	in.Seed, in.NFE, in.WeightsSHA256 = s.drawn.Seed, s.drawn.NFE, s.drawn.WeightsSHA256
	return in
}

// progress is a bar for reading the source's images.
func (s *source) progress() func(done int) {
	p := newProgress("measuring " + s.Images.Name)
	return func(done int) { p.count(done, s.Images.N) }
}

// measure returns the statistics of every source and adds the sources to the record.
func (l sourceList) measure(ctx context.Context, net *eval.Inception, r *eval.Record) ([]*eval.Stats, error) {
	var all []*eval.Stats
	var inputs []eval.Input
	for _, s := range l {
		stats, input := s.Stats, s.Input
		if stats == nil {
			var err error
			if stats, input, err = eval.MeasureImages(ctx, net, s.Images, s.progress()); err != nil {
				return nil, err
			}
			input = s.describe(input)
		}
		r.Warn(stats.FewImages(input.Name))
		all, inputs = append(all, stats), append(inputs, input)
	}
	r.Of(inputs...)
	return all, nil
}

func (m imageMetric) openInception() (*eval.Inception, error) {
	mode, err := eval.ParseMode(m.mode)
	if err != nil {
		return nil, err
	}
	if m.weights == "" {
		return nil, fmt.Errorf("--weights is missing: fetch %s (SHA-256 %s) and name it", eval.InceptionURL, eval.InceptionSHA256)
	}
	return eval.OpenInception(m.weights, mode, m.setup.Device)
}

// networkAndSources opens the arguments, and Inception unless all are statistics. It opens the weights
// before it draws samples, which takes long.
func (m imageMetric) networkAndSources(ctx context.Context) (net *eval.Inception, sources sourceList, err error) {
	if m.weights != "" || slices.ContainsFunc(m.args, isRun) {
		if net, err = m.openInception(); err != nil {
			return nil, nil, err
		}
	}
	sources, err = m.openSources(ctx)
	images := slices.ContainsFunc(sources, func(s *source) bool { return s.Images != nil })
	if err == nil && images && net == nil {
		net, err = m.openInception()
	}
	for _, s := range sources {
		if err == nil && images && s.Stats != nil {
			err = s.Stats.CheckFeatures(net)
		}
	}
	if net != nil && (err != nil || !images) {
		net.Close()
		net = nil
	}
	if err != nil {
		sources.close()
		return nil, nil, err
	}
	return net, sources, nil
}

// networkAndImages opens Inception, and the arguments, which must be images.
func (m imageMetric) networkAndImages(ctx context.Context) (*eval.Inception, sourceList, error) {
	net, sources, err := m.networkAndSources(ctx)
	if err == nil {
		err = sources.checkImages(m.command)
	}
	if err != nil && net != nil {
		net.Close()
	}
	return net, sources, err
}

// openImages opens the arguments, which must be images.
func (m imageMetric) openImages(ctx context.Context) (sourceList, error) {
	sources, err := m.openSources(ctx)
	if err != nil {
		return nil, err
	}
	return sources, sources.checkImages(m.command)
}

// checkImages returns an error, and closes the sources, unless all of them are images.
func (l sourceList) checkImages(command string) error {
	for _, s := range l {
		if s.Images == nil {
			l.close()
			return fmt.Errorf("%s holds statistics: %s needs the images themselves", s.Input.Name, command)
		}
	}
	return nil
}

// embedBoth computes the features of both arguments. The caller closes them.
func (m imageMetric) embedBoth(ctx context.Context, r *eval.Record) (a, b *eval.Embedding, err error) {
	net, sources, err := m.networkAndImages(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer net.Close()
	defer sources.close()
	r.On(net)
	var both []*eval.Embedding
	var inputs []eval.Input
	for _, s := range sources {
		e, input, err := eval.Embed(ctx, net, s.Images, s.progress())
		if err != nil {
			for _, e := range both {
				e.Close()
			}
			return nil, nil, err
		}
		both, inputs = append(both, e), append(inputs, s.describe(input))
	}
	r.Of(inputs...)
	return both[0], both[1], nil
}
