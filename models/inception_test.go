package models_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestInceptionMatchesItsPlainForm(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the whole network")
	}
	golden := torchtest.Load(t, "testdata/inception.npz")
	torchtest.Scope(t, func() {
		net, err := models.NewInception(modelstest.InceptionState())
		require.NoError(t, err)
		defer nn.Close(net)
		images := golden.Tensor("images")
		x := data.Floats(images.Bytes(), images.Size(0), 40, 40, 3)
		x = torch.Call("aten::upsample_bilinear2d", x, []int{299, 299}, false).Tensor(0).MulScalar(2).AddScalar(-1)
		live := torch.Live()
		f := net.Forward(x)
		assert.Equal(t, live+1, torch.Live(), "only the features stay")
		torchtest.InDelta(t, f, net.Forward(x.Contiguous(torch.ChannelsLast)), 0)
		// Folding and merging change the order of float32 sums through 48 layers.
		torchtest.InDelta(t, golden.Tensor("features"), f, 1e-5)
		torchtest.InDelta(t, golden.Tensor("logits"), net.Logits(f, true), 1e-5)
		torchtest.InDelta(t, golden.Tensor("unbiased"), net.Logits(f, false), 1e-5)
	})
}

func TestInceptionNamesWeightsThatDoNotFit(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the whole network")
	}
	shapes := modelstest.InceptionShapes()
	assert.Len(t, shapes, 94*5+2, "94 convolutions with their batch norms, and fc")
	for name, c := range map[string]struct {
		change func(state map[string]torch.Tensor)
		want   string
	}{
		"nothing":     {func(s map[string]torch.Tensor) { clear(s) }, "472 weights of the FID Inception do not fit: Conv2d_1a_3x3.conv.weight is missing"},
		"one missing": {func(s map[string]torch.Tensor) { delete(s, "Mixed_6c.branch1x1.bn.bias") }, "1 weights of the FID Inception do not fit: Mixed_6c.branch1x1.bn.bias is missing"},
		"torchvision's": {func(s map[string]torch.Tensor) {
			s["fc.weight"], s["fc.bias"] = torch.Zeros([]int{1000, 2048}, torch.Float32), torch.Zeros([]int{1000}, torch.Float32)
			s["AuxLogits.fc.weight"] = torch.Zeros([]int{1000, 768}, torch.Float32)
		}, "torchvision's ImageNet weights"},
		"a stranger": {func(s map[string]torch.Tensor) { s["x"] = torch.Scalar(1) }, "do not fit: 1 tensors that the network lacks"},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			state := map[string]torch.Tensor{}
			for name, shape := range shapes {
				state[name] = torch.Zeros(shape, torch.Float32)
			}
			c.change(state)
			var entries []torch.Entry
			for name, tensor := range state {
				entries = append(entries, torch.Entry{Name: name, Tensor: tensor})
			}
			_, err := models.NewInception(entries)
			assert.ErrorContains(t, err, c.want)
		})
	}
}
