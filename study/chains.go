package study

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// chainSteps are the numbers of steps after which [AssessChains] looks at chains. Few chains make all of them, many the others.
var chainSteps = []int{0, 5, 15, 100, 1000}

// longShare: one chain in longShare makes 1,000 steps. The others make 100.
const longShare = 10

// The starts of long chains, as the ends of names of values.
const (
	fromSamples = "samples"
	fromData    = "data"
)

// ChainOptions are the options of [AssessChains].
type ChainOptions struct {
	N         int    // chains from each start
	Seed      uint64 // of samples and noise
	Inception string // as in SampleOptions
}

const longChainsMetric = "long chains"

// AssessChains runs the chain of Eq. 9 from samples of G and from held-out images of the data, for many more steps than
// training does. All chains make 100 steps, and those from the first tenth of the images make 1,000. The values are
//   - energy/T/START, the mean of E(x), and move/T/START, rms(x^T − x⁰) of pixels in the training range;
//   - fid, fd or fd_h/T/START, the Fréchet distance, except for T = 1000, where there are too few images;
//   - for Fashion-MNIST class_agreement/T/START, the share of images that the classifier puts into the class of x⁰.
//
// T is 0, 5, 15, 100 or 1000, or trained for the length of training; START is samples or data.
func AssessChains(ctx context.Context, m *train.Model, o ChainOptions, s Setup) (*eval.Record, error) {
	features, err := s.featuresOf(m, o.Inception)
	if err != nil {
		return nil, err
	}
	defer features.Close()
	reference, input, err := features.reference(ctx, m.Config, "", s)
	if err != nil {
		return nil, err
	}
	r := s.record(longChainsMetric, m, o.Seed)
	r.Network, r.Settings["n"], r.Settings["n/1000"] = features.Name(), fmt.Sprint(o.N), fmt.Sprint(o.few())
	r.Of(input)
	most := len(chainSteps) - 1
	for _, start := range []string{fromSamples, fromData} {
		many, err := longChains(ctx, m, start, o.N, append([]int{m.Config.Chain.Steps}, chainSteps[:most]...), o.Seed, s)
		if err != nil {
			return nil, err
		}
		few, err := longChains(ctx, m, start, o.few(), []int{0, chainSteps[most]}, o.Seed, s)
		if err != nil {
			return nil, err
		}
		for _, state := range many {
			if err := addChains(ctx, r, m.Config, start, many[0], state); err != nil {
				return nil, err
			}
			key := fmt.Sprintf("%s/%d/%s", features.Key, state.Steps, start)
			if r.Values[key], _, err = features.distance(ctx, m.Config, state.Images, reference, "", Setup{}); err != nil {
				return nil, err
			}
		}
		if err := addChains(ctx, r, m.Config, start, few[0], few[1]); err != nil {
			return nil, err
		}
		for _, of := range []string{"energy", "move", "class_agreement", features.Key} {
			if v, ok := r.Values[fmt.Sprintf("%s/%d/%s", of, m.Config.Chain.Steps, start)]; ok {
				r.Values[of+"/trained/"+start] = v
			}
		}
	}
	return r, nil
}

// few is the number of chains of 1,000 steps from each start.
func (o ChainOptions) few() int { return max(1, o.N/longShare) }

// addChains adds energy, move and class agreement of a state to r.
func addChains(ctx context.Context, r *eval.Record, cfg train.Config, start string, first, state train.ChainState) (err error) {
	end := fmt.Sprintf("/%d/%s", state.Steps, start)
	r.Values["energy"+end], r.Values["move"+end] = state.Energy, state.Move
	if Classified(cfg.Data.Name) {
		r.Values["class_agreement"+end], err = classAgreement(ctx, first.Images, state.Images)
	}
	return err
}

// longChains are the states of n chains from a start after numbers of steps, in order.
func longChains(ctx context.Context, m *train.Model, start string, n int, at []int, seed uint64, s Setup) ([]train.ChainState, error) {
	var set *data.Set
	var err error
	if start == fromSamples {
		set, err = m.Sample(ctx, n, train.SampleOptions{Seed: seed, NoMCMC: true})
	} else if set, err = m.Config.Open(data.HeldOut); err == nil {
		defer set.Close()
		set = set.Head(n)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(at)
	return m.Chains(ctx, set, slices.Compact(at), train.ChainOptions{Seed: seed, Watch: s.watch("long chains from "+start, set.N)})
}

// chainsDiverged is 1 if long chains had a NaN or an infinity.
const chainsDiverged = "diverged"

// assessChains measures long chains.
func (w *work) assessChains(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	r, err := AssessChains(ctx, m, ChainOptions{N: c.folder.scale.Chains, Inception: c.folder.scale.Weights}, w.Setup)
	if errors.Is(err, train.ErrChainDiverged) { // a result, too
		r, err = w.record(longChainsMetric, m, 0), nil
		r.Values[chainsDiverged] = 1
	}
	return []*eval.Record{r}, err
}

// chainsPicture draws the first chains of each model from each start: a row for each chain, and a column for each of chainSteps. They
// are the first ones measured.
func chainsPicture(ctx context.Context, w *work, s Study, f *folder) ([]Figure, error) {
	var rows []GridRow
	for _, name := range s.variants() {
		more, err := chainRows(ctx, w, f.cell(name))
		if errors.Is(err, train.ErrChainDiverged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	if rows == nil {
		return nil, nil
	}
	p := Figure{"chains.png", fmt.Sprintf("chains from samples of G and from data, after %v steps", chainSteps)}
	return []Figure{p}, WriteRows(filepath.Join(w.plan.out, p.File), f.cell("em").config, rows)
}

// chainRows returns the picture rows of one model, for the first seed. There are none if the model is not trained.
func chainRows(ctx context.Context, w *work, c *cell) (rows []GridRow, err error) {
	const n = 3
	m, _, err := w.first(c)
	if m == nil || err != nil {
		return nil, err
	}
	defer m.Close()
	for _, start := range []string{fromSamples, fromData} {
		states, err := longChains(ctx, m, start, n, slices.Clone(chainSteps), 0, w.Setup)
		if err != nil {
			return nil, err
		}
		for i := range n {
			var row []*data.Set
			for _, state := range states {
				row = append(row, state.Images.Slice(i, i+1))
			}
			rows = append(rows, GridRow{c.label + ", from " + start, data.Concat(row...)})
		}
	}
	return rows, nil
}
