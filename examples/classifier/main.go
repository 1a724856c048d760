// Command classifier trains a small convolutional network on Fashion-MNIST and prints its accuracy on
// the test images:
//
//	go run ./examples/classifier -steps 500
//
// It uses packages torch, nn, optim and data only. The set is in Debian's package dataset-fashion-mnist;
// make setup installs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// convnet has two convolutions and a linear layer. Its fields name its weights: conv1.weight, …
type convnet struct {
	Conv1, Conv2 *nn.Conv2d
	Out          *nn.Linear
}

// newConvnet makes the network. It needs an open scope.
func newConvnet(seed uint64) *convnet {
	net := &convnet{
		Conv1: nn.NewConv2d(1, 16, 3, nn.Conv2dOptions{Padding: 1}),
		Conv2: nn.NewConv2d(16, 32, 3, nn.Conv2dOptions{Padding: 1}),
		Out:   nn.NewLinear(32*7*7, 10, nn.LinearOptions{}),
	}
	nn.Init(net, torch.NewRNG(seed, 0, "init"))
	return net
}

// Forward maps images [n,1,28,28] to logits [n,10].
func (c *convnet) Forward(x torch.Tensor) torch.Tensor {
	x = c.Conv1.Forward(x).ReLU().MaxPool2d(2, 2, 0) // [n,16,14,14]
	x = c.Conv2.Forward(x).ReLU().MaxPool2d(2, 2, 0) // [n,32,7,7]
	return c.Out.Forward(x.Flatten(1))
}

// fit trains the network with Adam. The order of the images depends on seed and step only.
func fit(ctx context.Context, net *convnet, set *data.Set, seed uint64, steps int) error {
	const batch = 64
	adam := optim.NewAdam(nn.Params(net), optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
	defer adam.Close()
	order := data.NewSampler(seed, set.N)
	for step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		images := set.Subset(order.Batch(step, batch))
		torch.Tidy(func() torch.Tensor { // frees the tensors of this step
			classes := torch.FromSlice(images.Labels).To(torch.Int64)
			loss := net.Forward(images.Floats()).CrossEntropy(classes)
			adam.Step(loss, 2e-3*optim.Linear(step, steps, 0.5, 0.05))
			if step%100 == 0 {
				fmt.Fprintf(os.Stderr, "step %d of %d: loss %.3f\n", step, steps, loss.Item())
			}
			return torch.Tensor{}
		})
	}
	return nil
}

// accuracy is the share of images to whose class the network gives the largest logit.
func accuracy(net *convnet, set *data.Set) float64 {
	right := 0.0
	for _, images := range set.Batches(500) {
		torch.Tidy(func() torch.Tensor {
			torch.NoGrad(func() {
				equal := net.Forward(images.Floats()).ArgMax(1).EqualTo(torch.FromSlice(images.Labels))
				right += equal.Sum().Item()
			})
			return torch.Tensor{}
		})
	}
	return right / float64(set.N)
}

// run trains a network and returns its accuracy on at most n test images.
func run(ctx context.Context, source string, steps, n int) (share float64, err error) {
	training, err := data.Open(source, data.Options{Split: data.Train})
	if err != nil {
		return 0, err
	}
	defer training.Close()
	test, err := data.Open(source, data.Options{Split: data.Test})
	if err != nil {
		return 0, err
	}
	defer test.Close()
	err = torch.Do(func() error {
		net := newConvnet(1)
		defer nn.Close(net)
		if err := fit(ctx, net, training, 1, steps); err != nil {
			return err
		}
		share = accuracy(net, test.Head(n))
		return nil
	})
	return share, err
}

func main() {
	source := flag.String("data", "fmnist", "data set of gray images of 28×28 pixels in 10 classes: a name or a path")
	steps := flag.Int("steps", 1000, "number of training steps")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	share, err := run(ctx, *source, *steps, 10_000)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("accuracy on the test images: %.1f %%\n", 100*share)
}
