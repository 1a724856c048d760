package models_test

import (
	"fmt"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// An energy of images and latents at fixed weights, and its gradient with respect to the images.
func ExampleEnergy() {
	e, err := models.NewEnergy(models.EnergyConfig{
		Channels: 1, Widths: []int{16, 16}, Downs: []bool{true, true}, FeatureDim: 32, HeadDim: 64, LatentDim: 8,
		Bias: true, Gamma: 0.1, Posterior: models.Cosine,
	}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nn.Close(e)
	err = torch.Do(func() error {
		rng := torch.NewRNG(1, 0, "example")
		x, z := rng.Uniform(0, 1, 4, 1, 16, 16).Leaf(), rng.Normal(4, 8).Normalize()
		bound := e.Frozen(torch.Float32)
		joint := bound.Joint(x, z) // E(x,z) = E(x) + γ·cos(g(f(x)), z)
		cosine := joint.Sub(bound.Marginal(x)).Abs().Max().Item()
		fmt.Println(joint.Shape(), torch.Grad(joint.Sum(), x, false).Shape(), cosine <= 0.1)
		return nil
	})
	fmt.Println(nn.CountParams(e), "parameters,", err)
	// Output:
	// [4] [4 1 16 16] true
	// 10600 parameters, <nil>
}

// A generator's latents become images in the range that it was made for.
func ExampleGenerator() {
	g, err := models.NewGenerator(models.GeneratorConfig{Channels: 3, LatentDim: 8, Widths: []int{16, 8}}, models.Range{Low: -1, High: 1}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer nn.Close(g)
	err = torch.Do(func() error {
		x := g.Forward(torch.NewRNG(1, 0, "m").Normal(5, 8), nn.BatchStats)
		fmt.Println(x.Shape(), x.Abs().Max().Item() <= 1)
		return nil
	})
	fmt.Println(err)
	// Output:
	// [5 3 8 8] true
	// <nil>
}
