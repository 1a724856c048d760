package train

import (
	"cmp"
	"context"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// SampleOptions are the options of [Model.Sample].
type SampleOptions struct {
	Seed   uint64
	Batch  int            // images drawn at once; 0: Model.Batch
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
// Sample i depends on the seed and i only. After [Model.Share] every process calls Sample with the same options, and
// gets all images.
func (m *Model) Sample(ctx context.Context, n int, o SampleOptions) (*data.Set, error) {
	if err := m.needG("sampling"); err != nil {
		return nil, err
	}
	images, batch := m.Config.pictures(), cmp.Or(o.Batch, m.Batch())
	if batch < 0 {
		return nil, fmt.Errorf("batches of %d images: use 1 or more, or 0 for the default", batch)
	}
	if err := m.group.Alike([]string{fmt.Sprintf("images=%d", n), fmt.Sprintf("batch=%d", batch), fmt.Sprintf("seed=%d", o.Seed),
		fmt.Sprintf("NFE=%d", m.NFE(o))}); err != nil {
		return nil, err
	}
	rng := torch.NewRNG(o.Seed, 0, "sample")
	done := 0
	shared := torch.Share(m.group, func(pixels []byte) {
		images.pixels = append(images.pixels, pixels...)
		done = min(done+batch, n)
		if o.Watch != nil {
			o.Watch(done)
		}
	})
	err := torch.Do(func() (err error) {
		energy := m.E.Frozen(m.dtype)
		for start := 0; start < n && err == nil; start += batch {
			err = shared.Do(ctx, func() []byte {
				return images.bytes(drawSamples(m.G, energy, m.Config, nn.Eval, m.NFE(o)-1, rng.Rows(start), min(batch, n-start)))
			})
		}
		return shared.End(err)
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
	chain := cfg.Langevin()
	chain.Steps = steps
	return chain.Run(energy.Marginal, x, rng.Fork("chain"))
}
