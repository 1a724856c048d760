package mcmc_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// operators take 3×8×8 images. y is the shape of A x.
var operators = map[string]struct {
	a mcmc.Operator
	y []int
}{
	"colourisation": {mcmc.Colorization{}, []int{2, 1, 8, 8}},
	"8× SR":         {mcmc.SuperResolution{Factor: 8}, []int{2, 3, 1, 1}},
	"4× SR":         {mcmc.SuperResolution{Factor: 4}, []int{2, 3, 2, 2}},
	"inpainting":    {mcmc.Inpainting{Height: 8, Width: 8, Known: hole(8)}, []int{2, 3, 8, 8}},
}

// hole is a mask of size×size pixels without its middle.
func hole(size int) []bool {
	known := make([]bool, size*size)
	for i := range known {
		y, x := i/size, i%size
		known[i] = y < size/4 || y >= 3*size/4 || x < size/4 || x >= 3*size/4
	}
	return known
}

// The four conditions of Penrose define A⁺.
func TestPseudoInversesAreMoorePenrose(t *testing.T) {
	for name, o := range operators {
		torchtest.Run(t, name, func(t *testing.T) {
			rng := torch.NewRNG(1, 0, name)
			image := func() torch.Tensor { return rng.Normal(2, 3, 8, 8).To(torch.Float64) }
			degraded := func() torch.Tensor { return rng.Normal(o.y...).To(torch.Float64) }
			dot := func(a, b torch.Tensor) float64 { return a.Mul(b).Sum().Item() }
			a, plus := o.a.Apply, o.a.PseudoInverse
			const tol = 1e-14 // float64 sums of at most 64 values near 1

			x, u, y, v := image(), image(), degraded(), degraded()
			assert.Equal(t, o.y, a(x).Shape())
			assert.Equal(t, x.Shape(), plus(y).Shape())
			torchtest.InDelta(t, a(x), a(plus(a(x))), tol)
			torchtest.InDelta(t, plus(y), plus(a(plus(y))), tol)
			assert.InDelta(t, dot(mcmc.Project(o.a, x), u), dot(x, mcmc.Project(o.a, u)), 1e-12, "A⁺A is symmetric")
			assert.InDelta(t, dot(a(plus(y)), v), dot(y, a(plus(v))), 1e-12, "AA⁺ is symmetric")
			torchtest.InDelta(t, a(x).AddScaled(a(u), 2), a(x.AddScaled(u, 2)), tol)
			assert.NoError(t, o.a.Check(3, 8, 8))
		})
	}
}

func TestOperatorsRefuseImagesThatDoNotFit(t *testing.T) {
	for want, err := range map[string]error{
		"has no colour to find":        mcmc.Colorization{}.Check(1, 8, 8),
		"a factor of at least 2":       mcmc.SuperResolution{Factor: 8}.Check(1, 28, 28),
		"1× super-resolution":          mcmc.SuperResolution{Factor: 1}.Check(3, 8, 8),
		"mask has 8×8 pixels":          mcmc.Inpainting{Height: 8, Width: 8, Known: hole(8)}.Check(1, 16, 16),
		"leaves 0 of 64 pixels known":  mcmc.Inpainting{Height: 8, Width: 8, Known: make([]bool, 64)}.Check(1, 8, 8),
		"leaves 64 of 64 pixels known": mcmc.Inpainting{Height: 8, Width: 8, Known: everything(64)}.Check(1, 8, 8),
	} {
		assert.ErrorContains(t, err, want)
	}
}

func everything(n int) []bool {
	known := make([]bool, n)
	for i := range known {
		known[i] = true
	}
	return known
}

// toy is a restoration of 3×8×8 images with a smooth E and a linear G, in float64.
func toy(a mcmc.Operator, rng *torch.RNG) mcmc.RestorationEnergies {
	w := rng.Normal(5, 3*8*8).To(torch.Float64)
	x := rng.Normal(2, 3, 8, 8).To(torch.Float64)
	return mcmc.RestorationEnergies{A: a, Estimate: mcmc.Project(a, x), Variance: 0.5,
		Energy:   func(x torch.Tensor) torch.Tensor { return x.Cos().SumDim(1, 2, 3) },
		Generate: func(m torch.Tensor) torch.Tensor { return m.Matmul(w).Tanh().Reshape(-1, 3, 8, 8) }}
}

func TestRestorationsGradients(t *testing.T) {
	for name, o := range operators {
		torchtest.Run(t, name, func(t *testing.T) {
			rng := torch.NewRNG(2, 0, name)
			r := toy(o.a, rng)
			torchtest.GradCheck(t, func(m torch.Tensor) torch.Tensor { return r.Latent(m).Sum() }, rng.Normal(2, 5).To(torch.Float64), 1e-6)
			torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return r.Image(x).Sum() }, rng.Normal(2, 3, 8, 8).To(torch.Float64), 1e-6)
		})
	}
}

func TestEquation16IsEquation17OfGAndThePrior(t *testing.T) {
	torchtest.Scope(t, func() {
		rng := torch.NewRNG(3, 0, "m")
		r := toy(mcmc.Colorization{}, rng)
		m := rng.Normal(2, 5).To(torch.Float64)
		x := r.Generate(m)
		// By hand: E + −½‖m‖² − ‖A⁺y − A⁺A G(m)‖²/(2·½).
		want := r.Energy(x).Sub(m.Square().SumDim(1).MulScalar(0.5)).Sub(r.Estimate.Sub(x.MeanKeepDim(1).Expand(-1, 3, -1, -1)).Square().SumDim(1, 2, 3))
		torchtest.InDelta(t, want, r.Latent(m), 1e-12)
	})
}
