package torch_test

import (
	"fmt"

	"github.com/liebm/liebm/torch"
)

// Linear regression by gradient descent on noisy points of y = 2x − 1.
func Example_linearRegression() {
	err := torch.Do(func() error {
		rng := torch.NewRNG(1, 0, "points")
		x := rng.Uniform(-1, 1, 256, 1)
		y := x.MulScalar(2).AddScalar(-1).AddScaled(rng.NormalLike(x), 0.1)

		w := torch.Zeros([]int{1, 1}, torch.Float32).Leaf()
		b := torch.Zeros([]int{1}, torch.Float32).Leaf()
		for range 100 {
			torch.Tidy(func() torch.Tensor { // frees the step's tensors
				loss := x.Linear(w, b).Sub(y).Square().Mean()
				grads := torch.Grads(loss, []torch.Tensor{w, b}, torch.GradOptions{})
				torch.NoGrad(func() {
					w.AddInPlace(grads[0], -0.5)
					b.AddInPlace(grads[1], -0.5)
				})
				return torch.Tensor{}
			})
		}
		fmt.Printf("y = %.1f·x %+.1f\n", w.Item(), b.Item())
		return nil
	})
	fmt.Println(err)
	// Output:
	// y = 2.0·x -1.0
	// <nil>
}

// The product of a Hessian with a vector costs two gradients: H·v = ∂(∂f/∂x · v)/∂x.
func ExampleGrad_hessianVectorProduct() {
	f := func(x torch.Tensor) torch.Tensor { // x₀²x₁ + x₁³
		x0, x1 := x.Select(0, 0), x.Select(0, 1)
		return x0.Square().Mul(x1).Add(x1.Pow(3))
	}
	_ = torch.Do(func() error {
		x, v := torch.FromSlice([]float64{1, 2}).Leaf(), torch.FromSlice([]float64{1, -1})
		gradient := torch.Grad(f(x), x, true) // true: it can be differentiated again
		product := torch.Grad(gradient.Mul(v).Sum(), x, false)
		fmt.Println(torch.ToSlice[float64](gradient), torch.ToSlice[float64](product))
		return nil
	})
	// Output: [4 13] [2 -10]
}

// A penalty on a gradient, (‖∂D/∂x‖ − 1)² as in WGAN-GP, trains the weights of D.
func ExampleGrad_gradientPenalty() {
	_ = torch.Do(func() error {
		w := torch.FromSlice([]float64{3, 4}).Leaf()
		x := torch.FromSlice([]float64{1, 0, 0, 1, 2, 2}, 3, 2).Leaf()
		scores := x.Matmul(w)                               // D(x) = w·x, so ∂D/∂x = w
		slopes := torch.Grad(scores.Sum(), x, true).Norm(1) // 5 at every point
		penalty := slopes.AddScalar(-1).Square().Mean()
		gradient := torch.Grad(penalty, w, false) // 2·(5 − 1)·w/5
		fmt.Printf("%.1f %.1f\n", penalty.Item(), torch.ToSlice[float64](gradient))
		return nil
	})
	// Output: 16.0 [4.8 6.4]
}
