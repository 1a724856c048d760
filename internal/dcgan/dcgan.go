// Package dcgan is a deep convolutional GAN (Radford et al. 2016) for images of 32×32 pixels. Its settings are
// the usual ones, at a quarter of the usual width; nobody tuned them. The example of the same name trains it,
// and the study of equal time compares it with energy-based models.
package dcgan

import (
	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

const (
	Batch   = 64   // images of a step
	Latents = 64   // dimensions of m
	Width   = 32   // channels at 16×16; twice as many at 8×8, four times at 4×4
	Rate    = 2e-4 // learning rate of both networks
)

// Adam are the settings of both optimisers.
var Adam = optim.AdamOptions{Beta1: 0.5, Beta2: 0.999, Eps: 1e-8}

// generator maps m: [n,64] to images [n,c,32,32] in [−1,1].
type generator struct {
	In    *nn.Linear
	Norms []*nn.BatchNorm
	Ups   []*nn.Conv2d // transposed: each doubles height and width
}

func newGenerator(channels int) *generator {
	g := &generator{In: nn.NewLinear(Latents, 4*Width*4*4, nn.LinearOptions{NoBias: true})}
	in := 4 * Width
	for _, out := range []int{2 * Width, Width, channels} {
		g.Norms = append(g.Norms, nn.NewBatchNorm(in))
		g.Ups = append(g.Ups, nn.NewConv2d(out, in, 4, nn.Conv2dOptions{NoBias: true})) // the weight of the convolution that it transposes
		in = out
	}
	return g
}

func (g *generator) Forward(m torch.Tensor, mode nn.Mode) torch.Tensor {
	h := g.In.Forward(m).Reshape(-1, 4*Width, 4, 4).Contiguous(torch.ChannelsLast)
	for i, up := range g.Ups {
		const stride, padding = 2, 1
		h = torch.Call("aten::conv_transpose2d.input", g.Norms[i].Forward(h, mode).ReLU(), up.Weight, torch.Tensor{}, stride, padding).Tensor(0)
	}
	return h.Tanh()
}

// discriminator maps images [n,c,32,32] to logits [n], high where an image seems real.
type discriminator struct {
	Downs []*nn.Conv2d
	Norms []*nn.BatchNorm // after all but the first
	Out   *nn.Linear
}

func newDiscriminator(channels int) *discriminator {
	d := &discriminator{Out: nn.NewLinear(4*Width*4*4, 1, nn.LinearOptions{})}
	in := channels
	for i, out := range []int{Width, 2 * Width, 4 * Width} {
		d.Downs = append(d.Downs, nn.NewConv2d(in, out, 4, nn.Conv2dOptions{Stride: 2, Padding: 1, NoBias: true}))
		if i > 0 {
			d.Norms = append(d.Norms, nn.NewBatchNorm(out))
		}
		in = out
	}
	return d
}

func (d *discriminator) Forward(x torch.Tensor) torch.Tensor {
	for i, down := range d.Downs {
		if x = down.Forward(x); i > 0 {
			x = d.Norms[i-1].Forward(x, nn.Train)
		}
		x = x.LeakyReLU(0.2)
	}
	return d.Out.Forward(x.Contiguous(torch.Contiguous).Flatten(1)).Squeeze(1)
}

// GAN is both networks and their optimisers.
type GAN struct {
	G *generator
	D *discriminator

	adamG, adamD *optim.Adam
	seed         uint64
	steps        int
}

// New makes a GAN for images with this number of channels. It needs an open scope. The caller closes it.
func New(channels int, seed uint64, device torch.Device) *GAN {
	g := &GAN{G: newGenerator(channels), D: newDiscriminator(channels), seed: seed}
	for purpose, net := range map[string]any{"G": g.G, "D": g.D} {
		rng := torch.NewRNG(seed, 0, "dcgan "+purpose)
		nn.Init(net, rng)
		torch.NoGrad(func() {
			for _, weight := range nn.Params(net) {
				if weight.Dim() > 1 { // not those of batch norm
					weight.NormalInPlace(0.02, rng)
				}
			}
		})
		nn.To(net, device, torch.Float32)
	}
	g.adamG, g.adamD = optim.NewAdam(nn.Params(g.G), Adam), optim.NewAdam(nn.Params(g.D), Adam)
	return g
}

// Close frees the networks and the state of their optimisers.
func (g *GAN) Close() {
	nn.Close(g.G)
	nn.Close(g.D)
	g.adamG.Close()
	g.adamD.Close()
}

// Step updates D, then G, by binary cross-entropy, and returns both losses. x: [n,c,32,32] in [−1,1].
func (g *GAN) Step(x torch.Tensor) (lossD, lossG float64) {
	fake := g.generate(x.Size(0), torch.NewRNG(g.seed, g.steps, "dcgan"), nn.Train)
	d := real(g.D.Forward(x)).Add(real(g.D.Forward(fake.Detach()).Neg()))
	g.adamD.Step(d, Rate)
	l := real(g.D.Forward(fake))
	g.adamG.Step(l, Rate)
	g.steps++
	return d.Item(), l.Item()
}

// real is the mean of −log σ(logit): the cross-entropy of logits whose images should be taken as real. With
// −logit it is that of images which should not.
func real(logits torch.Tensor) torch.Tensor {
	return torch.Call("aten::softplus", logits.Neg()).Tensor(0).Mean()
}

// Generate draws n images: [n,c,32,32] in [−1,1].
func (g *GAN) Generate(n int, rng *torch.RNG) (x torch.Tensor) {
	torch.NoGrad(func() { x = g.generate(n, rng, nn.Eval) })
	return x
}

func (g *GAN) generate(n int, rng *torch.RNG, mode nn.Mode) torch.Tensor {
	return g.G.Forward(rng.Normal(n, Latents).ToDevice(g.G.In.Weight.Device()), mode)
}

// Images draws n images of 32×32 pixels by a function that returns them in [−1,1], some at a time. It needs an open scope.
func Images(n int, seed uint64, generate func(n int, rng *torch.RNG) torch.Tensor) (*data.Set, error) {
	const some = 250
	shape, pixels := data.Shape{N: n, H: 32, W: 32}, []byte(nil)
	for start := 0; start < n; start += some {
		torch.Tidy(func() torch.Tensor {
			x := generate(min(some, n-start), torch.NewRNG(seed, 0, "sample").Rows(start))
			shape.C = x.Size(1)
			pixels = append(pixels, data.Bytes(x.AddScalar(1).MulScalar(0.5))...)
			return torch.Tensor{}
		})
	}
	return data.New(shape, pixels, nil)
}
