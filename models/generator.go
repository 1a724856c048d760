package models

import (
	"fmt"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Range is the interval of a model's pixels: [0,1] or [−1,1].
type Range struct {
	Low  float64 `yaml:"low"`  // smallest value of a pixel in the networks (Table 12)
	High float64 `yaml:"high"` // largest value of a pixel in the networks (Table 12)
}

// FromUnit maps pixels in [0,1] to the range.
func (r Range) FromUnit(x torch.Tensor) torch.Tensor {
	if r == (Range{0, 1}) {
		return x
	}
	return x.MulScalar(r.High - r.Low).AddScalar(r.Low)
}

// ToUnit maps pixels in the range to [0,1].
func (r Range) ToUnit(x torch.Tensor) torch.Tensor {
	if r == (Range{0, 1}) {
		return x
	}
	return x.AddScalar(-r.Low).DivScalar(r.High - r.Low)
}

// GeneratorConfig is the shape of G.
type GeneratorConfig struct {
	Channels  int   `yaml:"channels" min:"1"`   // channels of the images: 1 or 3
	LatentDim int   `yaml:"latent_dim" min:"1"` // d_m, length of m; usually 128
	Widths    []int `yaml:"widths" min:"1"`     // channels at 4×4 pixels, then after each block; a block doubles height and width
}

// Size is the height and width of the images that G makes.
func (c GeneratorConfig) Size() int { return 4 << max(0, len(c.Widths)-1) }

// Generator is G: m → x, which starts the chains (Table 12). The names of its fields, in this order, are those of
// the weights.
type Generator struct {
	In     *nn.Linear
	Blocks []*generatorBlock
	BN     *nn.BatchNorm
	Out    *nn.Conv2d

	Config GeneratorConfig
	Range  Range
}

// generatorBlock is bn–relu–up–conv–bn–relu–conv plus a skip.
type generatorBlock struct {
	BN1   *nn.BatchNorm
	Conv1 *nn.Conv2d
	BN2   *nn.BatchNorm
	Conv2 *nn.Conv2d
	Skip  *nn.Conv2d // 1×1
}

// NewGenerator makes G with weights drawn from the seed. The caller closes it with nn.Close.
func NewGenerator(c GeneratorConfig, r Range, seed uint64) (*Generator, error) {
	if len(c.Widths) < 2 {
		return nil, fmt.Errorf("generator: widths %v: give the channels at 4×4 and after each block", c.Widths)
	}
	g := &Generator{Config: c, Range: r}
	return g, torch.Do(func() error {
		in := c.Widths[0]
		g.In = nn.NewLinear(c.LatentDim, in*4*4, nn.LinearOptions{})
		for _, out := range c.Widths[1:] {
			conv := func(in, k int, relu bool) *nn.Conv2d {
				return nn.NewConv2d(in, out, k, nn.Conv2dOptions{Padding: k / 2, ReLU: relu, Weights: nn.XavierNormal})
			}
			g.Blocks = append(g.Blocks, &generatorBlock{nn.NewBatchNorm(in), conv(in, 3, false), nn.NewBatchNorm(out), conv(out, 3, true), conv(in, 1, false)})
			in = out
		}
		g.BN = nn.NewBatchNorm(in)
		g.Out = nn.NewConv2d(in, c.Channels, 3, nn.Conv2dOptions{Padding: 1, ReLU: true, Weights: nn.XavierNormal})
		nn.Init(g, torch.NewRNG(seed, 0, "generator weights"))
		return nil
	})
}

// forward closes x.
func (b *generatorBlock) forward(x torch.Tensor, mode nn.Mode) torch.Tensor {
	defer x.Close()
	return torch.Tidy(func() torch.Tensor {
		h := relu(b.BN1.Forward(x, mode)).UpsampleBilinear2d()
		h = b.BN2.Forward(b.Conv1.Forward(h), mode)
		// Bilinear weights sum to 1, so the 1×1 conv and its bias commute with the upsampling, and
		// cost a quarter before it.
		h = b.Conv2.Forward(h)
		h.AddInPlace(b.Skip.Forward(x).UpsampleBilinear2d(), 1)
		return h
	})
}

// Forward maps m: [n,d_m] to images [n,c,h,w] in G's range.
func (g *Generator) Forward(m torch.Tensor, mode nn.Mode) torch.Tensor {
	return torch.Tidy(func() torch.Tensor { // the graph keeps the tensors that the gradient needs
		h := g.In.Forward(m).Reshape(-1, g.Config.Widths[0], 4, 4).Contiguous(torch.ChannelsLast)
		for _, b := range g.Blocks {
			h = b.forward(h, mode)
		}
		x := g.Out.Forward(g.BN.Forward(h, mode)).Tanh()
		return Range{-1, 1}.To(g.Range, x)
	})
}

// To maps pixels of range r to range s.
func (r Range) To(s Range, x torch.Tensor) torch.Tensor {
	if r == s {
		return x
	}
	return s.FromUnit(r.ToUnit(x))
}

// relu is ReLU in place, for a result that nothing else reads.
func relu(x torch.Tensor) torch.Tensor {
	x.ReLUInPlace()
	return x
}

// Recalibrate sets the running statistics of every batch norm to their averages over batches of latents, at the present
// weights. Averaged weights need this: their true statistics are not the average of the statistics. latents(i) is batch i:
// [n,d_m], of the prior or of an inference model.
func (g *Generator) Recalibrate(batches int, latents func(i int) torch.Tensor) {
	norms := []*nn.BatchNorm{g.BN}
	for _, b := range g.Blocks {
		norms = append(norms, b.BN1, b.BN2)
	}
	for i := range batches {
		for _, bn := range norms {
			bn.Momentum = 1 / float64(i+1) // so the running value is the mean so far
		}
		torch.Tidy(func() torch.Tensor {
			g.Forward(latents(i).ToDevice(g.In.Weight.Device()), nn.Train)
			return torch.Tensor{}
		})
	}
	for _, bn := range norms {
		bn.Momentum = 0.1
	}
}
