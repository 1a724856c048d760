package nn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// normalised is what Linear and Conv2d share.
type normalised interface {
	forward
	Normalized() torch.Tensor
	PowerIterate()
}

func spectralLayers() map[string]func() normalised {
	return map[string]func() normalised{
		"sn_linear": func() normalised { return nn.NewLinear(6, 4, nn.LinearOptions{SpectralNorm: true}) },
		"sn_conv": func() normalised {
			return nn.NewConv2d(3, 4, 3, nn.Conv2dOptions{Padding: 1, NoBias: true, SpectralNorm: true})
		},
	}
}

// TestSpectralNormMatchesPyTorch is torch.nn.utils.spectral_norm: "still" in eval mode, where u and
// v stay, and "moved" in train mode, where a forward makes one power iteration first.
func TestSpectralNormMatchesPyTorch(t *testing.T) {
	golden := torchtest.Load(t, "testdata/layers.npz")
	for name, make := range spectralLayers() {
		torchtest.Run(t, name, func(t *testing.T) {
			layer := make()
			defer nn.Close(layer)
			load(t, golden, layer, name+".")
			for _, moved := range []bool{false, true} {
				prefix := name + "_still."
				if moved {
					layer.PowerIterate()
					prefix = name + "_moved."
				}
				x := golden.Tensor(prefix + "x").Leaf()
				y := layer.Forward(x)
				torchtest.InDelta(t, golden.Tensor(prefix+"out"), y, float32Sums)
				weight := nn.Params(layer)[0]
				grads := torch.Grads(y.Mul(golden.Tensor(prefix+"probe")).Sum(), []torch.Tensor{x, weight}, torch.GradOptions{})
				torchtest.InDelta(t, golden.Tensor(prefix+"dx"), grads[0], float32Sums)
				torchtest.InDelta(t, golden.Tensor(prefix+"dweight_orig"), grads[1], float32Sums)
			}
			got := map[string]torch.Tensor{}
			for _, l := range nn.State(layer) {
				got[l.Name] = l.Tensor
			}
			torchtest.InDelta(t, golden.Tensor(name+"_moved.weight_u"), got["weight_u"], float32Sums)
			torchtest.InDelta(t, golden.Tensor(name+"_moved.weight_v"), got["weight_v"], float32Sums)
		})
	}
}

func TestSpectralNormIsTheLargestSingularValue(t *testing.T) {
	for name, make := range spectralLayers() {
		torchtest.Run(t, name, func(t *testing.T) {
			layer := make()
			defer nn.Close(layer)
			nn.Init(layer, torch.NewRNG(3, 0, "init"))
			largest := func() float64 {
				return torch.Call("aten::linalg_svdvals", layer.Normalized().Detach().Flatten(1)).Tensor(0).Max().Item()
			}
			// uᵀWv never exceeds σ; fifteen iterations from a random u come within a few percent.
			assert.InDelta(t, 1, largest(), 0.1, "after Init")
			assert.GreaterOrEqual(t, largest(), 1-1e-5, "the estimate is never above σ")
			for range 300 {
				layer.PowerIterate()
			}
			assert.InDelta(t, 1, largest(), 1e-5, "settled")
		})
	}
}

func TestWithoutSpectralNormTheWeightIsUsedAsItIs(t *testing.T) {
	torchtest.Scope(t, func() {
		conv := nn.NewConv2d(2, 3, 3, nn.Conv2dOptions{})
		defer nn.Close(conv)
		require.Equal(t, conv.Weight, conv.Normalized())
		conv.PowerIterate()
		assert.Len(t, nn.State(conv), 2, "no vectors")
	})
}
