package torch_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestProfileCountsOperatorsOfEachPart(t *testing.T) {
	torchtest.Scope(t, func() {
		x, w := torch.Ones([]int{2, 3, 8, 8}, torch.Float32), torch.Ones([]int{5, 3, 3, 3}, torch.Float32)
		run := func(x torch.Tensor) torch.Tensor { return x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}) }
		rows, err := torch.Profile(func(part func(string)) error {
			part("forward")
			run(x)
			leaf := x.Leaf()
			y := run(leaf).Sum()
			part("backward")
			torch.Grad(y, leaf, false)
			return nil
		})
		require.NoError(t, err)
		found := map[string]torch.OpTime{}
		for _, r := range rows {
			found[r.Part+" "+r.Op] = r
			assert.Positive(t, r.Time, r.Op)
		}
		const conv = 2 * 2 * 8 * 8 * 5 * 3 * 9 // a multiplication and an addition for each output and tap
		forward, backward := found["forward aten::conv2d"], found["backward aten::convolution_backward"]
		assert.Equal(t, 2, forward.Calls)
		assert.Equal(t, float64(2*conv), forward.FLOPs)
		assert.Equal(t, float64(2*4*(2*3*8*8+5*3*3*3+2*5*8*8)), forward.Bytes)
		assert.Equal(t, float64(conv), backward.FLOPs, "the gradient in x alone")
		assert.NotContains(t, found, "forward aten::convolution", "part of conv2d")
	})
}

func TestProfileEndsWithItsFunction(t *testing.T) {
	torchtest.Scope(t, func() {
		broken := errors.New("broken")
		_, err := torch.Profile(func(func(string)) error { return broken })
		assert.Equal(t, broken, err)
		assert.Panics(t, func() {
			_, _ = torch.Profile(func(func(string)) error { torch.Ones([]int{2}, torch.Float32).Reshape(3); return nil })
		})
		rows, err := torch.Profile(func(func(string)) error { return nil })
		require.NoError(t, err)
		assert.Empty(t, rows)
	})
}
