package train

import (
	"context"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// sampleBatch is how many images are drawn at once. It does not change, since the noise of an image depends
// on its batch: sample i of a seed is the same in a set of any length.
const sampleBatch = 250

// SampleOptions of [Model.Sample].
type SampleOptions struct {
	Seed   uint64
	NoMCMC bool           // G(m) alone: one network evaluation
	Watch  func(done int) // called after every batch; may be nil
}

// NFE is the number of network evaluations per sample: one of G, and one of E per step of the chain.
func (m *Model) NFE(o SampleOptions) int {
	if o.NoMCMC {
		return 1
	}
	return 1 + m.Config.Chain.Steps
}

// Sample draws n images at the training size: G(m), refined by the chain on E (Eq. 9) unless o.NoMCMC.
// Sample i depends on the seed and i only.
func (m *Model) Sample(ctx context.Context, n int, o SampleOptions) (*data.Set, error) {
	images := m.Config.pictures()
	err := torch.Do(func() error {
		energy := m.E.Frozen(m.dtype)
		for start := 0; start < n; start += sampleBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			count := min(sampleBatch, n-start)
			torch.Tidy(func() torch.Tensor {
				rng := torch.NewRNG(o.Seed, start/sampleBatch, "sample")
				x := drawSamples(m.G, energy, m.Config, nn.Eval, m.NFE(o)-1, rng, sampleBatch)
				images.add(x.Narrow(0, 0, count))
				return torch.Tensor{}
			})
			if o.Watch != nil {
				o.Watch(start + count)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return images.set("", nil)
}

// drawSamples returns G(m) after steps of the chain: [n,c,h,w] in the range.
func drawSamples(g *models.Generator, energy *models.Bound, cfg Config, mode nn.Mode, steps int, rng *torch.RNG, n int) torch.Tensor {
	var x torch.Tensor
	torch.NoGrad(func() {
		m := rng.Fork("m").Normal(n, cfg.Generator.LatentDim).ToDevice(g.In.Weight.Device())
		x = g.Forward(m, mode)
	})
	if steps == 0 {
		return x
	}
	chain := cfg.chain()
	chain.Steps = steps
	return chain.Run(energy.Marginal, x, rng.Fork("chain"))
}
