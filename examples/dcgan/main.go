// Command dcgan trains a deep convolutional GAN on Fashion-MNIST. It prints the losses, writes a picture of samples and
// prints their Fréchet distance from the test images:
//
//	go run ./examples/dcgan -steps 3000 -out samples.png
//
// The two networks and a step of training are in internal/dcgan, 150 lines on torch, nn and optim. A GAN has no energy and
// no chain: liebm reproduce time compares it with models that have both.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/dcgan"
	"github.com/liebm/liebm/torch"
)

// fit trains the GAN. The order of the images depends on seed and step only.
func fit(ctx context.Context, gan *dcgan.GAN, set *data.Set, seed uint64, steps int) error {
	order, start := data.NewSampler(seed, set.N), time.Now()
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		images := set.Subset(order.Batch(step, dcgan.Batch))
		torch.Tidy(func() torch.Tensor { // frees the tensors of this step
			lossD, lossG := gan.Step(images.Floats().MulScalar(2).AddScalar(-1))
			if step%100 == 0 || step == steps-1 {
				fmt.Fprintf(os.Stderr, "step %d of %d: D %.3f, G %.3f, after %.0f s\n", step+1, steps, lossD, lossG, time.Since(start).Seconds())
			}
			return torch.Tensor{}
		})
	}
	return nil
}

// distance is the Fréchet distance of two sets on the features of a small classifier of clothes.
func distance(ctx context.Context, a, b *data.Set) (float64, error) {
	features, err := eval.FashionFeatures()
	if err != nil {
		return 0, err
	}
	defer features.Close()
	first, err := eval.Measure(ctx, features, a, nil)
	if err != nil {
		return 0, err
	}
	second, err := eval.Measure(ctx, features, b, nil)
	if err != nil {
		return 0, err
	}
	return eval.Frechet(first, second)
}

// run trains a GAN, writes a grid of samples to a PNG and returns the distance of n samples from the test images.
func run(ctx context.Context, steps, n int, picture string) (float64, error) {
	training, err := data.Open("fmnist", data.Options{Split: data.Train, Size: 32}) // padded from 28×28
	if err != nil {
		return 0, err
	}
	defer training.Close()
	test, err := data.Open("fmnist", data.Options{Split: data.Test, Size: 32})
	if err != nil {
		return 0, err
	}
	defer test.Close()
	var samples *data.Set
	err = torch.Do(func() error { // frees every tensor made inside
		gan := dcgan.New(1, 1, torch.Device{})
		defer gan.Close()
		if err := fit(ctx, gan, training, 1, steps); err != nil {
			return err
		}
		samples, err = dcgan.Images(n, 1, gan.Generate)
		return err
	})
	if err != nil {
		return 0, err
	}
	grid, err := data.Grid(samples.Head(100).Pixels(), samples.Head(100).Shape, 10)
	if err != nil {
		return 0, err
	}
	if err := data.WritePNG(picture, grid); err != nil {
		return 0, err
	}
	return distance(ctx, samples, test)
}

func main() {
	steps := flag.Int("steps", 3000, "number of training steps")
	picture := flag.String("out", "samples.png", "file for a picture of 100 samples")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fd, err := run(ctx, *steps, 10_000, *picture)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Fréchet distance of 10,000 samples from the test images: %.2f\n", fd)
}
