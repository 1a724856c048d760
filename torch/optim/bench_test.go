package optim_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
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

// BenchmarkMLPStep is one training step of a classifier (forward, cross-entropy, backward, Adam)
// beside the same step in PyTorch with its fastest Adam, foreach. Fastest rounds on both sides.
func BenchmarkMLPStep(b *testing.B) {
	for _, c := range []struct {
		name   string
		batch  int
		widths []int
	}{
		{"small", 32, []int{64, 64, 64, 10}},
		{"fashion", 64, []int{784, 128, 10}},
		{"large", 512, []int{784, 2048, 2048, 10}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_ = torch.Do(func() error {
				net := newMLP(c.widths...)
				defer nn.Close(net)
				adam := optim.NewAdam(nn.Params(net), optim.AdamOptions{Beta1: .9, Beta2: .999, Eps: 1e-8})
				defer adam.Close()
				rng := torch.NewRNG(1, 0, "data")
				x, y := rng.Normal(c.batch, c.widths[0]), torch.Zeros([]int{c.batch}, torch.Int64)
				compare(b, func() {
					torch.Tidy(func() torch.Tensor {
						adam.Step(net.forward(x).CrossEntropy(y), 1e-3)
						return torch.Tensor{}
					})
				}, fmt.Sprintf(pythonMLP, c.batch, ints(c.widths)))
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
				compare(b, func() {
					torch.Tidy(func() torch.Tensor { adam.Apply(grads, 1e-3); return torch.Tensor{} })
				}, fmt.Sprintf(pythonAdam, n))
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

// compare reports the fastest round of f and of step() in a Python script, rounds in turn with
// nothing else of ours running.
func compare(b *testing.B, f func(), script string) {
	f()
	start := time.Now()
	f()
	n := max(1, int(20*time.Millisecond/(time.Since(start)+1)))
	best := 0.0
	for b.Loop() {
		start := time.Now()
		for range n {
			f()
		}
		if us := float64(time.Since(start).Microseconds()) / float64(n); best == 0 || us < best {
			best = us
		}
	}
	b.ReportMetric(best, "µs/step")
	if python := pythonStep(b, script); python > 0 {
		b.ReportMetric(python, "python-µs/step")
		b.ReportMetric(python/best, "x-python")
	}
}

func pythonStep(b *testing.B, script string) float64 {
	script = "import time, torch\ntorch.set_num_threads(" + strconv.Itoa(torch.Threads()) + ")\n" + script + `
for _ in range(5): step()
start = time.perf_counter(); step()
n, best = max(1, int(.02 / (time.perf_counter() - start))), 1e9
for _ in range(30):
    start = time.perf_counter()
    for _ in range(n): step()
    best = min(best, (time.perf_counter() - start) / n)
print(best * 1e6)`
	command := exec.Command("/usr/bin/python3", "-c", script)
	command.Dir = "/" // or the folder torch would be taken for the module
	out, err := command.Output()
	if err != nil {
		b.Logf("no PyTorch to compare with (apt install python3-torch): %v", err)
		return 0
	}
	us, _ := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return us
}

func ints(v []int) string { return strings.Join(strings.Fields(fmt.Sprint(v)), ", ") }
