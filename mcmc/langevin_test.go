package mcmc_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// gaussian is log N(x; mu, s²) but for a constant.
func gaussian(mu, s float64) mcmc.Energy {
	return func(x torch.Tensor) torch.Tensor {
		return x.AddScalar(-mu).Square().SumDim(1).MulScalar(-0.5 / (s * s))
	}
}

func TestStepIsEquation9(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.FromSlice([]float64{1, -2, 0.5, 3}, 2, 2).Leaf()
		noise := torch.NewRNG(7, 0, "chain").NormalLike(x)
		for name, l := range map[string]mcmc.Langevin{
			"drift only": {Delta2: 0.5},
			"tempered":   {Delta2: 0.1, Sigma: 1e-3},
			"literal":    {Delta2: 0.1, Sigma: 1e-3, Literal: true},
		} {
			torchtest.Run(t, name, func(t *testing.T) {
				got := l.Step(gaussian(1, 2), x, torch.NewRNG(7, 0, "chain"))
				sigma := l.Sigma
				if l.Literal {
					sigma = math.Sqrt(l.Delta2)
				}
				drift := x.Detach().AddScalar(-1).MulScalar(-1.0 / 4) // ∇ of −(x−1)²/8
				want := x.Detach().AddScaled(drift, l.Delta2/2).AddScaled(noise, sigma)
				torchtest.InDelta(t, want, got, 1e-15)
			})
		}
	})
}

// bilinear is E(x,z) = −½‖x‖² + ⟨x,z⟩.
type bilinear struct{}

func (bilinear) Joint(x, z torch.Tensor) torch.Tensor {
	return x.Square().MulScalar(-0.5).Add(x.Mul(z)).SumDim(1)
}

func TestAJointStepFollowsTheEncoderToo(t *testing.T) {
	torchtest.Scope(t, func() {
		mix := torch.FromSlice([]float64{0.5, -1, 2, 0.3}, 2, 2)
		e := mcmc.Joint(bilinear{}, func(x torch.Tensor) torch.Tensor { return x.Matmul(mix).Pow(3) }) // Eq. 10 with z = h(x)
		x := torch.FromSlice([]float64{0.3, -1.2, 0.7, 2}, 2, 2)
		torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return e(x).Sum() }, x, 1e-7)
		got := mcmc.Langevin{Delta2: 0.3}.Step(e, x.Leaf(), nil)
		leaf := x.Leaf()
		torchtest.InDelta(t, x.AddScaled(torch.Grad(e(leaf).Sum(), leaf, false), 0.15), got, 1e-15)
	})
}

func TestStepIsDifferentiableThroughTheGradient(t *testing.T) {
	torchtest.Scope(t, func() {
		cubic := func(x torch.Tensor) torch.Tensor { return x.Pow(4).SumDim(1).MulScalar(-0.1) }
		l := mcmc.Langevin{Delta2: 0.3, Graph: true}
		f := func(x torch.Tensor) torch.Tensor {
			if !x.RequiresGrad() {
				x = x.Leaf()
			}
			return l.Step(cubic, x, nil).Pow(3).Sum()
		}
		torchtest.GradCheck(t, f, torch.FromSlice([]float64{0.3, -1.2, 0.7, 2}, 2, 2), 1e-8)
	})
}

func TestChainRecoversAGaussian(t *testing.T) {
	// Literal Langevin with step δ² samples N(mu, s²/(1−δ²/(4s²))): the discretisation is exact here.
	const n, mu, s, delta2 = 4000, 2.0, 0.5, 0.1
	torchtest.Scope(t, func() {
		l := mcmc.Langevin{Steps: 200, Delta2: delta2, Literal: true}
		x := l.Run(gaussian(mu, s), torch.Zeros([]int{n, 2}, torch.Float32), torch.NewRNG(1, 0, "chain"))
		variance := s * s / (1 - delta2/(4*s*s))
		se := math.Sqrt(variance / (2 * n))
		assert.InDelta(t, mu, x.Mean().Item(), 4*se, "mean within four standard errors")
		got := x.AddScalar(-mu).Square().Mean().Item()
		assert.InDelta(t, variance, got, 4*variance*math.Sqrt(2.0/(2*n)), "variance within four standard errors")
	})
}

func TestClipBoundsTheDriftOfEveryRow(t *testing.T) {
	const clip, delta2 = 0.2, 0.5
	slope := torch.Tensor{}
	tilted := func(x torch.Tensor) torch.Tensor { return x.Mul(slope).SumDim(1) } // ∇E is the row of slope
	torchtest.Scope(t, func() {
		slope = torch.FromSlice([]float64{0.3, -0.4, 30, -40, 0, 0}, 3, 2) // short, long, none
		x := torch.FromSlice([]float64{1, 2, 3, 4, 5, 6}, 3, 2)
		l := mcmc.Langevin{Delta2: delta2, Clip: clip}
		got := l.Step(tilted, x.Leaf(), nil).Sub(x)
		long := clip / math.Sqrt((0.36+0.64)/2) // to rms clip, in the gradient's direction
		want := torch.FromSlice([]float64{0.3 * delta2 / 2, -0.4 * delta2 / 2, 0.6 * long, -0.8 * long, 0, 0}, 3, 2)
		torchtest.InDelta(t, want, got, 1e-15)

		l.Steps = 7
		moved := l.Run(tilted, x, nil).Sub(x).Square().MeanDim(1).Sqrt()
		assert.InDelta(t, 7*clip, moved.Max().Item(), 1e-12, "T·Clip bounds a chain")
	})
}

