package nn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// float32Sums allows for sums of up to a hundred float32 products taken in another order (NHWC
// kernels): a few ulps (1.2e-7) of the result's largest element.
const float32Sums = 2e-6

type forward interface {
	Forward(x torch.Tensor) torch.Tensor
}

// load copies the golden's weights into a layer. Its tensors close with the test.
func load(t *testing.T, golden *torchtest.Golden, layer any, prefix string) {
	t.Helper()
	require.NoError(t, nn.Load(layer, "", golden.State(prefix)))
}

// checkLayer compares the output, and the gradients of sum(output·probe) with respect to the input
// and every parameter.
func checkLayer(t *testing.T, golden *torchtest.Golden, prefix string, layer any, apply func(torch.Tensor) torch.Tensor) {
	t.Helper()
	x := golden.Tensor(prefix + "x").Leaf()
	y := apply(x)
	torchtest.InDelta(t, golden.Tensor(prefix+"out"), y, float32Sums)
	inputs, names := []torch.Tensor{x}, []string{"x"}
	for _, l := range nn.State(layer) {
		if !l.Buffer {
			inputs, names = append(inputs, l.Tensor), append(names, l.Name)
		}
	}
	grads := torch.Grads(y.Mul(golden.Tensor(prefix+"probe")).Sum(), inputs, torch.GradOptions{})
	for i, g := range grads {
		require.True(t, g.Defined(), "no gradient reaches %s", names[i])
		torchtest.InDelta(t, golden.Tensor(prefix+"d"+names[i]), g, float32Sums)
	}
}

func TestLayersMatchPyTorch(t *testing.T) {
	golden := torchtest.Load(t, "testdata/layers.npz")
	for name, make := range map[string]func() forward{
		"linear":             func() forward { return nn.NewLinear(7, 4, nn.LinearOptions{}) },
		"linear_no_bias":     func() forward { return nn.NewLinear(7, 4, nn.LinearOptions{NoBias: true}) },
		"conv_k3":            func() forward { return nn.NewConv2d(3, 4, 3, nn.Conv2dOptions{Padding: 1}) },
		"conv_k4_stride_2":   func() forward { return nn.NewConv2d(3, 4, 4, nn.Conv2dOptions{Stride: 2, Padding: 1, NoBias: true}) },
		"conv_k1":            func() forward { return nn.NewConv2d(5, 3, 1, nn.Conv2dOptions{}) },
		"conv_k7_stride_2":   func() forward { return nn.NewConv2d(2, 3, 7, nn.Conv2dOptions{Stride: 2, Padding: 3, NoBias: true}) },
		"conv_k4_no_padding": func() forward { return nn.NewConv2d(2, 3, 4, nn.Conv2dOptions{}) },
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			layer := make()
			defer nn.Close(layer)
			load(t, golden, layer, name+".")
			checkLayer(t, golden, name+".", layer, layer.Forward)
			if x := golden.Tensor(name + ".x"); x.Dim() == 4 {
				nhwc := layer.Forward(x.Contiguous(torch.ChannelsLast))
				torchtest.InDelta(t, golden.Tensor(name+".out"), nhwc, float32Sums)
			}
		})
	}
}

func TestBatchNormMatchesPyTorch(t *testing.T) {
	golden := torchtest.Load(t, "testdata/layers.npz")
	for _, name := range []string{"bn1d", "bn2d"} {
		torchtest.Run(t, name, func(t *testing.T) {
			bn := nn.NewBatchNorm(5)
			defer nn.Close(bn)
			state := golden.State(name + "_train.")
			before := golden.State(name + ".")
			state["running_mean"], state["running_var"] = before["running_mean"], before["running_var"]
			require.NoError(t, nn.Load(bn, "", state))

			// BatchStats gives what training does.
			checkLayer(t, golden, name+"_train.", bn, func(x torch.Tensor) torch.Tensor { return bn.Forward(x, nn.BatchStats) })
			assert.True(t, before["running_mean"].Equal(bn.RunningMean), "BatchStats leaves the statistics alone")
			assert.True(t, before["running_var"].Equal(bn.RunningVar), "BatchStats leaves the statistics alone")

			checkLayer(t, golden, name+"_train.", bn, func(x torch.Tensor) torch.Tensor { return bn.Forward(x, nn.Train) })
			torchtest.InDelta(t, golden.Tensor(name+"_train.running_mean"), bn.RunningMean, float32Sums)
			torchtest.InDelta(t, golden.Tensor(name+"_train.running_var"), bn.RunningVar, float32Sums)

			moved := bn.RunningMean.Clone()
			checkLayer(t, golden, name+"_eval.", bn, func(x torch.Tensor) torch.Tensor { return bn.Forward(x, nn.Eval) })
			assert.True(t, moved.Equal(bn.RunningMean), "Eval leaves the statistics alone")
		})
	}
}

func TestBatchNormMomentumIsAField(t *testing.T) {
	torchtest.Scope(t, func() {
		bn := nn.NewBatchNorm(2)
		defer nn.Close(bn)
		bn.Momentum = 1
		bn.Forward(torch.FromSlice([]float32{1, 10, 3, 20}, 2, 2), nn.Train)
		assert.Equal(t, []float32{2, 15}, torch.ToSlice[float32](bn.RunningMean))
		assert.Equal(t, []float32{2, 50}, torch.ToSlice[float32](bn.RunningVar), "unbiased, unlike the variance that normalises")
	})
}
