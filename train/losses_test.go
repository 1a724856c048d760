package train

import (
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestLossesAndTheirGradientsArePyTorchs(t *testing.T) {
	golden := torchtest.Load(t, "testdata/losses.npz")
	for name, c := range map[string]struct {
		inputs []string
		loss   func(x []torch.Tensor) torch.Tensor
	}{
		"generator": {[]string{"gm"}, func(x []torch.Tensor) torch.Tensor {
			return GeneratorLoss(x[0], golden.Tensor("generator.xt"), 0.7)
		}},
		"energy":  {[]string{"fake", "joint"}, func(x []torch.Tensor) torch.Tensor { return EnergyLoss(x[0], x[1]) }},
		"nt_xent": {[]string{"z"}, func(x []torch.Tensor) torch.Tensor { return NTXent(x[0], 0.5) }},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			var leaves []torch.Tensor
			for _, input := range c.inputs {
				leaves = append(leaves, golden.Tensor(name+"."+input).Leaf())
			}
			loss := c.loss(leaves)
			torchtest.InDelta(t, golden.Tensor(name), loss.Reshape(1), 1e-12) // float64
			for i, grad := range torch.Grads(loss, leaves, torch.GradOptions{}) {
				torchtest.InDelta(t, golden.Tensor(name+".d"+c.inputs[i]), grad, 1e-12)
			}
		})
	}
}
