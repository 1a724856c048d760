package optim_test

import (
	"fmt"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/optim"
)

func ExampleAdam() {
	err := torch.Do(func() error {
		w := torch.Zeros([]int{2}, torch.Float32).Leaf()
		target := torch.FromSlice([]float32{3, -1})
		adam := optim.NewAdam([]torch.Tensor{w}, optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
		defer adam.Close()
		const steps = 300
		for step := range steps {
			torch.Tidy(func() torch.Tensor {
				loss := w.Sub(target).Square().Sum()
				adam.Step(loss, 0.1*optim.Linear(step, steps, 0.5, 0)) // constant for half the steps, then falling
				return torch.Tensor{}
			})
		}
		fmt.Printf("%.2f after %d steps\n", torch.ToSlice[float32](w), adam.Steps())
		return nil
	})
	fmt.Println(err)
	// Output:
	// [3.00 -1.00] after 300 steps
	// <nil>
}

func ExampleLinear() {
	for _, step := range []int{0, 50, 75, 100} {
		fmt.Printf("%d %.1f\n", step, optim.Linear(step, 100, 0.5, 0.2))
	}
	// Output:
	// 0 1.0
	// 50 1.0
	// 75 0.6
	// 100 0.2
}

func ExampleEMADecay() {
	for _, step := range []int{0, 10, 1000, 1_000_000} {
		fmt.Printf("%.4f ", optim.EMADecay(0.9999, step))
	}
	// Output: 0.1000 0.5500 0.9911 0.9999
}
