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
				options := c.o
				options.ReLU = relu
				plain := func(x torch.Tensor) torch.Tensor {
					if relu {
						x = x.ReLU()
					}
					return x.Conv2d(weight, bias, c.o)
				}
				frozen := torch.NewFrozenConv2d(weight, bias, torch.Float64, options)
				// value, gradient and gradient of the gradient's square
				derivatives := func(f func(torch.Tensor) torch.Tensor) (y, first, second torch.Tensor) {
					x := draw("x", 2, c.in, c.h, c.w).Leaf()
					y = f(x)
					first = torch.Grad(y.Mul(y).Mul(draw("probe", y.Shape()...)).Sum(), x, true)
					return y, first, torch.Grad(first.Square().Sum(), x, false)
				}
				y, first, second := derivatives(plain)
				y2, first2, second2 := derivatives(frozen.Forward)
				torchtest.InDelta(t, y, y2, 1e-13)
				torchtest.InDelta(t, first, first2, 1e-11)
				torchtest.InDelta(t, second, second2, 1e-9)
			})
		}
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
	for name, c := range map[string]struct{ n, in, out, h, w, skip int }{
		"whole tiles":           {2, 16, 32, 8, 8, 16},
		"cut tiles":             {3, 32, 16, 6, 10, 1},
		"one tile of an image":  {5, 16, 16, 4, 4, 24},
		"smaller than a tile":   {1, 48, 16, 2, 2, 0},
		"more than one chunk":   {4, 16, 16, 40, 20, 100},
		"an odd number of rows": {2, 16, 16, 5, 6, 3},
		"from one channel":      {3, 1, 16, 9, 12, 0},
		"from three channels":   {2, 3, 48, 4, 5, 0},
		"to one channel":        {3, 16, 1, 9, 12, 0},
		"to seven channels":     {2, 32, 7, 3, 2, 0},
		"a tall image":          {1, 16, 1, 35, 5, 0},
		"from a tall image":     {1, 1, 16, 35, 5, 0},
	} {
		for kind, stride := range map[string]int{"plain": 1, "pooled": 1, "strided": 2} {
			for _, relu := range []bool{false, true} {
				torchtest.Run(t, fmt.Sprint(name, ", ", kind, ", relu ", relu), func(t *testing.T) {
					pooled, options := kind == "pooled", torch.Conv2dOptions{Padding: 1, Stride: stride, ReLU: relu}
					x, w, b := random("x", c.n, c.in, c.h, c.w), random("w", c.out, c.in, 3, 3).MulScalar(1/math.Sqrt(9*float64(c.in))), random("b", c.out)
					inputs := []torch.Tensor{x.Contiguous(torch.ChannelsLast), w, b}
					if pooled && c.skip > 0 {
						inputs = append(inputs, random("skip", c.n, c.skip, c.h, c.w).Contiguous(torch.ChannelsLast), random("skip weight", c.out, c.skip, 1, 1).MulScalar(1/math.Sqrt(float64(c.skip))))
					}
					fast := func(in []torch.Tensor) torch.Tensor {
						if !pooled {
							return in[0].Conv2d(in[1], in[2], options)
						}
						o := torch.PooledConv2dOptions{ReLU: relu}
						if len(in) > 3 {
							o.Skip, o.SkipWeight = in[3], in[4]
						}
						return in[0].PooledConv2d(in[1], in[2], o)
					}
					plain := func(in []torch.Tensor) torch.Tensor {
						x := in[0]
						if relu {
							x = x.ReLU()
						}
						y := x.Conv2d(in[1], in[2], torch.Conv2dOptions{Padding: 1, Stride: stride})
						if pooled {
							y = y.AvgPool2d(2)
						}
						if len(in) > 3 {
							y = y.Add(in[3].AvgPool2d(2).Conv2d(in[4], torch.Tensor{}, torch.Conv2dOptions{}))
						}
						return y
					}
					var constants []torch.Tensor
					frozen := func(in []torch.Tensor) torch.Tensor { // the weights are constants
						if !pooled {
							return torch.NewFrozenConv2d(w, b, in[0].DType(), options).Forward(in[0])
						}
						skip, weight := torch.Tensor{}, torch.Tensor{}
						if len(in) > 1 {
							skip, weight = in[1], constants[1]
						}
						return torch.NewFrozenPooledConv2d(w, b, in[0].DType(), torch.PooledConv2dOptions{ReLU: relu, SkipWeight: weight}).Forward(in[0], skip)
					}
					plainFrozen := func(in []torch.Tensor) torch.Tensor {
						all := []torch.Tensor{in[0], w.To(torch.Float64), b.To(torch.Float64)}
						if len(in) > 1 {
							all = append(all, in[1], constants[1].To(torch.Float64))
						}
						return plain(all)
					}
					// derivatives returns the value, its gradients with a graph, the gradients of the square of the first one, and the
					// gradients without a graph. Those without a graph are computed in another way.
					derivatives := func(f func([]torch.Tensor) torch.Tensor, in []torch.Tensor) []torch.Tensor {
						leaves := make([]torch.Tensor, len(in))
						for i := range in {
							leaves[i] = in[i].Leaf()
						}
						loss := func() torch.Tensor { return f(leaves).Square().Sum() }
						first := torch.Grads(loss(), leaves, torch.GradOptions{CreateGraph: true})
						second := torch.Grads(first[0].Square().Sum(), leaves, torch.GradOptions{})
						all := append(append([]torch.Tensor{f(leaves)}, first...), second...)
						return append(all, torch.Grads(loss(), leaves, torch.GradOptions{})...)
					}
					compare := func(plain, fast func([]torch.Tensor) torch.Tensor, in []torch.Tensor) {
						exact := make([]torch.Tensor, len(in))
						for i := range in {
							exact[i] = in[i].To(torch.Float64)
						}
						want, got := derivatives(plain, exact), derivatives(fast, in)
						for i := range want {
							require.Equal(t, want[i].Defined(), got[i].Defined(), "derivative %d", i)
							if want[i].Defined() {
								torchtest.InDelta(t, want[i], got[i].To(torch.Float64), 3e-6*math.Max(1, want[i].Abs().Max().Item()))
							}
						}
					}
					compare(plain, fast, inputs)
					constants = inputs[3:]
					variables := []torch.Tensor{x} // NCHW too
					if len(constants) > 0 {
						variables = append(variables, constants[0])
					}
					if !pooled || c.h%2 == 0 {
						compare(plainFrozen, frozen, variables)
					}
				})
			}
		}
	}
}

