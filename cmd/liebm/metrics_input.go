package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// source is what an argument of a metric stands for: images or statistics, and how a run drew them.
type source struct {
	*eval.Source
	set   *data.Set
	drawn eval.Input // of a run
}

type sourceList []*source

func (l sourceList) close() {
	for _, s := range l {
		if s.set != nil {
			s.set.Close()
		}
	}
}

// openSources opens every argument of a command.
func openSources(c *cli.Context) (sourceList, error) {
	var list sourceList
	for _, name := range c.Args().Slice() {
		s, err := openSource(c, name)
		if err != nil {
			list.close()
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func openSource(c *cli.Context, name string) (*source, error) {
	if isRun(name) {
		return drawSource(c, name)
	}
	skip := c.Bool("skip-unreadable")
	info, err := os.Stat(name)
	if err == nil && (info.IsDir() || strings.EqualFold(filepath.Ext(name), ".npz")) {
		s, err := eval.Open(name, eval.OpenOptions{Skip: skip})
		return &source{Source: s}, err
	}
	var set *data.Set
	if err == nil {
		set, err = data.Open(name, data.Options{Skip: skip})
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

// drawSource draws --n samples from a run, at the size that its data have.
func drawSource(c *cli.Context, dir string) (*source, error) {
	m, err := openModel(c, dir)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	n, seed := c.Int("n"), c.Uint64("seed")
	if n < 1 {
		return nil, fmt.Errorf("--n %d: give at least 1", n)
	}
	set, err := samplesOf(c, m, n, "sampling "+dir)
	if err != nil {
		return nil, err
	}
	images := eval.FromSet(set)
	images.Name, images.Kind = dir, "run"
	return &source{Source: &eval.Source{Images: images}, set: set,
		drawn: eval.Input{Seed: &seed, NFE: m.NFE(train.SampleOptions{NoMCMC: c.Bool("no-mcmc")}), WeightsSHA256: m.SHA256}}, nil
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

// measure is the statistics of every source, and tells the record of them.
func (l sourceList) measure(c *cli.Context, net *eval.Inception, r *eval.Record) ([]*eval.Stats, error) {
	var all []*eval.Stats
	var inputs []eval.Input
	for _, s := range l {
		stats, input := s.Stats, s.Input
		if stats == nil {
			var err error
			if stats, input, err = eval.MeasureImages(c.Context, net, s.Images, s.progress()); err != nil {
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

// networkAndSources opens the arguments, and Inception unless all are statistics. Weights come before
// runs, which take long to draw.
func networkAndSources(c *cli.Context) (net *eval.Inception, sources sourceList, err error) {
	if c.String("weights") != "" || slices.ContainsFunc(c.Args().Slice(), isRun) {
		if net, err = openInception(c); err != nil {
			return nil, nil, err
		}
	}
	sources, err = openSources(c)
	images := slices.ContainsFunc(sources, func(s *source) bool { return s.Images != nil })
	if err == nil && images && net == nil {
		net, err = openInception(c)
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

// networkAndImages opens Inception and n arguments that must be images.
func networkAndImages(c *cli.Context, n int) (*eval.Inception, sourceList, error) {
	if err := wantArgs(c, n); err != nil {
		return nil, nil, err
	}
	net, sources, err := networkAndSources(c)
	if err == nil {
		err = sources.images(c)
	}
	if err != nil && net != nil {
		net.Close()
	}
	return net, sources, err
}

// openImages opens n arguments that must be images.
func openImages(c *cli.Context, n int) (sourceList, error) {
	if err := wantArgs(c, n); err != nil {
		return nil, err
	}
	sources, err := openSources(c)
	if err != nil {
		return nil, err
	}
	return sources, sources.images(c)
}

func wantArgs(c *cli.Context, n int) error {
	if c.NArg() != n {
		return fmt.Errorf("%d arguments, want %d: liebm %s %s", c.NArg(), n, c.Command.FullName(), c.Command.ArgsUsage)
	}
	return nil
}

// images is an error, and closes the sources, unless all of them are images.
func (l sourceList) images(c *cli.Context) error {
	for _, s := range l {
		if s.Images == nil {
			l.close()
			return fmt.Errorf("%s holds statistics: %s needs the images themselves", s.Input.Name, c.Command.Name)
		}
	}
	return nil
}

// embedBoth is the features of both arguments. The caller closes them.
func embedBoth(c *cli.Context, r *eval.Record) (a, b *eval.Embedding, err error) {
	net, sources, err := networkAndImages(c, 2)
	if err != nil {
		return nil, nil, err
	}
	defer net.Close()
	defer sources.close()
	r.On(net)
	var both []*eval.Embedding
	var inputs []eval.Input
	for _, s := range sources {
		e, input, err := eval.Embed(c.Context, net, s.Images, s.progress())
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
