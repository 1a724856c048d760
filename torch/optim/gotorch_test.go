//go:build gotorch

package optim_test

import (
	"testing"

	upstream "github.com/wangkuiyi/gotorch"
	theirs "github.com/wangkuiyi/gotorch/nn"
	"github.com/wangkuiyi/gotorch/nn/functional"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/gotorch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// gotorchMLP is mlp as a gotorch module.
type gotorchMLP struct {
	theirs.Module
	Layers []*theirs.LinearModule
}

func newGotorchMLP(widths ...int) *gotorchMLP {
	m := &gotorchMLP{}
	for i := 1; i < len(widths); i++ {
		m.Layers = append(m.Layers, theirs.Linear(int64(widths[i-1]), int64(widths[i]), true))
	}
	m.Init(m)
	return m
}

func (m *gotorchMLP) Forward(x upstream.Tensor) upstream.Tensor {
	for i, l := range m.Layers {
		if x = l.Forward(x); i < len(m.Layers)-1 {
			x = upstream.Relu(x)
		}
	}
	return x
}

// BenchmarkMLPStepGotorch is BenchmarkMLPStep with gotorch as the third: gotorch-ns is its own loop,
// which collects garbage in every step as its loaders do; lazy-ns leaves collecting to gotorch.Run;
// adapter-ns is its network in our loop.
func BenchmarkMLPStepGotorch(b *testing.B) {
	for _, c := range mlps[:2] {
		b.Run(c.name, func(b *testing.B) {
			_ = torch.Do(func() error {
				net := newMLP(c.widths...)
				defer nn.Close(net)
				x, y := c.data()
				step, stop := training(net, net.forward, x, y)
				defer stop()
				torchtest.Beside(b, step, c.python(), "step()")

				raw := newGotorchMLP(c.widths...)
				theirs := gotorchTraining(raw, gotorch.To(x), gotorch.To(y))
				b.ReportMetric(torchtest.Best(theirs), "lazy-ns")
				upstream.GC() // from here on it waits for what is made
				b.ReportMetric(torchtest.Best(func() { theirs(); upstream.GC() }), "gotorch-ns")
				upstream.FinishGC()

				wrapped := gotorch.Wrap(raw)
				defer nn.Close(wrapped)
				step, stopWrapped := training(wrapped, wrapped.Forward, x, y)
				defer stopWrapped()
				b.ReportMetric(torchtest.Best(step), "adapter-ns")
				return nil
			})
		})
	}
}

func gotorchTraining(net *gotorchMLP, x, y upstream.Tensor) (step func()) {
	adam := upstream.Adam(1e-3, .9, .999, 0)
	adam.AddParameters(net.Parameters())
	return func() {
		gotorch.Run(func() {
			adam.ZeroGrad()
			functional.CrossEntropy(net.Forward(x), y, upstream.Tensor{}, -100, "mean").Backward()
			adam.Step()
		})
	}
}