func TestFastConvolutionsDoNotDependOnTheThreads(t *testing.T) {
	before := torch.Threads()
	defer func() { require.NoError(t, torch.SetThreads(before)) }()
	torchtest.Scope(t, func() {
		x, w := torch.NewRNG(9, 0, "x").Normal(7, 16, 16, 32).Contiguous(torch.ChannelsLast).Leaf(), torch.NewRNG(9, 0, "w").Normal(48, 16, 3, 3).Leaf()
		results := func() (all []torch.Tensor) {
			frozen := torch.NewFrozenConv2d(w, torch.Tensor{}, torch.Float32, torch.Conv2dOptions{Padding: 1, ReLU: true})
			few := torch.NewRNG(9, 0, "few").Normal(1, 48, 3, 3)
			pooled := x.PooledConv2d(w, torch.Tensor{}, torch.PooledConv2dOptions{Skip: x, SkipWeight: w.Detach().Narrow(2, 0, 1).Narrow(3, 0, 1)})
			plain := x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1})
			strided := x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1, Stride: 2})
			for _, y := range []torch.Tensor{pooled, strided, plain.Conv2d(few, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}), plain, frozen.Forward(x)} {
				all = append(append(all, y), torch.Grads(y.Square().Sum(), []torch.Tensor{x, w}, torch.GradOptions{RetainGraph: true})...)
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
			y, z := x.PooledConv2d(w, torch.Tensor{}, torch.PooledConv2dOptions{}), x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1})
			strided := x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1, Stride: 2})
			assert.InEpsilon(t, 16*16*25, strided.Sum().Item(), 1e-6, "2 and 3 taps of a row are inside the image")
			assert.InEpsilon(t, 16*16*100, z.Sum().Item(), 1e-6, "100 taps are inside the image")
			assert.InEpsilon(t, 16*16*25, y.Sum().Item(), 1e-6)
			return nil
		})
		require.NoError(t, err)
		calls := map[string]int{}
		for _, op := range ops {
			calls[op.Op] += op.Calls
		}
		assert.Equal(t, 3, calls["liebm::fast_conv2d"])
		assert.Zero(t, calls["aten::conv2d"])
	})
}

