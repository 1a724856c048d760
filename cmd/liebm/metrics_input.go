package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// fid is the metric that reads statistics too.
const fid = "FID"

// An imageMetric is what a metric of sets of images reads.
type imageMetric struct {
	ctx           context.Context
	metric        string
	command       string          // its name, for errors
	net           *eval.Inception // nil if nothing is to be mapped to features
	sources       []*eval.Source
	skip          bool
	n             int                 // samples to draw from a run
	samples       train.SampleOptions // how
	weights, mode string              // of Inception; without mode the metric compares pixels
	setup         study.Setup
	closers       []func()
}

// measureImages is the Action of a metric of n sets of images. It opens them, and Inception where the command
// has its flags. measure fills the record and returns the lines to print. Several processes share the work up to
// [imageMetric.gathered], and rank 0 does the rest.
func measureImages(c *cli.Context, metric string, n int, measure func(m *imageMetric, r *eval.Record) (lines string, err error)) error {
	if c.NArg() != n {
		return fmt.Errorf("%d arguments are given, %d are needed: %s %s", c.NArg(), n, c.Command.HelpName, c.Command.ArgsUsage)
	}
	setup, err := sharedSetup(c)
	if err != nil {
		return err
	}
	defer setup.Group.Close()
	m := &imageMetric{ctx: c.Context, metric: metric, command: c.Command.HelpName, skip: c.Bool(skipUnreadable), weights: c.String("weights"), mode: c.String("mode"), setup: setup,
		n: c.Int("n"), samples: train.SampleOptions{Seed: c.Uint64("seed"), NoMCMC: c.Bool("no-mcmc")}}
	defer m.close()
	if err := setup.Group.Agree(m.open(c.Args().Slice())); err != nil {
		return err
	}
	r := newRecord(metric)
	if m.net != nil {
		r.On(m.net)
	}
	if err := setup.Group.Alike([]string{"metric=" + metric, "network=" + r.Network, "device=" + torch.Device{Type: setup.Device.Type}.String()}); err != nil {
		return err
	}
	lines, err := measure(m, r)
	if errors.Is(err, errRankZero) {
		return nil
	}
	if err != nil {
		return err
	}
	return readResults(c).finish(r, "%s", lines)
}

// errRankZero ends the work of the other processes.
var errRankZero = errors.New("rank 0 does the rest")

// gathered adds the sources to the record once they are read. It returns errRankZero in the other processes.
func (m *imageMetric) gathered(r *eval.Record, inputs ...eval.Input) error {
	jobOf(m.ctx).busy.Store(false)
	r.Of(inputs...)
	if m.setup.Group.Rank() > 0 {
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
func (m *imageMetric) open(names []string) error {
	for _, name := range names {
		s, err := m.openSource(name)
		if err != nil {
			return err
		}
		if s.Images != nil {
			s.Images.Group = m.setup.Group
			err = m.openInception()
		} else if m.metric != fid {
			err = fmt.Errorf("%s holds statistics: %s needs the images themselves", name, m.command)
		}
		if err != nil {
			return err
		}
		m.sources = append(m.sources, s)
	}
	for _, s := range m.sources {
		if s.Stats != nil && m.net != nil {
			if err := s.Stats.CheckFeatures(m.net); err != nil {
				return err
			}
		}
	}
	return nil
}

// openInception opens the network of a metric on its features, once.
func (m *imageMetric) openInception() error {
	if m.mode == "" || m.net != nil {
		return nil
	}
	mode, err := eval.ParseMode(m.mode)
	if err != nil {
		return err
	}
	if m.weights, err = inceptionFile(m.weights); err != nil {
		return err
	}
	if m.net, err = eval.OpenInception(m.weights, mode, m.setup.Device); err == nil {
		m.closers = append(m.closers, m.net.Close)
	}
	return err
}

func (m *imageMetric) openSource(name string) (*eval.Source, error) {
	if study.IsRun(name) {
		return m.drawSource(name)
	}
	info, err := os.Stat(name)
	if err == nil && (info.IsDir() || strings.EqualFold(filepath.Ext(name), ".npz")) {
		return eval.Open(name, eval.OpenOptions{Skip: m.skip})
	}
	known, split, _ := strings.Cut(name, ":")
	if err == nil {
		known, split = name, ""
	}
	set, openErr := data.Open(known, data.Options{Split: data.Split(split), Skip: m.skip})
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

// drawSource draws samples from a run.
func (m *imageMetric) drawSource(dir string) (*eval.Source, error) {
	if err := m.openInception(); err != nil { // before the samples, which take long
		return nil, err
	}
	model, err := m.setup.LoadModel(dir)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	set, err := drawSamples(m.ctx, model, m.n, m.samples, m.setup, "sampling "+dir)
	if err != nil {
		return nil, err
	}
	s := m.sourceOf(set, dir)
	s.Images.Kind, s.Images.Seed, s.Images.NFE, s.Images.WeightsSHA256 = "run", &m.samples.Seed, model.NFE(m.samples), model.SHA256
	return s, nil
}

// progress is a bar for reading images.
func (m *imageMetric) progress(images *eval.Images) func(done int) {
	report := m.setup.Progress("measuring " + images.Name)
	return func(done int) { report(done, images.N) }
}

// statistics returns those of every source and adds the sources to the record.
func (m *imageMetric) statistics(r *eval.Record) (all []*eval.Stats, err error) {
	var inputs []eval.Input
	for _, s := range m.sources {
		stats, input := s.Stats, s.Input
		if stats == nil {
			if stats, input, err = eval.MeasureImages(m.ctx, m.net, s.Images, m.progress(s.Images)); err != nil {
				return nil, err
			}
		}
		r.Warn(stats.FewImages(input.Name))
		all, inputs = append(all, stats), append(inputs, input)
	}
	return all, m.gathered(r, inputs...)
}

// embed returns the features of every source and adds the sources to the record.
func (m *imageMetric) embed(r *eval.Record) (all []*eval.Embedding, err error) {
	var inputs []eval.Input
	for _, s := range m.sources {
		e, input, err := eval.Embed(m.ctx, m.net, s.Images, m.progress(s.Images))
		if err != nil {
			return nil, err
		}
		m.closers = append(m.closers, e.Close)
		all, inputs = append(all, e), append(inputs, input)
	}
	return all, m.gathered(r, inputs...)
}
