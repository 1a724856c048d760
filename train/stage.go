package train

import (
	"context"
	"io"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// A stage is a training by one loss in a run folder of its own, beside Algorithm 1: pretraining, and
// q over a finished generator.
type stage struct {
	history
	log          LogConfig
	batch, steps int
	loss         string                                // what its metric is called
	update       func(x torch.Tensor) (float64, error) // one step on x: [n,c,h,w] in [0,1]
	save         func(w io.Writer) error
	probe        func(ctx context.Context) ([]Metric, error) // whenever Algorithm 1 would draw samples; may be nil
}

// run makes the stage's remaining steps.
func (s stage) run(ctx context.Context, run *RunDir, set *data.Set, o Options) error {
	if err := s.begin(run, set, o); err != nil {
		return err
	}
	batches := newBatches(set, s.seed, s.batch, nil)
	l := loop{
		run: run, log: s.log, start: *s.step, steps: func() int { return s.steps }, watch: o.Watch, save: s.save,
		step: func(i int) (metrics []Metric, err error) {
			err = torch.Do(func() error {
				loss, err := s.update(batches.at(i))
				metrics = []Metric{{s.loss, loss}}
				return err
			})
			return metrics, err
		},
	}
	if s.probe != nil {
		l.samples = func(int, *TensorBoard) ([]Metric, error) { return s.probe(ctx) }
	}
	return torch.Do(func() error { return l.drive(ctx) })
}

// batches gathers the images of a step, which depend on (seed, step) only: of n, this process's own.
type batches struct {
	set        *data.Set
	sampler    *data.Sampler
	n          int
	first, own int
	pixels     []byte
}

func newBatches(set *data.Set, seed uint64, n int, g *torch.Group) *batches {
	own := n / g.World()
	return &batches{set: set, sampler: data.NewSampler(seed, set.Len()), n: n, first: g.Rank() * own, own: own, pixels: make([]byte, own*set.ImageBytes())}
}

// at returns step i's images: [own,c,h,w] in [0,1].
func (b *batches) at(i int) torch.Tensor {
	b.set.Gather(b.pixels, b.sampler.Batch(i, b.n)[b.first:b.first+b.own])
	return data.Floats(b.pixels, b.own, b.set.H, b.set.W, b.set.C)
}
