package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
)

// RestoreOptions are the options of [Model.Restore]. The paper gives none of these values; [RestoreDefaults] has ours.
type RestoreOptions struct {
	Seed     uint64
	Latent   mcmc.Langevin  // on m, Eq. 16
	Image    mcmc.Langevin  // on Y, Eq. 17, clamped to the range
	Variance float64        // of p(A⁺y | A⁺A x), per pixel
	Frames   int            // number of states of each chain to keep, between its start and its end; a chain of n steps has n−1
	Watch    func(done int) // called after every batch; may be nil
}

// RestoreDefaults returns settings for a model of config c. The variance is τ², the variance of p_g(x|m). The step on Y
// is that of training, but at most 2·variance: a single step of that size reaches A⁺A x = A⁺y by the data term alone. The step
// on m is 10·variance/(h·w·c), since one latent moves every pixel. Both chains have little noise, since a
// restoration should be the likeliest image. The values were chosen on the first test images of Fashion-MNIST,
// with models of less than a million parameters. Other data and models may need others.
func RestoreDefaults(c Config) RestoreOptions {
	return RestoreOptions{
		Variance: c.Tau2,
		Latent:   mcmc.Langevin{Steps: 100, Delta2: c.latentDelta2(c.Tau2), Sigma: 1e-3, Clamp: mcmc.ClampNever},
		Image:    mcmc.Langevin{Steps: 60, Delta2: min(c.Chain.Delta2, 2*c.Tau2), Sigma: 1e-3, Clamp: mcmc.ClampStep},
	}
}

func (o RestoreOptions) validate() error {
	if !(o.Variance > 0) || math.IsInf(o.Variance, 0) {
		return fmt.Errorf("the variance of p(A⁺y|A⁺Ax) is %v: give one above 0, such as 0.5", o.Variance)
	}
	if o.Frames < 0 {
		return fmt.Errorf("%d frames of each chain: give 0 or more", o.Frames)
	}
	return cmp.Or(checkChain("m", o.Latent), checkChain("Y", o.Image))
}

// Restoration is the result of [Model.Restore]: images at the training size, in the order of the set.
type Restoration struct {
	Degraded *data.Set // A⁺y
	Start    *data.Set // G(m⁰), with m⁰ = q_μ(A⁺y)
	Refined  *data.Set // G(m), after Eq. 16
	Restored *data.Set // G(m) + Y, after Eq. 17

	Latent, Image []*data.Set // frames of the two chains
}

// Restore degrades every image of set by a and restores it from A⁺y (Sec. 4.4). It starts at m⁰ = q_μ(A⁺y), runs
// a chain on m (Eq. 16), and then one on Y with G(m) fixed (Eq. 17). Both use E(x, h(x)), or E(x) if the model
// has no latent term. An image that is degraded already does not change when it is degraded, since A⁺A x = x.
func (m *Model) Restore(ctx context.Context, set *data.Set, a mcmc.Operator, o RestoreOptions) (*Restoration, error) {
	if err := m.needQ("restoration"); err != nil {
		return nil, err
	}
	if err := errors.Join(a.Check(set.C, set.H, set.W), o.validate()); err != nil {
		return nil, fmt.Errorf("restoration: %w", err)
	}
	m, err := m.posterior(ctx)
	if err != nil {
		return nil, fmt.Errorf("restoration: %w", err)
	}
	o.Image.Low, o.Image.High = m.Config.Data.Range.Low, m.Config.Data.Range.High
	w := &restoring{m: m, o: o, a: a, stages: map[string]*pictures{}}
	err = torch.Do(func() error {
		w.energy = m.joint()
		return m.each(ctx, set, pass{o.Seed, "restore", o.Watch}, func(x torch.Tensor, rng *torch.RNG) error {
			return w.batch(ctx, x, rng)
		})
	})
	if err != nil {
		return nil, err
	}
	return w.result(set)
}

// restoring is the state of one call of Restore.
type restoring struct {
	m      *Model
	o      RestoreOptions
	a      mcmc.Operator
	energy mcmc.Energy // belongs to the scope around all batches
	stages map[string]*pictures
}

func (w *restoring) keep(stage string, x torch.Tensor) {
	if w.stages[stage] == nil {
		w.stages[stage] = w.m.Config.pictures()
	}
	w.stages[stage].add(x)
}

func (w *restoring) batch(ctx context.Context, x torch.Tensor, rng *torch.RNG) error {
	estimate := mcmc.Project(w.a, x) // A⁺y
	r := mcmc.RestorationEnergies{A: w.a, Estimate: estimate, Variance: w.o.Variance, Energy: w.energy, Generate: w.m.generate}
	latent := w.m.infer(estimate) // m⁰
	w.keep("degraded", estimate)
	w.keep("start", w.m.image(latent))
	latent, err := w.m.climb(ctx, w.o.Latent, r.Latent, latent, rng.Fork("m"), w.frames("latent", w.o.Latent.Steps, w.m.image))
	if err != nil {
		return err
	}
	gm := w.m.image(latent)
	w.keep("refined", gm)
	same := func(x torch.Tensor) torch.Tensor { return x }
	restored, err := w.m.climb(ctx, w.o.Image, r.Image, gm, rng.Fork("Y"), w.frames("image", w.o.Image.Steps, same))
	if err != nil {
		return err
	}
	w.keep("restored", restored)
	return nil
}

// frames keeps o.Frames states of a chain, evenly spaced between its start and its end.
func (w *restoring) frames(chain string, steps int, image func(torch.Tensor) torch.Tensor) func(step int, x torch.Tensor) {
	n := min(w.o.Frames, steps-1)
	return func(step int, x torch.Tensor) {
		for k := 1; k <= n; k++ {
			if step == k*steps/(n+1) {
				w.keep(fmt.Sprintf("%s %d", chain, k), image(x))
			}
		}
	}
}

func (w *restoring) result(set *data.Set) (*Restoration, error) {
	var err error
	stage := func(name string) *data.Set {
		images, ok := w.stages[name]
		if !ok || err != nil {
			return nil
		}
		var out *data.Set
		out, err = images.set(name, set.Labels)
		return out
	}
	r := &Restoration{Degraded: stage("degraded"), Start: stage("start"), Refined: stage("refined"), Restored: stage("restored")}
	for k := 1; k <= w.o.Frames; k++ {
		for chain, to := range map[string]*[]*data.Set{"latent": &r.Latent, "image": &r.Image} {
			if frame := stage(fmt.Sprintf("%s %d", chain, k)); frame != nil {
				*to = append(*to, frame)
			}
		}
	}
	return r, err
}

// joint is E(x, h(x)) with constant weights, or E(x) if the model has no latent term. It belongs to the open scope.
func (m *Model) joint() mcmc.Energy {
	energy, latent := m.E.Frozen(m.dtype), m.latent()
	if latent == nil {
		return energy.Marginal
	}
	return mcmc.Joint(energy, latent)
}

// latent is z = h(x)/‖h(x)‖ with constant weights, or nil if the model has no latent term. It belongs to the open scope.
func (m *Model) latent() func(x torch.Tensor) torch.Tensor {
	if m.H == nil || m.E.Head1 == nil {
		return nil
	}
	return m.H.Frozen().Latent
}
