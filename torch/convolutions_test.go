package torch_test

import (
	"math"
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// oneDNN pads channels to full blocks, and some versions of it take what the padding's memory held for
// numbers. Where that happens it must have been switched off.
func TestConvolutionsAreRightWhereChannelsFillNoBlock(t *testing.T) {
	rng := torch.NewRNG(1, 0, "conv")
	for _, c := range []struct{ in, out, kernel, stride int }{{3, 1, 3, 1}, {3, 2, 3, 1}, {12, 12, 3, 1}, {24, 8, 3, 1}, {40, 40, 1, 1}, {64, 1, 4, 1}, {1, 24, 4, 2}} {
		torchtest.Scope(t, func() {
			for size := 64; size < 1<<18; size *= 2 {
				torch.Tidy(func() torch.Tensor { torch.Full([]int{size}, math.NaN(), torch.Float32); return torch.Tensor{} })
			}
			x, w := rng.Normal(2, c.in, 8, 8), rng.Normal(c.out, c.in, c.kernel, c.kernel)
			all := func(dtype torch.DType) []torch.Tensor {
				x, w := x.To(dtype).Leaf(), w.To(dtype).Leaf()
				y := x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Stride: c.stride, Padding: c.kernel / 2})
				return append(torch.Grads(y.Square().Sum(), []torch.Tensor{x, w}, torch.GradOptions{}), y.Detach())
			}
			exact := all(torch.Float64)
			for i, got := range all(torch.Float32) {
				torchtest.InDelta(t, exact[i], got.To(torch.Float64), 1e-2)
			}
		})
	}
}
