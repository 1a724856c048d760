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
		k, h, w int
		o       torch.Conv2dOptions
		bias    bool
	}{
		"3×3":                {3, 6, 4, torch.Conv2dOptions{Padding: 1}, true},
		"3×3 unpadded":       {3, 6, 4, torch.Conv2dOptions{}, false},
		"1×1":                {1, 5, 3, torch.Conv2dOptions{}, true},
		"strided 4×4":        {4, 8, 6, torch.Conv2dOptions{Stride: 2, Padding: 1}, true},
		"strided, one pixel": {4, 2, 2, torch.Conv2dOptions{Stride: 2, Padding: 1}, false},
	} {
		for _, relu := range []bool{false, true} {
			torchtest.Run(t, name, func(t *testing.T) {
				weight, bias := draw("w", 5, 3, c.k, c.k), torch.Tensor{}
				if c.bias {
					bias = draw("b", 5)
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
					x := draw("x", 2, 3, c.h, c.w).Leaf()
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

func TestFrozenConv2dRefusesOtherStrides(t *testing.T) {
	err := torch.Do(func() error {
		torch.NewFrozenConv2d(torch.Ones([]int{1, 1, 3, 3}, torch.Float32), torch.Tensor{}, torch.Conv2dOptions{Stride: 2, Padding: 1})
		return nil
	})
	assert.ErrorContains(t, err, "the kernel must be 4x4")
}
