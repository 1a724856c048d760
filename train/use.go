package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// useBatch is [Model.Batch] of images with 32×32 pixels.
const useBatch = 128

// Batch is the number of images that the model works on at once. It is smaller for larger images, since a
// chain keeps the activations of E, G and h.
func (m *Model) Batch() int {
	return max(1, useBatch*32*32/(m.Config.Data.Size*m.Config.Data.Size))
}

// needG returns an error if the model has no G.
func (m *Model) needG(use string) error {
	if m.G == nil {
		return fmt.Errorf("%s needs the generator G, and LoadScorer leaves it out: use LoadModel", use)
	}
	return nil
}

// needQ returns an error if the model has no q.
func (m *Model) needQ(use string) error {
	if err := m.needG(use); err != nil {
		return err
	}
	if m.Q == nil {
		return fmt.Errorf("%s needs the inference model q, and the run has none: train q with liebm train-q and load it, or use a run with target=%s", use, ERM)
	}
	return nil
}

// needH returns an error if the model has no encoder or no latent term.
func (m *Model) needH(use string) error {
	if m.H == nil || m.E.Head1 == nil {
		return fmt.Errorf("%s needs the encoder h and an energy with latents, and the run was trained with energy.posterior=%s: use a run with another posterior", use, m.Config.Energy.Posterior)
	}
	return nil
}

// fits returns an error if the set's images are not of the training size.
func (m *Model) fits(set *data.Set) error {
	size, channels := m.Config.Data.Size, m.Config.Energy.Channels
	if set.H != size || set.W != size || set.C != channels {
		return fmt.Errorf("the images are %v, and the model reads %d×%d pixels with %d channels: resize or convert them", set.Shape, size, size, channels)
	}
	return nil
}

// checkChain checks a chain on m or Y, whose settings are not those of training.
func checkChain(on string, l mcmc.Langevin) error {
	if l.Steps < 0 {
		return fmt.Errorf("%d steps of the chain on %s: give 0 (none) or more", l.Steps, on)
	}
	if !positive(l.Delta2) {
		return fmt.Errorf("δ² of the chain on %s is %v: give a step size above 0, or leave it out for the default", on, l.Delta2)
	}
	if err := l.Validate(); err != nil {
		return fmt.Errorf("the chain on %s: %w", on, err)
	}
	return nil
}

// pass is work on images or latents, a batch at a time.
type pass struct {
	seed    uint64
	purpose string         // of the noise
	watch   func(done int) // called after every batch; may be nil
}

// inBatches calls f for the numbers from 0 to total, n of them from start on at a time. Each batch has a scope
// of its own. Its size depends on the model only, and every image has noise of its own, so that image i of a seed
// gets the same noise in a set of any length.
func (m *Model) inBatches(ctx context.Context, total int, p pass, f func(start, n int, rng *torch.RNG) error) error {
	for start := 0; start < total; start += m.Batch() {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(m.Batch(), total-start)
		err := torch.Do(func() error { return f(start, n, torch.NewRNG(p.seed, start/m.Batch(), p.purpose).Rows(0)) })
		if err != nil {
			return err
		}
		if p.watch != nil {
			p.watch(start + n)
		}
	}
	return nil
}

// each calls f with the images of set as [n,c,h,w] in the range.
func (m *Model) each(ctx context.Context, set *data.Set, p pass, f func(x torch.Tensor, rng *torch.RNG) error) error {
	if err := m.fits(set); err != nil {
		return err
	}
	return m.inBatches(ctx, set.N, p, func(start, n int, rng *torch.RNG) error {
		return f(m.read(set.Slice(start, start+n)), rng)
	})
}

// read returns the images of set as [n,c,h,w] in the range.
func (m *Model) read(set *data.Set) torch.Tensor {
	return m.Config.Data.Range.FromUnit(set.Floats().ToDevice(m.Device))
}

// generate is G(m) in eval mode.
func (m *Model) generate(latent torch.Tensor) torch.Tensor { return m.G.Forward(latent, nn.Eval) }

// image is G(m) in eval mode, without a graph.
func (m *Model) image(latent torch.Tensor) (x torch.Tensor) {
	torch.NoGrad(func() { x = m.generate(latent) })
	return x
}

// climb is l.Walk that calls show after each step. show may be nil. It stops when ctx ends, and returns an error if the result is NaN or
// infinite.
func (m *Model) climb(ctx context.Context, l mcmc.Langevin, e mcmc.Energy, x0 torch.Tensor, rng *torch.RNG, show func(step int, x torch.Tensor)) (torch.Tensor, error) {
	x, err := l.Walk(e, x0, rng, func(step int, x torch.Tensor) error {
		if show != nil {
			show(step, x)
		}
		return ctx.Err()
	})
	if err != nil {
		return x, err
	}
	if sum := x.Sum().Item(); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return x, fmt.Errorf("%w within %d steps with δ² = %v: use a smaller δ²", ErrChainDiverged, l.Steps, l.Delta2)
	}
	return x, nil
}

// ErrChainDiverged is the error of a chain whose result has a NaN or an infinity.
var ErrChainDiverged = errors.New("the chain diverged")

// latentDelta2 is δ² for a chain on m that fits images with Gaussian noise of a variance. Every pixel adds
// to the curvature, so the step shrinks with their number: 0.005 for 32×32 gray images and τ² = ½.
func (c Config) latentDelta2(variance float64) float64 {
	return 10 * variance / float64(c.Data.Size*c.Data.Size*c.Energy.Channels)
}

// pictures collects images of the config's size, in the order in which they are added.
type pictures struct {
	cfg    Config
	pixels []byte
}

func (c Config) pictures() *pictures { return &pictures{cfg: c} }

// add adds images [n,c,h,w] in the range.
func (p *pictures) add(x torch.Tensor) { p.pixels = append(p.pixels, p.bytes(x)...) }

// bytes quantises images [n,c,h,w] in the range.
func (p *pictures) bytes(x torch.Tensor) []byte { return data.Bytes(p.cfg.Data.Range.ToUnit(x)) }

// set returns all of them under a name.
func (p *pictures) set(name string, labels []int32) (*data.Set, error) {
	if len(p.pixels) == 0 {
		return nil, errors.New("no images to work on: give at least one")
	}
	shape := data.Shape{H: p.cfg.Data.Size, W: p.cfg.Data.Size, C: p.cfg.Energy.Channels}
	shape.N = len(p.pixels) / shape.ImageBytes()
	out, err := data.New(shape, p.pixels, labels)
	if err != nil {
		return nil, err
	}
	out.Name = name
	return out, nil
}