func TestAClippedStepIsDifferentiableThroughTheGradient(t *testing.T) {
	torchtest.Scope(t, func() {
		cubic := func(x torch.Tensor) torch.Tensor { return x.Pow(4).SumDim(1).MulScalar(-0.1) }
		l := mcmc.Langevin{Delta2: 0.3, Graph: true, Clip: 0.1} // the second row is clipped
		f := func(x torch.Tensor) torch.Tensor {
			if !x.RequiresGrad() {
				x = x.Leaf()
			}
			return l.Step(cubic, x, nil).Pow(3).Sum()
		}
		torchtest.GradCheck(t, f, torch.FromSlice([]float64{0.3, -1.2, 0.7, 2}, 2, 2), 1e-8)
	})
}

func TestClamp(t *testing.T) {
	up := func(x torch.Tensor) torch.Tensor { return x.SumDim(1).MulScalar(2) } // each step adds δ²
	for clamp, want := range map[mcmc.Clamp]float64{mcmc.ClampNever: 3, mcmc.ClampEnd: 1, mcmc.ClampStep: 1} {
		torchtest.Run(t, string(clamp), func(t *testing.T) {
			l := mcmc.Langevin{Steps: 3, Delta2: 1, Clamp: clamp, Low: -1, High: 1}
			x := l.Run(up, torch.Zeros([]int{2, 2}, torch.Float32), torch.NewRNG(1, 0, "chain"))
			assert.Equal(t, want, x.Max().Item())
			assert.False(t, x.RequiresGrad())
		})
	}
	err := torch.Do(func() error {
		l := mcmc.Langevin{Steps: 3, Delta2: 1, Clamp: mcmc.ClampStep} // as in the config of a run
		l.Run(up, torch.Zeros([]int{2, 2}, torch.Float32), torch.NewRNG(1, 0, "chain"))
		return nil
	})
	assert.ErrorContains(t, err, "clamp is step, and the range is 0 to 0: set Low and High")
}

func TestChainKeepsOneStateAlive(t *testing.T) {
	torchtest.Scope(t, func() {
		x0 := torch.Zeros([]int{2, 2}, torch.Float32)
		before := torch.Live()
		l := mcmc.Langevin{Steps: 50, Delta2: 1, Sigma: 1}
		alive := 0
		watch := func(x torch.Tensor) torch.Tensor {
			alive = max(alive, torch.Live())
			return gaussian(0, 1)(x)
		}
		l.Run(watch, x0, torch.NewRNG(1, 0, "chain"))
		assert.Equal(t, before+1, torch.Live(), "the result")
		assert.LessOrEqual(t, alive-before, 4, "states at once, however long the chain")
	})
}

func TestValidateNamesTheSetting(t *testing.T) {
	good := mcmc.Langevin{Steps: 15, Delta2: 25, Sigma: 1e-3}
	assert.NoError(t, good.Validate())
	for want, change := range map[string]func(*mcmc.Langevin){
		"chain.steps":  func(l *mcmc.Langevin) { l.Steps = -1 },
		"chain.delta2": func(l *mcmc.Langevin) { l.Delta2 = math.NaN() },
		"chain.clip":   func(l *mcmc.Langevin) { l.Clip = math.NaN() },
		"chain.sigma":  func(l *mcmc.Langevin) { l.Sigma = -1 },
		"chain.clamp":  func(l *mcmc.Langevin) { l.Clamp = "often" },
	} {
		bad := good
		change(&bad)
		assert.ErrorContains(t, bad.Validate(), want)
	}
}

func ExampleLangevin_Run() {
	// Sample N(3, 1) from its energy alone.
	energy := func(x torch.Tensor) torch.Tensor { return x.AddScalar(-3).Square().SumDim(1).MulScalar(-0.5) }
	chain := mcmc.Langevin{Steps: 300, Delta2: 0.1, Literal: true}
	err := torch.Do(func() error {
		x := chain.Run(energy, torch.Zeros([]int{1000, 1}, torch.Float32), torch.NewRNG(0, 0, "example"))
		fmt.Printf("mean %.0f\n", x.Mean().Item())
		return nil
	})
	fmt.Println(err)
	// Output:
	// mean 3
	// <nil>
}

func TestNoiseOfARowDoesNotDependOnHowManyFollow(t *testing.T) {
	torchtest.Scope(t, func() {
		l := mcmc.Langevin{Steps: 3, Delta2: 0.1, Sigma: 1}
		x0 := torch.Zeros([]int{9, 5}, torch.Float32)
		all := l.Run(gaussian(0, 1), x0, torch.NewRNG(1, 0, "chain").Rows(0))
		head := l.Run(gaussian(0, 1), x0.Narrow(0, 0, 4), torch.NewRNG(1, 0, "chain").Rows(0))
		torchtest.InDelta(t, all.Narrow(0, 0, 4), head, 1e-6)
	})
}
