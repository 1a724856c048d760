package torch

// #include "conv.h"
import "C"

// FewChannels reports whether a convolution from many channels to few is faster by [Tensor.Conv2dToFew]. oneDNN computes one with less
// than 8 output channels as if it had 8 or 16.
func FewChannels(few, many int) bool {
	return C.lt_few_channels(C.int64_t(few), C.int64_t(many)) != 0
}

// Conv2dToFew is Conv2d with stride 1: [n,in,h,w] → [n,out,h',w']. weight: [out,in,k,k], bias: [out] or none. It is faster on the CPU if
// FewChannels(out, in) is true. On one core with AVX2, 16 images of 32×32 pixels from 32 channels to 1 took 3.2 ms by Conv2d and
// 0.8 ms by Conv2dToFew (libtorch 1.13). If padding is k or more or k is 1, if the kernel is not square, in bfloat16 and on GPUs
// it calls Conv2d.
func (t Tensor) Conv2dToFew(weight, bias Tensor, padding int) Tensor {
	var out C.uint64_t
	check("conv2d_to_few", C.lt_conv2d_to_few(C.uint64_t(t.h), C.uint64_t(weight.h), C.uint64_t(bias.h), C.int64_t(padding), &out))
	return Tensor{uint64(out)}
}

// FrozenConv2d is a convolution whose weight is constant, as in a Langevin chain. Only x has a gradient.
// The gradient is computed as a forward convolution with another kernel, which is made once. libtorch
// uses oneDNN's backward_data instead, and with stride 2 and bfloat16 oneDNN 2.6 runs it at a third of
// the forward speed. For 16 images of 256 channels, from 32×32 to 16×16, forward and gradient took
// 28.6 ms on one core with libtorch and 19.6 ms with FrozenConv2d. The gradient of a convolution that reads images is a
// convolution to few channels, as in [Tensor.Conv2dToFew].
//
// The stride must be 1, or 2 with a 4×4 kernel and padding 1. The gradient can be differentiated again.
type FrozenConv2d struct {
	weight, bias, adjoint Tensor
	options               Conv2dOptions
}

// NewFrozenConv2d makes the layer. weight: [out,in,k,k], bias: [out] or none.
func NewFrozenConv2d(weight, bias Tensor, o Conv2dOptions) FrozenConv2d {
	c := FrozenConv2d{weight: weight, bias: bias, options: o}
	var out C.uint64_t
	check("frozen_conv2d", C.lt_frozen_adjoint(C.uint64_t(weight.h), C.int64_t(max(o.Stride, 1)), C.int64_t(o.Padding), &out))
	c.adjoint = Tensor{uint64(out)}
	return c
}

// Forward maps [n,in,h,w] to [n,out,h',w']. With relu it applies ReLU to the result.
func (c FrozenConv2d) Forward(x Tensor, relu bool) Tensor {
	var out C.uint64_t
	check("frozen_conv2d", C.lt_frozen_conv2d(C.uint64_t(x.h), C.uint64_t(c.weight.h), C.uint64_t(c.bias.h), C.uint64_t(c.adjoint.h),
		C.int64_t(max(c.options.Stride, 1)), C.int64_t(c.options.Padding), C.int(boolWord(relu)), &out))
	return Tensor{uint64(out)}
}
