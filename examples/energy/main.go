// Command energy learns an energy of points in the plane and draws new points from it:
//
//	go run ./examples/energy
//
// An energy is any Go function that returns one number for each row of a batch. Here it is a network of
// two hidden layers. Training raises the energy of the data and lowers the energy of the samples that a
// short Langevin chain finds.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// energy is the network. The names of its fields name the weights: hidden1.weight, …
type energy struct{ Hidden1, Hidden2, Out *nn.Linear }

func newEnergy() *energy {
	e := &energy{
		nn.NewLinear(2, 64, nn.LinearOptions{}), nn.NewLinear(64, 64, nn.LinearOptions{}), nn.NewLinear(64, 1, nn.LinearOptions{}),
	}
	nn.Init(e, torch.NewRNG(1, 0, "weights"))
	return e
}

// At returns E(x), which is high where x is likely. x: [n,2] → [n].
func (e *energy) At(x torch.Tensor) torch.Tensor {
	return e.Out.Forward(silu(e.Hidden2.Forward(silu(e.Hidden1.Forward(x))))).Squeeze(1)
}

// silu has no method of its own: Call reaches every operator of PyTorch by name.
func silu(x torch.Tensor) torch.Tensor { return torch.Call("aten::silu", x).Tensor(0) }

// ring draws n points whose distance from the origin is 2 ± 0.2: [n,2].
func ring(n int, rng *torch.RNG) torch.Tensor {
	directions := rng.Normal(n, 2).Normalize()
	return directions.Mul(rng.Normal(n, 1).MulScalar(0.2).AddScalar(2))
}

// learn trains e for some steps on batches of the ring.
func learn(ctx context.Context, e *energy, chain mcmc.Langevin, steps int) error {
	const batch = 128
	adam := optim.NewAdam(nn.Params(e), optim.AdamOptions{Beta1: 0, Beta2: 0.99, Eps: 1e-8})
	defer adam.Close()
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		torch.Tidy(func() torch.Tensor { // frees the tensors of this step
			rng := torch.NewRNG(1, step, "train")
			real := ring(batch, rng)
			fake := chain.Run(e.At, rng.Uniform(-4, 4, batch, 2), rng)
			loss := e.At(fake).Mean().Sub(e.At(real).Mean()) // Eq. 4
			adam.Step(loss, 1e-3)
			return torch.Tensor{}
		})
	}
	return nil
}

// run learns the energy and prints how far the data and the samples are from the origin.
func run(ctx context.Context, out io.Writer, steps int) error {
	torch.SetThreads(1) // tensors this small gain nothing from more
	chain := mcmc.Langevin{Steps: 30, Delta2: 0.2, Sigma: 0.1, Clamp: mcmc.ClampStep, Low: -4, High: 4}
	return torch.Do(func() error { // frees every tensor made inside
		e := newEnergy()
		defer nn.Close(e)
		if err := learn(ctx, e, chain, steps); err != nil {
			return err
		}
		rng := torch.NewRNG(1, 0, "samples")
		fmt.Fprintln(out, "data:   ", describe(ring(1000, rng)))
		fmt.Fprintln(out, "samples:", describe(chain.Run(e.At, rng.Uniform(-4, 4, 1000, 2), rng)))
		return nil
	})
}

// describe gives the mean and the standard deviation of the distances from the origin.
func describe(x torch.Tensor) string {
	distances := x.Square().SumDim(1).Sqrt()
	mean := distances.Mean()
	deviation := distances.Sub(mean).Square().Mean().Sqrt()
	return fmt.Sprintf("distance from the origin %.2f ± %.2f", mean.Item(), deviation.Item())
}

func main() {
	steps := flag.Int("steps", 400, "number of training steps")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *steps); err != nil {
		log.Fatal(err)
	}
}
