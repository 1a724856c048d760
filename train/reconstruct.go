package train

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
)

// ReconstructOptions are the options of [Model.Reconstruct]. The zero value is "Inf" of Table 11, and L = 10 alone is
// "Inf+L=10".
type ReconstructOptions struct {
	Seed   uint64         // of the refinement's noise, and of sampled latents
	Sample bool           // begin at m̃ ~ q(m|x), not at its mean
	L      int            // Langevin steps on m after q
	Delta2 float64        // δ² of those steps; 0 means 10·τ²/(h·w·c), 0.005 for 32×32 gray images
	Sigma  float64        // σ, their noise; 0: they end at the likeliest m
	Prior  bool           // G has the batch-norm statistics of the prior's latents, also for the q of ERM
	Watch  func(done int) // called after every batch; may be nil
}

// Reconstruction is the result of [Model.Reconstruct].
type Reconstruction struct {
	Images  *data.Set // G(m), at the training size
	MSE     float64   // per pixel, in the training range: the mean over images of mean (x − G(m))²
	MSEUnit float64   // the same with pixels in [0,1]
}

// Reconstruct computes G(q_μ(x)) for every image of set (Table 11, App. A.7). With o.L, a chain on log p(m) + log p_g(x|m)
// refines the latents first, with the config's τ². For the q of ERM, G has the batch-norm statistics of q's latents of training
// images. The images must have the training size. The errors are those of pixels before they are rounded to bytes, without the
// padding of training.
func (m *Model) Reconstruct(ctx context.Context, set *data.Set, o ReconstructOptions) (*Reconstruction, error) {
	if err := m.needQ("reconstruction"); err != nil {
		return nil, err
	}
	chain := mcmc.Langevin{Steps: o.L, Delta2: o.Delta2, Sigma: o.Sigma, Clamp: mcmc.ClampNever}
	if chain.Delta2 == 0 {
		chain.Delta2 = m.Config.latentDelta2(m.Config.Tau2)
	}
	if err := checkChain("m", chain); err != nil {
		return nil, fmt.Errorf("reconstruction: %w", err)
	}
	if !o.Prior {
		var err error
		if m, err = m.posterior(ctx); err != nil {
			return nil, fmt.Errorf("reconstruction: %w", err)
		}
	}
	images, squares := m.Config.pictures(), 0.0
	err := m.each(ctx, set, pass{o.Seed, "reconstruct", o.Watch}, func(x torch.Tensor, rng *torch.RNG) error {
		start := m.infer(x)
		if o.Sample {
			start = m.draw(x, rng.Fork("m"))
		}
		latent, err := m.climb(ctx, chain, mcmc.LatentEnergy(m.generate, x, m.Config.Tau2), start, rng, nil)
		if err != nil {
			return err
		}
		torch.NoGrad(func() {
			gm := m.generate(latent)
			images.add(gm)
			squares += m.Config.crop(x.Sub(gm)).Square().MeanDim(1, 2, 3).Sum().Item()
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &Reconstruction{MSE: squares / float64(set.N)}
	width := m.Config.Data.Range.High - m.Config.Data.Range.Low
	r.MSEUnit = r.MSE / (width * width)
	r.Images, err = images.set("reconstructions", set.Labels)
	return r, err
}

// infer is q_μ(x), the mean of q(m|x), without a graph: [n,c,h,w] → [n,d_m].
func (m *Model) infer(x torch.Tensor) (mean torch.Tensor) {
	torch.NoGrad(func() { mean, _ = m.Q.Forward(x) })
	return mean
}

// draw is m̃ ~ q(m|x), without a graph: [n,c,h,w] → [n,d_m].
func (m *Model) draw(x torch.Tensor, rng *torch.RNG) (latent torch.Tensor) {
	torch.NoGrad(func() {
		mean, logVar := m.Q.Forward(x)
		latent = Reparameterize(mean, logVar, rng.NormalLike(mean))
	})
	return latent
}
