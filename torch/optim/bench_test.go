package optim_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
	"github.com/liebm/liebm/torch/torchtest"
)

type mlp struct{ Layers []*nn.Linear }

func newMLP(widths ...int) *mlp {
	m := &mlp{}
	for i := 1; i < len(widths); i++ {
		m.Layers = append(m.Layers, nn.NewLinear(widths[i-1], widths[i], nn.LinearOptions{}))
	}
	nn.Init(m, torch.NewRNG(1, 0, "init"))
	return m
}

func (m *mlp) forward(x torch.Tensor) torch.Tensor {
	for i, l := range m.Layers {
		if x = l.Forward(x); i < len(m.Layers)-1 {
			x = x.ReLU()
		}
	}
	return x
}

type mlpCase struct {
	name   string
	batch  int
	widths []int
}

var mlps = []mlpCase{
	{"small", 32, []int{64, 64, 64, 10}},
	{"fashion", 64, []int{784, 128, 10}},
	{"large", 512, []int{784, 2048, 2048, 10}},
}

func (c mlpCase) data() (x, y torch.Tensor) {
	return torch.NewRNG(1, 0, "data").Normal(c.batch, c.widths[0]), torch.Zeros([]int{c.batch}, torch.Int64)
}

func (c mlpCase) python() string { return fmt.Sprintf(pythonMLP, c.batch, ints(c.widths)) }

// training is one training step of a classifier (forward, cross-entropy, backward, Adam), and what
// frees its optimiser.
func training(net any, forward func(torch.Tensor) torch.Tensor, x, y torch.Tensor) (step, stop func()) {
	adam := optim.NewAdam(nn.Params(net), optim.AdamOptions{Beta1: .9, Beta2: .999, Eps: 1e-8})
	return func() {
		torch.Tidy(func() torch.Tensor {
			adam.Step(forward(x).CrossEntropy(y), 1e-3)
			return torch.Tensor{}
		})
	}, adam.Close
}

// BenchmarkMLPStep is one training step beside the same step in PyTorch with its fastest Adam, foreach.
func BenchmarkMLPStep(b *testing.B) {
	for _, c := range mlps {
		b.Run(c.name, func(b *testing.B) {
			_ = torch.Do(func() error {
				net := newMLP(c.widths...)
				defer nn.Close(net)
				x, y := c.data()
				step, stop := training(net, net.forward, x, y)
				defer stop()
				torchtest.Beside(b, step, c.python(), "step()")
				return nil
			})
		})
	}
}

const pythonMLP = `
import torch.nn as nn
batch, widths = %d, %s
layers = []
for a, b in zip(widths, widths[1:]): layers += [nn.Linear(a, b), nn.ReLU()]
net = nn.Sequential(*layers[:-1])
x, y = torch.randn(batch, widths[0]), torch.zeros(batch, dtype=torch.long)
adam = torch.optim.Adam(net.parameters(), lr=1e-3, foreach=True)
def step():
    adam.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(net(x), y).backward()
    adam.step()
`

// BenchmarkAdam200 is an update of 200 tensors with their gradients at hand, beside PyTorch's
// foreach Adam.
func BenchmarkAdam200(b *testing.B) {
	for _, n := range []int{64, 4096} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			_ = torch.Do(func() error {
				var params, grads []torch.Tensor
				for range 200 {
					params = append(params, torch.Ones([]int{n}, torch.Float32))
					grads = append(grads, torch.Ones([]int{n}, torch.Float32))
				}
				adam := optim.NewAdam(params, optim.AdamOptions{Beta1: .9, Beta2: .999, Eps: 1e-8})
				defer adam.Close()
				torchtest.Beside(b, func() {
					torch.Tidy(func() torch.Tensor { adam.Apply(grads, 1e-3); return torch.Tensor{} })
				}, fmt.Sprintf(pythonAdam, n), "step()")
				return nil
			})
		})
	}
}

const pythonAdam = `
params = [torch.ones(%d, requires_grad=True) for _ in range(200)]
for p in params: p.grad = torch.ones_like(p)
adam = torch.optim.Adam(params, lr=1e-3, foreach=True)
step = adam.step
`

func ints(v []int) string { return strings.Join(strings.Fields(fmt.Sprint(v)), ", ") }
