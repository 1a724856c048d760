package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// In float64, so that the tolerance can be that of rounding alone.
func TestFrozenConv2dIsConv2dWithItsGradients(t *testing.T) {
	draw := func(purpose string, shape ...int) torch.Tensor {
		return torch.NewRNG(7, 0, purpose).NormalLike(torch.Empty(shape, torch.Float64))
	}
	for name, c := range map[string]struct {
		in, out, k, h, w int
		o                torch.Conv2dOptions
		bias             bool
	}{
		"3×3":                  {3, 5, 3, 6, 4, torch.Conv2dOptions{Padding: 1}, true},
		"3×3 unpadded":         {3, 5, 3, 6, 4, torch.Conv2dOptions{}, false},
		"3×3, few in":          {1, 16, 3, 6, 4, torch.Conv2dOptions{Padding: 1}, true},
		"3×3 unpadded, few in": {2, 33, 3, 6, 4, torch.Conv2dOptions{}, false},
		"3×3 padded by 2":      {1, 16, 3, 6, 4, torch.Conv2dOptions{Padding: 2}, false},
		"1×1":                  {3, 5, 1, 5, 3, torch.Conv2dOptions{}, true},
		"1×1, few in":          {1, 16, 1, 5, 3, torch.Conv2dOptions{}, true},
		"strided 4×4":          {3, 5, 4, 8, 6, torch.Conv2dOptions{Stride: 2, Padding: 1}, true},
		"strided, one pixel":   {3, 5, 4, 2, 2, torch.Conv2dOptions{Stride: 2, Padding: 1}, false},
	} {
		for _, relu := range []bool{false, true} {
			torchtest.Run(t, name, func(t *testing.T) {
				weight, bias := draw("w", c.out, c.in, c.k, c.k), torch.Tensor{}
				if c.bias {
					bias = draw("b", c.out)
				}
				plain := func(x torch.Tensor) torch.Tensor {
					y := x.Conv2d(weight, bias, c.o)
					if relu {
						y = y.ReLU()
					}
					return y
				}
				frozen := torch.NewFrozenConv2d(weight, bias, c.o)
				// value, gradient and gradient of the gradient's square
				derivatives := func(f func(torch.Tensor) torch.Tensor) (y, first, second torch.Tensor) {
					x := draw("x", 2, c.in, c.h, c.w).Leaf()
					y = f(x)
					first = torch.Grad(y.Mul(y).Mul(draw("probe", y.Shape()...)).Sum(), x, true)
					return y, first, torch.Grad(first.Square().Sum(), x, false)
				}
				y, first, second := derivatives(plain)
				y2, first2, second2 := derivatives(func(x torch.Tensor) torch.Tensor { return frozen.Forward(x, relu) })
				torchtest.InDelta(t, y, y2, 1e-13)
				torchtest.InDelta(t, first, first2, 1e-11)
				torchtest.InDelta(t, second, second2, 1e-9)
			})
		}
	}
}

// In float64, as above.
func TestConv2dToFewIsConv2dWithItsGradients(t *testing.T) {
	draw := func(purpose string, shape ...int) torch.Tensor {
		return torch.NewRNG(7, 0, purpose).NormalLike(torch.Empty(shape, torch.Float64)).Leaf()
	}
	for name, c := range map[string]struct{ in, out, k, padding int }{
		"one channel":    {32, 1, 3, 1},
		"three channels": {48, 3, 3, 1},
		"unpadded":       {16, 1, 3, 0},
		"padded by 2":    {16, 1, 3, 2},
		"5×5":            {16, 1, 5, 2},
		"1×1":            {16, 1, 1, 0},
		"many channels":  {16, 3, 3, 1},
		"wide padding":   {16, 1, 3, 4},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			x, weight, bias := draw("x", 2, c.in, 6, 4), draw("w", c.out, c.in, c.k, c.k), draw("b", c.out)
			gradients := func(y torch.Tensor) []torch.Tensor {
				return torch.Grads(y.Mul(y).Mul(draw("probe", y.Shape()...)).Sum(), []torch.Tensor{x, weight, bias}, torch.GradOptions{})
			}
			want, got := x.Conv2d(weight, bias, torch.Conv2dOptions{Padding: c.padding}), x.Conv2dToFew(weight, bias, c.padding)
			torchtest.InDelta(t, want, got, 1e-12)
			nhwc := x.Contiguous(torch.ChannelsLast).Conv2dToFew(weight, bias, c.padding)
			assert.True(t, nhwc.IsChannelsLast(), "the result has the memory format of x")
			torchtest.InDelta(t, want, nhwc, 1e-12)
			first, second := gradients(want), gradients(got)
			for i := range first {
				torchtest.InDelta(t, first[i], second[i], 1e-10)
			}
			torchtest.InDelta(t, x.Conv2d(weight, torch.Tensor{}, torch.Conv2dOptions{Padding: c.padding}), x.Conv2dToFew(weight, torch.Tensor{}, c.padding), 1e-12)
		})
	}
}

func TestFrozenConv2dRefusesOtherStrides(t *testing.T) {
	err := torch.Do(func() error {
		torch.NewFrozenConv2d(torch.Ones([]int{1, 1, 3, 3}, torch.Float32), torch.Tensor{}, torch.Conv2dOptions{Stride: 2, Padding: 1})
		return nil
	})
	assert.ErrorContains(t, err, "the kernel must be 4x4")
}
