package torch_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"

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
				frozen := torch.NewFrozenConv2d(weight, bias, torch.Float64, c.o)
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
		torch.NewFrozenConv2d(torch.Ones([]int{1, 1, 3, 3}, torch.Float64), torch.Tensor{}, torch.Float64, torch.Conv2dOptions{Stride: 2, Padding: 1})
		return nil
	})
	assert.ErrorContains(t, err, "the kernel must be 4x4")
}

// In float32, beside the same convolution in float64. The largest error is about that of oneDNN's direct sum.
func TestFastConvolutionsAreConvolutionsWithTheirGradients(t *testing.T) {
	random := func(purpose string, shape ...int) torch.Tensor {
		return torch.NewRNG(9, 0, purpose).NormalLike(torch.Empty(shape, torch.Float32))
	}
	for name, c := range map[string]struct{ n, in, out, h, w int }{
		"whole tiles":           {2, 16, 32, 8, 8},
		"cut tiles":             {3, 32, 16, 6, 10},
		"one tile of an image":  {5, 16, 16, 4, 4},
		"smaller than a tile":   {1, 48, 16, 2, 2},
		"more than one chunk":   {4, 16, 16, 40, 20},
		"an odd number of rows": {2, 16, 16, 5, 6},
	} {
		for _, pooled := range []bool{false, true} {
			torchtest.Run(t, fmt.Sprint(name, ", pooled ", pooled), func(t *testing.T) {
				x, w, b := random("x", c.n, c.in, c.h, c.w), random("w", c.out, c.in, 3, 3).MulScalar(1/math.Sqrt(9*float64(c.in))), random("b", c.out)
				apply := func(x, w, b torch.Tensor) torch.Tensor {
					if pooled {
						return x.PooledConv2d(w, b)
					}
					return x.Conv2d(w, b, torch.Conv2dOptions{Padding: 1})
				}
				plain := func(x, w, b torch.Tensor) torch.Tensor {
					y := x.Conv2d(w, b, torch.Conv2dOptions{Padding: 1})
					if pooled {
						y = y.AvgPool2d(2)
					}
					return y
				}
				// value, gradients, and the gradients of a gradient's square
				derivatives := func(f func(x, w, b torch.Tensor) torch.Tensor, x, w, b torch.Tensor) []torch.Tensor {
					x, w, b = x.Leaf(), w.Leaf(), b.Leaf()
					y := f(x, w, b)
					first := torch.Grads(y.Mul(y).Sum(), []torch.Tensor{x, w, b}, torch.GradOptions{CreateGraph: true})
					second := torch.Grads(first[0].Square().Sum(), []torch.Tensor{x, w}, torch.GradOptions{})
					return append(append([]torch.Tensor{y}, first...), second...)
				}
				// without a second derivative the gradients in the weight are computed another way
				first := func(f func(x, w, b torch.Tensor) torch.Tensor, x, w, b torch.Tensor) []torch.Tensor {
					x, w, b = x.Leaf(), w.Leaf(), b.Leaf()
					y := f(x, w, b)
					return torch.Grads(y.Mul(y).Sum(), []torch.Tensor{x, w, b}, torch.GradOptions{})
				}
				all := func(f func(x, w, b torch.Tensor) torch.Tensor, x, w, b torch.Tensor) []torch.Tensor {
					return append(derivatives(f, x, w, b), first(f, x, w, b)...)
				}
				want := all(plain, x.To(torch.Float64), w.To(torch.Float64), b.To(torch.Float64))
				got := all(apply, x.Contiguous(torch.ChannelsLast), w, b)
				for i := range want {
					torchtest.InDelta(t, want[i], got[i].To(torch.Float64), 3e-6*math.Max(1, want[i].Abs().Max().Item()))
				}
				frozen := torch.NewFrozenConv2d(w, b, torch.Float32, torch.Conv2dOptions{Padding: 1})
				if pooled && c.h%2 == 0 {
					frozen = torch.NewFrozenPooledConv2d(w, b, torch.Float32)
				} else if pooled {
					return
				}
				relu := func(f func(x torch.Tensor) torch.Tensor, x torch.Tensor) []torch.Tensor {
					x = x.Leaf()
					y := f(x)
					return []torch.Tensor{y, torch.Grad(y.Mul(y).Sum(), x, false)}
				}
				want = relu(func(x torch.Tensor) torch.Tensor { return plain(x, w.To(torch.Float64), b.To(torch.Float64)).ReLU() }, x.To(torch.Float64))
				got = relu(func(x torch.Tensor) torch.Tensor { return frozen.Forward(x, true) }, x) // NCHW too
				for i := range want {
					torchtest.InDelta(t, want[i], got[i].To(torch.Float64), 3e-6*math.Max(1, want[i].Abs().Max().Item()))
				}
			})
		}
	}
}

