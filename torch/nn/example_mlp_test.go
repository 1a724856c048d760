package nn_test

import (
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// mlp has one hidden layer. Its fields name its weights: hidden.weight, hidden.bias, out.weight, …
type mlp struct{ Hidden, Out *nn.Linear }

// Forward maps images [n,1,28,28] to logits [n,10].
func (m *mlp) Forward(x torch.Tensor) torch.Tensor {
	return m.Out.Forward(m.Hidden.Forward(x.Flatten(1)).ReLU())
}

// fit trains m for some steps of 128 images.
func fit(m *mlp, set *data.Set, steps int) {
	const n = 128
	adam := optim.NewAdam(nn.Params(m), optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
	defer adam.Close()
	order, pixels, labels := data.NewSampler(1, set.N), make([]byte, n*set.ImageBytes()), make([]int32, n)
	for step := range steps {
		idx := order.Batch(step, n)
		set.Gather(pixels, idx)
		set.GatherLabels(labels, idx)
		torch.Tidy(func() torch.Tensor { // frees the step's tensors
			x := data.Floats(pixels, n, set.H, set.W, set.C)
			loss := m.Forward(x).CrossEntropy(torch.FromSlice(labels).To(torch.Int64))
			adam.Step(loss, 2e-3*optim.Linear(step, steps, 0.5, 0.05))
			return torch.Tensor{}
		})
	}
}

// accuracy is the share of a set's images whose class m tells.
func accuracy(m *mlp, set *data.Set) (share float64) {
	torch.NoGrad(func() {
		logits := m.Forward(data.Floats(set.Pixels(), set.N, set.H, set.W, set.C))
		share = logits.ArgMax(1).EqualTo(torch.FromSlice(set.Labels)).To(torch.Float32).Mean().Item()
	})
	return share
}

// A network of one hidden layer learns Fashion-MNIST in a second or two.
func Example_fashionMNIST() {
	train, err := data.Open("fmnist", data.Options{Split: data.Train})
	if err != nil {
		fmt.Println(err) // it names the package to install
		return
	}
	defer train.Close()
	test, err := data.Open("fmnist", data.Options{Split: data.Test})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer test.Close()
	err = torch.Do(func() error {
		m := &mlp{nn.NewLinear(784, 64, nn.LinearOptions{}), nn.NewLinear(64, 10, nn.LinearOptions{})}
		defer nn.Close(m)
		nn.Init(m, torch.NewRNG(1, 0, "init"))
		fit(m, train, 400)
		fmt.Println("more than 80 % of the test images:", accuracy(m, test) > 0.8)
		return nil
	})
	fmt.Println(err)
	// Output:
	// more than 80 % of the test images: true
	// <nil>
}
