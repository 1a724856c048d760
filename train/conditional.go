package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// ConditionalOptions are the options of [Model.Conditional].
type ConditionalOptions struct {
	Seed   uint64
	N      int     // images of each class
	Rounds int     // number of times that m is drawn; 0 means 5
	Weight float64 // of log p(z̄_c|x) in the energy; 0 means 1, the energy of training

	Watch func(stage string, done, total int) // may be nil
}

// Conditional is the result of [Model.Conditional]: o.N images of class 0, then of class 1, and so on.
type Conditional struct {
	Means  *data.Set   // x̄_c, one of each class
	Rounds []*data.Set // G(m) of every round
	Images *data.Set   // G(m) + Y
}

// Conditional draws images of every class of a labelled set (Sec. 4.3). It first computes the mean latent z̄_c
// and the mean view x̄_c of each class. It starts with x̄_c in place of G(m) and Y = 0. Each round runs the
// chain of training on E(G(m) + Y, z̄_c) in Y, draws m from q(m|G(m)+Y), and sets Y = 0, since the new G(m)
// contains the old Y. A last chain in Y follows. Image i of a class depends on the seed, the class and i only.
func (m *Model) Conditional(ctx context.Context, set *data.Set, o ConditionalOptions) (*Conditional, error) {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Weight == 0 {
		o.Weight = 1
	}
	if err := m.canCondition(set, o); err != nil {
		return nil, err
	}
	watch := func(stage string, total int) func(done int) {
		return func(done int) {
			if o.Watch != nil {
				o.Watch(stage, done, total)
			}
		}
	}
	c, err := m.classMeans(ctx, set, o.Seed, watch("class means", set.N))
	if err != nil {
		return nil, err
	}
	if m, err = m.posterior(ctx); err != nil {
		return nil, fmt.Errorf("conditional sampling: %w", err)
	}
	w := &conditioning{m: m, o: o, means: m.Config.pictures(), images: m.Config.pictures()}
	for range o.Rounds {
		w.rounds = append(w.rounds, m.Config.pictures())
	}
	drawn := watch("classes", len(c.latents))
	err = torch.Do(func() error {
		w.energy = m.E.Frozen(m.dtype)
		for class := range c.latents {
			p := pass{seed: o.Seed, purpose: fmt.Sprintf("conditional %d", class)}
			err := m.inBatches(ctx, o.N, p, func(start, n int, rng *torch.RNG) error { return w.batch(ctx, c, class, start, n, rng) })
			if err != nil {
				return err
			}
			drawn(class + 1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return w.result(len(c.latents))
}

// canCondition checks the set, the options and the model.
func (m *Model) canCondition(set *data.Set, o ConditionalOptions) error {
	const use = "conditional sampling"
	if set.N == 0 {
		return fmt.Errorf("%s: the set is empty: give at least one image of each class", use)
	}
	if set.Labels == nil {
		return fmt.Errorf("%s: %s has no labels, and a class is the mean of its images: give a labelled set, or use a run on one, such as fmnist", use, set.Name)
	}
	if slices.Min(set.Labels) < 0 {
		return fmt.Errorf("%s: %s has a negative label: classes count from 0", use, set.Name)
	}
	if o.N < 1 || o.Rounds < 1 || !(o.Weight >= 0) || math.IsInf(o.Weight, 0) {
		return fmt.Errorf("%s of %d images a class in %d rounds with weight %v: give at least 1 of each, and a weight above 0", use, o.N, o.Rounds, o.Weight)
	}
	return cmp.Or(m.needH(use), m.needQ(use), m.fits(set))
}

// conditioning is the state of one call of Conditional.
type conditioning struct {
	m             *Model
	o             ConditionalOptions
	energy        *models.Bound
	means, images *pictures
	rounds        []*pictures
}

// batch draws n images of one class from index start on.
func (w *conditioning) batch(ctx context.Context, c *classes, class, start, n int, rng *torch.RNG) error {
	m := w.m
	size, channels := m.Config.Data.Size, m.Config.Energy.Channels
	row := func(v []float64) torch.Tensor {
		return torch.FromSlice(v, 1, len(v)).To(torch.Float32).ToDevice(m.Device).Expand(n, -1)
	}
	mean := row(c.images[class]).Reshape(n, channels, size, size)
	if start == 0 {
		w.means.add(mean.Narrow(0, 0, 1))
	}
	energy := conditioned(w.energy, row(c.latents[class]), w.o.Weight)
	chain := m.Config.Langevin()
	gm := mean
	for round := range w.o.Rounds {
		x, err := m.climb(ctx, chain, energy, gm, rng.Fork(fmt.Sprintf("Y %d", round)), nil)
		if err != nil {
			return err
		}
		gm = m.image(m.draw(x, rng.Fork(fmt.Sprintf("m %d", round))))
		w.rounds[round].add(gm)
	}
	x, err := m.climb(ctx, chain, energy, gm, rng.Fork("Y"), nil)
	if err != nil {
		return err
	}
	w.images.add(x)
	return nil
}

// conditioned is E(x, z̄) of Eq. 5 with a weight on the log posterior. z: [n,d_z].
func conditioned(e *models.Bound, z torch.Tensor, weight float64) mcmc.Energy {
	return func(x torch.Tensor) torch.Tensor {
		f := e.Features(x)
		return e.Score(f).AddScaled(e.LogPosterior(f, z), weight)
	}
}

func (w *conditioning) result(classes int) (*Conditional, error) {
	var of, labels []int32
	for class := range int32(classes) {
		of, labels = append(of, class), append(labels, slices.Repeat([]int32{class}, w.o.N)...)
	}
	out := &Conditional{}
	var errs [3]error
	out.Means, errs[0] = w.means.set("class means", of)
	out.Images, errs[1] = w.images.set("conditional", labels)
	for _, round := range w.rounds {
		set, err := round.set("round", labels)
		out.Rounds, errs[2] = append(out.Rounds, set), errors.Join(errs[2], err)
	}
	return out, errors.Join(errs[:]...)
}

// classes are the mean latents and the mean images of the classes of a set.
type classes struct {
	latents [][]float64 // z̄_c, on the unit sphere
	images  [][]float64 // x̄_c, of augmented images: [c·h·w] in the range
}

// classMeans draws one view of every image and computes the means of each class (Sec. 4.3): z̄_c is the mean of
// the views' latents, normalised, and x̄_c that of the views.
func (m *Model) classMeans(ctx context.Context, set *data.Set, seed uint64, watch func(done int)) (*classes, error) {
	c := &classes{}
	for range slices.Max(set.Labels) + 1 {
		c.latents = append(c.latents, make([]float64, m.Config.Energy.LatentDim))
		c.images = append(c.images, make([]float64, set.ImageBytes()))
	}
	counts, at := make([]float64, len(c.latents)), 0
	err := m.each(ctx, set, pass{seed, "class means", watch}, func(x torch.Tensor, rng *torch.RNG) error {
		labels := set.Labels[at : at+x.Size(0)]
		at += x.Size(0)
		torch.NoGrad(func() {
			view := m.Config.view(m.Config.Data.Range.ToUnit(x), rng)
			addRows(c.latents, m.H.Latent(view), labels)
			addRows(c.images, view.Reshape(len(labels), -1), labels)
		})
		for _, l := range labels {
			counts[l]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for class, n := range counts {
		if n == 0 && slices.Contains(m.Config.Data.LeaveOut, class) {
			return nil, fmt.Errorf("the run left class %d out of training (data.leave_out), and conditional samples need every class: use a run of all classes", class)
		}
		if n == 0 {
			return nil, fmt.Errorf("%s has no image of class %d: give a larger set", set.Name, class)
		}
		floats.Scale(1/n, c.images[class])
		floats.Scale(1/floats.Norm(c.latents[class], 2), c.latents[class])
	}
	return c, nil
}

// addRows adds each row of x: [n,d] to the sum of its label.
func addRows(sums [][]float64, x torch.Tensor, labels []int32) {
	rows, d := x.Float64s(), x.Size(1)
	for i, l := range labels {
		floats.Add(sums[l], rows[i*d:(i+1)*d])
	}
}