func TestFastConvolutionsDoNotDependOnTheThreads(t *testing.T) {
	before := torch.Threads()
	defer func() { require.NoError(t, torch.SetThreads(before)) }()
	torchtest.Scope(t, func() {
		x, w := torch.NewRNG(9, 0, "x").Normal(7, 16, 16, 32).Contiguous(torch.ChannelsLast).Leaf(), torch.NewRNG(9, 0, "w").Normal(48, 16, 3, 3).Leaf()
		results := func() (all []torch.Tensor) {
			frozen := torch.NewFrozenConv2d(w, torch.Tensor{}, torch.Float32, torch.Conv2dOptions{Padding: 1})
			for _, y := range []torch.Tensor{x.PooledConv2d(w, torch.Tensor{}), x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}), frozen.Forward(x, true)} {
				all = append(append(all, y), torch.Grads(y.Square().Sum(), []torch.Tensor{x, w}, torch.GradOptions{})...)
			}
			return all
		}
		require.NoError(t, torch.SetThreads(1))
		want := results()
		assert.False(t, want[len(want)-1].Defined(), "the frozen weight has no gradient")
		for _, threads := range []int{2, 3, 16} {
			require.NoError(t, torch.SetThreads(threads))
			for i, got := range results() {
				assert.True(t, want[i].Defined() == got.Defined() && (!got.Defined() || want[i].Equal(got)), "%d threads, result %d", threads, i)
			}
		}
	})
}

// Without AVX2 the same convolutions are libtorch's.
func TestConvolutionsAreFastWhereTheyCanBe(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("needs AVX2")
	}
	torchtest.Scope(t, func() {
		x, w := torch.Ones([]int{1, 16, 4, 4}, torch.Float32).Contiguous(torch.ChannelsLast), torch.Ones([]int{16, 16, 3, 3}, torch.Float32)
		ops, err := torch.Profile(func(func(string)) error {
			y, z := x.PooledConv2d(w, torch.Tensor{}), x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1})
			assert.InEpsilon(t, 16*16*100, z.Sum().Item(), 1e-6, "100 taps are inside the image")
			assert.InEpsilon(t, 16*16*25, y.Sum().Item(), 1e-6)
			return nil
		})
		require.NoError(t, err)
		calls := map[string]int{}
		for _, op := range ops {
			calls[op.Op] += op.Calls
		}
		assert.Equal(t, 2, calls["liebm::fast_conv2d"])
		assert.Zero(t, calls["aten::conv2d"])
	})
}

func TestFastConvolutionsTakeWhatConvolutionsTake(t *testing.T) {
	torchtest.Scope(t, func() {
		w, nan := torch.Ones([]int{16, 16, 3, 3}, torch.Float32), torch.Full([]int{1, 16, 4, 4}, math.NaN(), torch.Float32)
		pooled := torch.NewFrozenPooledConv2d(w, torch.Tensor{}, torch.Float32)
		plain := torch.NewFrozenConv2d(w, torch.Tensor{}, torch.Float32, torch.Conv2dOptions{Padding: 1})
		assert.Equal(t, []int{0, 16, 4, 4}, plain.Forward(torch.Ones([]int{0, 16, 4, 4}, torch.Float32), true).Shape(), "no images")
		assert.Equal(t, []int{1, 16, 2, 3}, pooled.Forward(torch.Ones([]int{1, 16, 5, 7}, torch.Float32), true).Shape(), "odd sizes")
		assert.True(t, math.IsNaN(pooled.Forward(nan, true).Sum().Item()), "NaN stays")
		assert.True(t, math.IsNaN(plain.Forward(nan, true).Sum().Item()), "NaN stays")
		for name, x := range map[string]torch.Tensor{"channels": torch.Ones([]int{1, 32, 4, 4}, torch.Float32), "dtype": torch.Ones([]int{1, 16, 4, 4}, torch.Float64)} {
			assert.ErrorContains(t, torch.Do(func() error { pooled.Forward(x, false); return nil }), "aten::conv2d", name)
		}
		for _, bias := range []torch.Tensor{torch.Ones([]int{1}, torch.Float32), torch.Ones([]int{1, 16}, torch.Float32)} {
			x := torch.Ones([]int{1, 16, 4, 4}, torch.Float32).Contiguous(torch.ChannelsLast)
			assert.Error(t, torch.Do(func() error { x.Conv2d(w, bias, torch.Conv2dOptions{Padding: 1}); return nil }))
			assert.Error(t, torch.Do(func() error {
				torch.NewFrozenConv2d(w, bias, torch.Float32, torch.Conv2dOptions{Padding: 1}).Forward(x, true)
				return nil
			}))
		}
	})
}
