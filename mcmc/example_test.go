package mcmc_test

import (
	"fmt"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
)

// ring is log p(x) of points about 2 from the origin, up to a constant: E(x) = −(‖x‖ − 2)²/(2·0.2²).
func ring(x torch.Tensor) torch.Tensor {
	return x.Norm(1).AddScalar(-2).Square().MulScalar(-1 / (2 * 0.2 * 0.2))
}

// Any Go function from a batch to its energies is an energy: autograd finds its gradient, and
// Langevin dynamics samples it.
func ExampleEnergy() {
	err := torch.Do(func() error {
		x := torch.FromSlice([]float32{3, 4}, 1, 2).Leaf()
		fmt.Printf("gradient at (3, 4): %.1f\n", torch.ToSlice[float32](torch.Grad(ring(x).Sum(), x, false)))

		chain := mcmc.Langevin{Steps: 300, Delta2: 0.01, Literal: true}
		rng := torch.NewRNG(1, 0, "ring")
		points := chain.Run(ring, rng.Normal(1000, 2), rng)
		fmt.Printf("mean distance of the samples: %.1f\n", points.Norm(1).Mean().Item())
		return nil
	})
	fmt.Println(err)
	// Output:
	// gradient at (3, 4): [-45.0 -60.0]
	// mean distance of the samples: 2.0
	// <nil>
}
