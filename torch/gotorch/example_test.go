//go:build gotorch

package gotorch_test

import (
	"fmt"

	upstream "github.com/wangkuiyi/gotorch"
	"github.com/wangkuiyi/gotorch/nn"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/gotorch"
	ours "github.com/liebm/liebm/torch/nn"
)

// well is a gotorch module: E(x) = k·‖x‖².
type well struct {
	nn.Module
	K upstream.Tensor
}

func (w *well) Forward(x upstream.Tensor) upstream.Tensor {
	return upstream.Mul(upstream.Sum(upstream.Mul(x, x), map[string]interface{}{"dim": 1, "keepDim": false}), w.K)
}

func ExampleWrap() {
	net := &well{K: upstream.Full([]int64{1}, -.5, true)}
	net.Init(net)
	err := torch.Do(func() error {
		energy := gotorch.Wrap(net)
		defer ours.Close(energy)
		chain := mcmc.Langevin{Steps: 2, Delta2: 1} // x ← x − ½x
		x := chain.Run(energy.Energy, torch.FromSlice([]float32{4, -8}, 1, 2), torch.NewRNG(1, 0, "chain"))
		fmt.Println(torch.ToSlice[float32](x))
		return nil
	})
	fmt.Println(err)
	// Output:
	// [1 -2]
	// <nil>
}
