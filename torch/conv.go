package torch

// #include "conv.h"
import "C"

// Conv2dToFew is Conv2d with stride 1: [n,in,h,w] → [n,out,h',w']. weight: [out,in,k,k], bias: [out] or none. It is faster on the CPU if
// there are less than 8 output channels, and 16 times as many input channels or more: oneDNN computes one with less than 8 output
// channels as if it had 8 or 16. On one core with AVX2, 16 images of 32×32 pixels from 32 channels to 1 took 3.2 ms by Conv2d and
// 0.8 ms by Conv2dToFew (libtorch 1.13). If padding is k or more or k is 1, if the kernel is not square, in bfloat16 and on GPUs
// it calls Conv2d.
func (t Tensor) Conv2dToFew(weight, bias Tensor, padding int) Tensor {
	var out C.uint64_t
	check("conv2d_to_few", C.lt_conv2d_to_few(C.uint64_t(t.h), C.uint64_t(weight.h), C.uint64_t(bias.h), C.int64_t(padding), &out))
	return Tensor{uint64(out)}
}

// fastConv2d returns the convolution, computed by Winograd's algorithm. It returns none if the algorithm does not fit the tensors.
func (t Tensor) fastConv2d(weight, bias Tensor, pooled bool) Tensor {
	var out C.uint64_t
	check("aten::conv2d", C.lt_fast_conv2d(C.uint64_t(t.h), C.uint64_t(weight.h), C.uint64_t(bias.h), C.int(boolWord(pooled)), &out))
	return Tensor{uint64(out)}
}

// PooledConv2d is AvgPool2d(2) of a 3×3 convolution with padding 1, in fewer operations: [n,in,h,w] → [n,out,h/2,w/2]. weight: [out,in,3,3],
// bias: [out] or none. It is computed by Winograd's algorithm where Conv2d is, and if height and width are even. Otherwise it is a 4×4
// convolution with stride 2 and padding 1.
func (t Tensor) PooledConv2d(weight, bias Tensor) Tensor {
	if y := t.fastConv2d(weight, bias, true); y.Defined() {
		return y
	}
	return Tidy(func() Tensor { return t.Conv2d(fusePool(weight), bias, Conv2dOptions{Stride: 2, Padding: 1}) })
}

// fusePool returns the 4×4 kernel whose convolution with stride 2 and padding 1 equals a 3×3 convolution and a
// 2×2 average pool after it. It is ¼ the sum of the four one-pixel shifts of the 3×3 kernel: the 2×2 moving
// average of the kernel with a zero border. w: [out,in,3,3] → [out,in,4,4].
func fusePool(w Tensor) Tensor { return w.MovingAverage2d(2, 1).Contiguous(ChannelsLast) }

// FrozenConv2d is a convolution whose weight is constant, as in a Langevin chain. Only x has a gradient, which can be differentiated
// again. On the CPU it is faster than Conv2d in these cases:
//
//   - Where Conv2d and PooledConv2d use Winograd's algorithm, the weight is transformed once.
//   - In bfloat16 the gradient is a forward convolution with another kernel, which is made once. libtorch uses oneDNN's backward_data
//     instead. With stride 2 and bfloat16, oneDNN 2.6 runs it at a third of the forward speed. For 16 images of 256 channels, from 32×32 to
//     16×16, forward and gradient took 28.6 ms on one core with libtorch and 19.6 ms with FrozenConv2d.
//   - The gradient of a convolution that reads images is one to few channels, as in [Tensor.Conv2dToFew].
//
// In float64 on the CPU it computes its gradient as in bfloat16. Elsewhere it is Conv2d.
type FrozenConv2d struct {
	weight, bias Tensor
	adjoint      Tensor // kernel of the gradient; none if libtorch computes the gradient
	fast         Tensor // weight, transformed for Winograd's algorithm; none without it
	pooled       bool
	options      Conv2dOptions
}

// NewFrozenConv2d makes the layer, computed in dtype. weight: [out,in,k,k], bias: [out] or none. In bfloat16 and float64 on the CPU the
// stride must be 1, or 2 with a 4×4 kernel and padding 1.
func NewFrozenConv2d(weight, bias Tensor, dtype DType, o Conv2dOptions) FrozenConv2d {
	c := frozen(weight, bias, dtype)
	c.options = o
	if o.Stride <= 1 && o.Padding == 1 && c.transform() {
		return c
	}
	few := o.Stride <= 1 && C.lt_few_channels(C.int64_t(weight.Size(1)), C.int64_t(weight.Size(0))) != 0
	if weight.Device().Type == CPU && (dtype != Float32 || few) {
		var out C.uint64_t
		check("frozen_conv2d", C.lt_frozen_adjoint(C.uint64_t(c.weight.h), C.int64_t(max(o.Stride, 1)), C.int64_t(o.Padding), &out))
		c.adjoint = Tensor{uint64(out)}
	}
	return c
}

// NewFrozenPooledConv2d makes the layer of [Tensor.PooledConv2d], computed in dtype. weight: [out,in,3,3], bias: [out] or none.
func NewFrozenPooledConv2d(weight, bias Tensor, dtype DType) FrozenConv2d {
	c := frozen(weight, bias, dtype)
	c.pooled = true
	if c.transform() {
		return c
	}
	return NewFrozenConv2d(fusePool(weight), bias, dtype, Conv2dOptions{Stride: 2, Padding: 1})
}

// frozen has constants of dtype.
func frozen(weight, bias Tensor, dtype DType) FrozenConv2d {
	c := FrozenConv2d{weight: weight.Detach().To(dtype), bias: bias}
	if bias.Defined() {
		c.bias = bias.Detach().To(dtype)
	}
	return c
}

// transform makes the kernels of Winograd's algorithm, and reports whether it computes such a convolution.
func (c *FrozenConv2d) transform() bool {
	var fast, adjoint C.uint64_t
	check("frozen_conv2d", C.lt_fast_kernels(C.uint64_t(c.weight.h), C.int(boolWord(c.pooled)), &fast, &adjoint))
	c.fast, c.adjoint = Tensor{uint64(fast)}, Tensor{uint64(adjoint)}
	return c.fast.Defined()
}

// Forward maps [n,in,h,w] to [n,out,h',w']. With relu it applies ReLU to the result.
func (c FrozenConv2d) Forward(x Tensor, relu bool) (y Tensor) {
	var out C.uint64_t
	switch {
	case c.fast.Defined():
		check("frozen_conv2d", C.lt_fast_frozen(C.uint64_t(x.h), C.uint64_t(c.weight.h), C.uint64_t(c.bias.h), C.uint64_t(c.fast.h), C.uint64_t(c.adjoint.h),
			C.int(boolWord(c.pooled)), C.int(boolWord(relu)), &out))
	case c.adjoint.Defined():
		check("frozen_conv2d", C.lt_frozen_conv2d(C.uint64_t(x.h), C.uint64_t(c.weight.h), C.uint64_t(c.bias.h), C.uint64_t(c.adjoint.h),
			C.int64_t(max(c.options.Stride, 1)), C.int64_t(c.options.Padding), C.int(boolWord(relu)), &out))
	}
	switch {
	case out != 0:
		return Tensor{uint64(out)}
	case c.pooled: // of an odd height or width
		y = x.PooledConv2d(c.weight, c.bias)
	default:
		y = x.Conv2d(c.weight, c.bias, c.options)
	}
	if relu {
		y.ReLUInPlace() // a convolution's gradient needs its input and weight, not its output
	}
	return y
}
