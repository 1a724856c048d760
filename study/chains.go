package study

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// chainSteps are the numbers of steps after which [AssessChains] looks at chains.
var chainSteps = []int{0, 5, 15, 100, 1000}

// The starts of long chains, as the ends of names of values.
const (
	fromSamples = "samples"
	fromData    = "data"
)

// ChainOptions of [AssessChains].
type ChainOptions struct {
	N         int    // chains from each start
	Seed      uint64 // of samples and noise
	Inception string // as in SampleOptions
}

// AssessChains runs the chain of Eq. 9 from samples of G and from images that the data hold out, much longer than training
// does: 1,000 steps. The values are energy/T/START, the mean of E(x); move/T/START, rms(x^T − x⁰) of pixels in the training range;
// and kid/T/START, the kernel distance ([eval.KID]) from the held-out images on the features of [OpenFeatures]. T is 0, 5, 15, 100
// or 1000, or trained for the length of training; START is samples or data. A Fréchet distance of so few images says more about
// their number than about them.
func AssessChains(ctx context.Context, m *train.Model, o ChainOptions, s Setup) (*eval.Record, error) {
	fixed, done, err := fixedEncoder(m)
	if err != nil {
		return nil, err
	}
	defer done()
	features, err := OpenFeatures(m.Config, FeatureOptions{Inception: o.Inception, Encoder: fixed, Device: m.Device})
	if err != nil {
		return nil, err
	}
	defer features.Close()
	unseen, err := m.Config.Open(data.HeldOut)
	if err != nil {
		return nil, err
	}
	defer unseen.Close()
	real, err := features.embed(ctx, m.Config, unseen)
	if err != nil {
		return nil, err
	}
	defer real.Close()
	r := s.record("long chains", m, o.Seed)
	r.Network, r.Settings["n"] = features.Name(), fmt.Sprint(o.N)
	r.Of(inputOf(unseen))
	for _, start := range []string{fromSamples, fromData} {
		states, err := longChains(ctx, m, start, o, s)
		if err != nil {
			return nil, err
		}
		for _, state := range states {
			e, err := features.embed(ctx, m.Config, state.Images)
			if err != nil {
				return nil, err
			}
			kid, _, _, err := eval.KID(ctx, e, real, eval.KIDOptions{Seed: o.Seed})
			e.Close()
			if err != nil {
				return nil, err
			}
			names := []string{fmt.Sprint(state.Steps)}
			if state.Steps == m.Config.Chain.Steps {
				names = append(names, "trained")
			}
			for _, name := range names {
				end := "/" + name + "/" + start
				r.Values["energy"+end], r.Values["move"+end], r.Values["kid"+end] = state.Energy, state.Move, kid
			}
		}
	}
	return r, nil
}

// longChains are the states of chains from one start after each of chainSteps and after the length of training.
func longChains(ctx context.Context, m *train.Model, start string, o ChainOptions, s Setup) ([]train.ChainState, error) {
	var set *data.Set
	var err error
	if start == fromSamples {
		set, err = m.Sample(ctx, o.N, train.SampleOptions{Seed: o.Seed, NoMCMC: true})
	} else if set, err = m.Config.Open(data.HeldOut); err == nil {
		defer set.Close()
		set = set.Head(o.N)
	}
	if err != nil {
		return nil, err
	}
	at := append([]int{m.Config.Chain.Steps}, chainSteps...)
	slices.Sort(at)
	report := s.progress("long chains from " + start)
	return m.Chains(ctx, set, slices.Compact(at), train.ChainOptions{Seed: o.Seed, Watch: func(done int) { report(done, set.N) }})
}

// assessChains measures long chains.
func (w *work) assessChains(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	r, err := AssessChains(ctx, m, ChainOptions{N: c.folder.scale.Chains, Inception: c.folder.scale.Weights}, w.Setup)
	return []*eval.Record{r}, err
}

// chainsPicture draws the first chains of each model from each start: a row for each chain, and a column for each of chainSteps. They
// are the first ones measured.
func chainsPicture(ctx context.Context, w *work, s Study, f *folder) ([]Picture, error) {
	var rows []GridRow
	for _, name := range s.variants() {
		more, err := chainRows(ctx, w, f.cell(name))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	if rows == nil {
		return nil, nil
	}
	p := Picture{"chains.png", fmt.Sprintf("chains from samples of G and from data, after %v steps", chainSteps)}
	return []Picture{p}, WriteRows(filepath.Join(w.plan.out, p.File), f.cell("em").config, rows)
}

// chainRows are the rows of one model, for the first seed; none if it is not trained.
func chainRows(ctx context.Context, w *work, c *cell) (rows []GridRow, err error) {
	const n = 3
	r, trained, err := c.read(w.plan.seeds[0])
	if !trained || r.Diverged != "" || err != nil {
		return nil, err
	}
	m, err := w.open(c, w.plan.seeds[0])
	if err != nil {
		return nil, err
	}
	defer m.Close()
	for _, start := range []string{fromSamples, fromData} {
		states, err := longChains(ctx, m, start, ChainOptions{N: n}, w.Setup)
		if err != nil {
			return nil, err
		}
		for i := range n {
			var row []*data.Set
			for _, state := range states {
				if slices.Contains(chainSteps, state.Steps) {
					row = append(row, state.Images.Slice(i, i+1))
				}
			}
			rows = append(rows, GridRow{c.label + ", from " + start, data.Concat(row...)})
		}
	}
	return rows, nil
}