func TestFastConvolutionsTakeWhatConvolutionsTake(t *testing.T) {
	torchtest.Scope(t, func() {
		w, nan := torch.Ones([]int{16, 16, 3, 3}, torch.Float32), torch.Full([]int{1, 16, 4, 4}, math.NaN(), torch.Float32)
		pooled := torch.NewFrozenPooledConv2d(w, torch.Tensor{}, torch.Float32, torch.PooledConv2dOptions{ReLU: true})
		plain := torch.NewFrozenConv2d(w, torch.Tensor{}, torch.Float32, torch.Conv2dOptions{Padding: 1, ReLU: true})
		assert.Equal(t, []int{0, 16, 4, 4}, plain.Forward(torch.Ones([]int{0, 16, 4, 4}, torch.Float32)).Shape(), "no images")
		assert.Equal(t, []int{1, 16, 2, 3}, pooled.Forward(torch.Ones([]int{1, 16, 5, 7}, torch.Float32), torch.Tensor{}).Shape(), "odd sizes")
		assert.True(t, math.IsNaN(pooled.Forward(nan, torch.Tensor{}).Sum().Item()), "NaN stays")
		assert.True(t, math.IsNaN(plain.Forward(nan).Sum().Item()), "NaN stays")
		for name, x := range map[string]torch.Tensor{"channels": torch.Ones([]int{1, 32, 4, 4}, torch.Float32), "dtype": torch.Ones([]int{1, 16, 4, 4}, torch.Float64)} {
			assert.ErrorContains(t, torch.Do(func() error { pooled.Forward(x, torch.Tensor{}); return nil }), "aten::conv2d", name)
		}
		even := torch.Ones([]int{1, 16, 4, 4}, torch.Float32)
		for _, o := range []torch.PooledConv2dOptions{{Skip: even}, {SkipWeight: torch.Ones([]int{16, 16, 1, 1}, torch.Float32)}} {
			assert.ErrorContains(t, torch.Do(func() error { even.PooledConv2d(w, torch.Tensor{}, o); return nil }), "needs both its images and its weight")
		}
		assert.ErrorContains(t, torch.Do(func() error { pooled.Forward(even, even); return nil }), "needs both its images and its weight")
		for _, bias := range []torch.Tensor{torch.Ones([]int{1}, torch.Float32), torch.Ones([]int{1, 16}, torch.Float32)} {
			x := torch.Ones([]int{1, 16, 4, 4}, torch.Float32).Contiguous(torch.ChannelsLast)
			assert.Error(t, torch.Do(func() error { x.Conv2d(w, bias, torch.Conv2dOptions{Padding: 1}); return nil }))
			assert.Error(t, torch.Do(func() error {
				torch.NewFrozenConv2d(w, bias, torch.Float32, torch.Conv2dOptions{Padding: 1}).Forward(x)
				return nil
			}))
		}
	})
}
