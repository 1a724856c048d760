package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
)

// A ChainState is the state of chains after a number of steps.
type ChainState struct {
	Steps  int
	Images *data.Set // at the training size
	Energy float64   // mean E(x)
	Move   float64   // rms(x − x⁰) of pixels in the training range, with the padding
}

// ChainOptions are the options of [Model.Chains].
type ChainOptions struct {
	Seed  uint64         // of the noise
	Watch func(done int) // called after every batch; may be nil
}

// Chains runs the chain of Eq. 9 from every image of set, for as many steps as the largest number in at. It returns the states
// after each of these numbers of steps; 0 is the start. The images must have the training size. Noise of an image depends on
// the seed and the image's index only.
func (m *Model) Chains(ctx context.Context, set *data.Set, at []int, o ChainOptions) ([]ChainState, error) {
	if len(at) == 0 || slices.Min(at) < 0 || len(slices.Compact(slices.Sorted(slices.Values(at)))) < len(at) {
		return nil, fmt.Errorf("states of chains after %v steps: give at least one number, all of them 0 or more and no number twice", at)
	}
	states, images := make([]ChainState, len(at)), make([]*pictures, len(at))
	for i, steps := range at {
		states[i].Steps, images[i] = steps, m.Config.pictures()
	}
	chain := m.Config.Langevin()
	chain.Steps = slices.Max(at)
	err := torch.Do(func() error {
		energy := m.E.Frozen(m.dtype)
		return m.each(ctx, set, pass{o.Seed, "chains", o.Watch}, func(x0 torch.Tensor, rng *torch.RNG) error {
			show := func(step int, x torch.Tensor) {
				i := slices.Index(at, step)
				if i < 0 {
					return
				}
				torch.NoGrad(func() {
					if chain.Clamp == mcmc.ClampEnd {
						x = x.Clamp(chain.Low, chain.High)
					}
					states[i].Energy += energy.Marginal(x).Sum().Item() / float64(set.N)
					states[i].Move += x.Sub(x0).Square().MeanDim(1, 2, 3).Sum().Item() / float64(set.N)
					images[i].add(x)
				})
			}
			show(0, x0)
			_, err := m.climb(ctx, chain, energy.Marginal, x0, rng, show)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("chains of %d steps: %w", chain.Steps, err)
	}
	for i := range states {
		states[i].Move = math.Sqrt(states[i].Move)
		if states[i].Images, err = images[i].set("", set.Labels); err != nil {
			return nil, err
		}
	}
	return states, nil
}
