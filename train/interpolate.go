package train

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// InterpolateOptions are the options of [Model.Interpolate] and [Model.InterpolateImages].
type InterpolateOptions struct {
	Seed   uint64         // of latents and noise
	Frames int            // images of a path, both ends included
	Refine bool           // run the chain of training from G(m)
	Watch  func(done int) // called after every batch of paths; may be nil
}

// Interpolate draws n paths between random latents m, along great circles. The result has the o.Frames images
// G(m) of the first path, then those of the second, and so on. Path i depends on the seed and i only.
func (m *Model) Interpolate(ctx context.Context, n int, o InterpolateOptions) (*data.Set, error) {
	if n < 1 {
		return nil, fmt.Errorf("interpolation of %d paths: give at least 1", n)
	}
	return m.paths(ctx, n, o, func(start, n int, rng *torch.RNG) (from, to torch.Tensor) {
		draw := func(end string) torch.Tensor {
			return rng.Fork(end).Normal(n, m.Config.Generator.LatentDim).ToDevice(m.Device)
		}
		return draw("from"), draw("to")
	})
}

// InterpolateImages draws a path from every image of one set to the image of the same index in another, between
// their latents q_μ(x).
func (m *Model) InterpolateImages(ctx context.Context, from, to *data.Set, o InterpolateOptions) (*data.Set, error) {
	if err := m.needQ("interpolation between images"); err != nil {
		return nil, err
	}
	if from.N != to.N {
		return nil, fmt.Errorf("interpolation from %d images to %d: give as many ends as starts", from.N, to.N)
	}
	m, err := m.posterior(ctx)
	if err != nil {
		return nil, fmt.Errorf("interpolation between images: %w", err)
	}
	var ends [2][]float32
	for i, set := range []*data.Set{from, to} {
		err := m.each(ctx, set, pass{}, func(x torch.Tensor, _ *torch.RNG) error {
			ends[i] = append(ends[i], torch.ToSlice[float32](m.infer(x))...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return m.paths(ctx, from.N, o, func(start, n int, _ *torch.RNG) (from, to torch.Tensor) {
		d := m.Config.Generator.LatentDim
		rows := func(v []float32) torch.Tensor {
			return torch.FromSlice(v[start*d:(start+n)*d], n, d).ToDevice(m.Device)
		}
		return rows(ends[0]), rows(ends[1])
	})
}

// paths draws n paths. ends returns the two latents of the paths from index start on: [n,d_m] each.
func (m *Model) paths(ctx context.Context, n int, o InterpolateOptions, ends func(start, n int, rng *torch.RNG) (from, to torch.Tensor)) (*data.Set, error) {
	if o.Frames < 2 {
		return nil, fmt.Errorf("interpolation in %d frames: give at least 2, the ends", o.Frames)
	}
	if err := m.needG("interpolation"); err != nil {
		return nil, err
	}
	chain := m.Config.Langevin()
	if !o.Refine {
		chain.Steps = 0
	}
	images := m.Config.pictures()
	err := torch.Do(func() error {
		energy := m.E.Frozen(m.dtype)
		return m.inBatches(ctx, n, pass{o.Seed, "interpolate", o.Watch}, func(start, n int, rng *torch.RNG) error {
			from, to := ends(start, n, rng)
			var frames []torch.Tensor
			for k := range o.Frames {
				latent := slerp(from, to, float64(k)/float64(o.Frames-1))
				// All frames of a path get the same noise, so that only their latents differ.
				x, err := m.climb(ctx, chain, energy.Marginal, m.image(latent), rng.Fork("chain"), nil)
				if err != nil {
					return err
				}
				frames = append(frames, x)
			}
			images.add(torch.Cat(frames, 1).Reshape(append([]int{-1}, frames[0].Shape()[1:]...)...))
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return images.set("interpolation", nil)
}

// slerp is spherical linear interpolation (Shoemake 1985): sin((1−t)ω)/sin ω·a + sin(tω)/sin ω·b, where ω is the
// angle between a and b. Their lengths may differ. If they are parallel it is linear. a, b: [n,d].
func slerp(a, b torch.Tensor, t float64) torch.Tensor {
	cos := a.CosineSimilarity(b).Unsqueeze(1)
	omega := torch.Call("aten::acos", cos.Clamp(-1, 1)).Tensor(0)
	sin := func(x torch.Tensor) torch.Tensor { return torch.Call("aten::sin", x).Tensor(0) }
	whole := sin(omega)
	arc := a.Mul(sin(omega.MulScalar(1 - t))).Add(b.Mul(sin(omega.MulScalar(t)))).Div(whole.Clamp(1e-6, 1))
	line := a.MulScalar(1-t).AddScaled(b, t)
	return torch.Where(whole.LessScalar(1e-4), line, arc)
}
