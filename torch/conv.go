package torch

// #include "conv.h"
import "C"

// fastLayer is a convolution for fastConv2d. The zero Tensor is none.
type fastLayer struct {
	weight, bias, skip                         Tensor // skip: weight of a skip connection
	forward, adjoint, skipForward, skipAdjoint Tensor // kernels of constant weights
	pooled                                     bool
	options                                    Conv2dOptions
}

func (l fastLayer) words() C.lt_fast_layer {
	h := func(t Tensor) C.uint64_t { return C.uint64_t(t.h) }
	return C.lt_fast_layer{weight: h(l.weight), bias: h(l.bias), skip: h(l.skip), forward: h(l.forward), adjoint: h(l.adjoint), skip_forward: h(l.skipForward),
		skip_adjoint: h(l.skipAdjoint), pooled: C.int(boolWord(l.pooled)), stride: C.int(max(l.options.Stride, 1)), relu: C.int(boolWord(l.options.ReLU))}
}

// fastConv2d returns the convolution of t, plus that of the averages of skip, by the algorithms of fastconv.h. It returns none if they do
// not fit the tensors.
func (t Tensor) fastConv2d(skip Tensor, l fastLayer) Tensor {
	var out C.uint64_t
	check("aten::conv2d", C.lt_fast_conv2d(C.uint64_t(t.h), C.uint64_t(skip.h), l.words(), &out))
	return Tensor{uint64(out)}
}

// PooledConv2dOptions of [Tensor.PooledConv2d].
type PooledConv2dOptions struct {
	ReLU             bool   // the convolution reads max(t, 0)
	Skip, SkipWeight Tensor // a skip connection: the result plus the 1×1 convolution of Skip.AvgPool2d(2); [n,c,h,w] and [out,c,1,1], or none
}

// PooledConv2d is AvgPool2d(2) of a 3×3 convolution with padding 1, in fewer operations: [n,in,h,w] → [n,out,h/2,w/2]. weight: [out,in,3,3],
// bias: [out] or none. It is computed by Winograd's algorithm where Conv2d is, and if height and width are even. Otherwise it is a 4×4
// convolution with stride 2 and padding 1.
func (t Tensor) PooledConv2d(weight, bias Tensor, o PooledConv2dOptions) Tensor {
	if y := t.fastConv2d(o.Skip, fastLayer{weight: weight, bias: bias, skip: o.SkipWeight, pooled: true, options: Conv2dOptions{ReLU: o.ReLU}}); y.Defined() {
		return y
	}
	checkSkip(o.Skip, o.SkipWeight)
	return Tidy(func() Tensor {
		y := t.Conv2d(fusePool(weight), bias, Conv2dOptions{Stride: 2, Padding: 1, ReLU: o.ReLU})
		if o.Skip.Defined() {
			y.AddInPlace(o.Skip.AvgPool2d(2).Conv2d(o.SkipWeight, Tensor{}, Conv2dOptions{}), 1) // pooling commutes with a 1×1 convolution, and is cheaper first
		}
		return y
	})
}

// checkSkip panics if images of a skip connection come without its weight, or the weight without images.
func checkSkip(skip, weight Tensor) {
	if skip.Defined() != weight.Defined() {
		panic(&Error{Op: "pooled_conv2d", Msg: "a skip connection needs both its images and its weight: give both or none"})
	}
}

// fusePool returns the 4×4 kernel whose convolution with stride 2 and padding 1 equals a 3×3 convolution and a
// 2×2 average pool after it. It is ¼ the sum of the four one-pixel shifts of the 3×3 kernel: the 2×2 moving
// average of the kernel with a zero border. w: [out,in,3,3] → [out,in,4,4].
func fusePool(w Tensor) Tensor { return w.MovingAverage2d(2, 1).Contiguous(ChannelsLast) }

// FrozenConv2d is a convolution whose weight is constant, as in a Langevin chain. Only x has a gradient, which can be differentiated
// again. On the CPU it is faster than Conv2d in these cases:
//
//   - Where Conv2d does not call libtorch, the weight is transformed once.
//   - In bfloat16 the gradient is a forward convolution with another kernel, which is made once. libtorch uses oneDNN's backward_data
//     instead. With stride 2 and bfloat16, oneDNN 2.6 runs it at a third of the forward speed. For 16 images of 256 channels, from 32×32 to
//     16×16, forward and gradient took 28.6 ms on one core with libtorch and 19.6 ms with FrozenConv2d.
//
// In float64 on the CPU it computes its gradient as in bfloat16. Elsewhere it is Conv2d.
type FrozenConv2d struct {
	fastLayer // its adjoint is the kernel of the gradient; none if libtorch computes the gradient
}

// NewFrozenConv2d makes the layer, computed in dtype. weight: [out,in,k,k], bias: [out] or none. The layer may share memory with them: do
// not change them while it is used. In bfloat16 and float64 on the CPU the stride must be 1, or 2 with a 4×4 kernel and padding 1.
func NewFrozenConv2d(weight, bias Tensor, dtype DType, o Conv2dOptions) FrozenConv2d {
	c := FrozenConv2d{freeze(weight, bias, Tensor{}, dtype)}
	c.options = o
	if o.Stride <= 2 && o.Padding == 1 && c.transform() {
		return c
	}
	if weight.Device().Type == CPU && dtype != Float32 {
		var out C.uint64_t
		check("frozen_conv2d", C.lt_frozen_adjoint(C.uint64_t(c.weight.h), C.int64_t(max(o.Stride, 1)), C.int64_t(o.Padding), &out))
		c.adjoint = Tensor{uint64(out)}
	}
	return c
}

// freeze has constants of dtype.
func freeze(weight, bias, skip Tensor, dtype DType) fastLayer {
	constant := func(t Tensor) Tensor {
		if t.Defined() {
			t = t.Detach().To(dtype)
		}
		return t
	}
	return fastLayer{weight: constant(weight), bias: constant(bias), skip: constant(skip)}
}

// transform makes the kernels for fastConv2d, and reports whether it can compute such a convolution.
func (l *fastLayer) transform() bool {
	words := l.words()
	check("frozen_conv2d", C.lt_fast_kernels(&words))
	l.forward, l.adjoint, l.skipForward, l.skipAdjoint = Tensor{uint64(words.forward)}, Tensor{uint64(words.adjoint)}, Tensor{uint64(words.skip_forward)}, Tensor{uint64(words.skip_adjoint)}
	return l.forward.Defined()
}

// Keep takes the layer's tensors out of all scopes. The caller must close it.
func (c FrozenConv2d) Keep() {
	for _, t := range []Tensor{c.weight, c.bias, c.forward, c.adjoint} {
		if t.Defined() {
			t.Keep()
		}
	}
}

// Close frees the tensors of a layer that was kept.
func (c FrozenConv2d) Close() {
	for _, t := range []Tensor{c.weight, c.bias, c.forward, c.adjoint} {
		t.Close()
	}
}

// Forward maps [n,in,h,w] to [n,out,h',w'].
func (c FrozenConv2d) Forward(x Tensor) Tensor {
	switch {
	case c.forward.Defined():
		if y := x.fastConv2d(Tensor{}, c.fastLayer); y.Defined() {
			return y
		}
	case c.adjoint.Defined():
		var out C.uint64_t
		check("frozen_conv2d", C.lt_frozen_conv2d(C.uint64_t(x.h), C.uint64_t(c.weight.h), C.uint64_t(c.bias.h), C.uint64_t(c.adjoint.h),
			C.int64_t(max(c.options.Stride, 1)), C.int64_t(c.options.Padding), C.int(boolWord(c.options.ReLU)), &out))
		return Tensor{uint64(out)}
	}
	return x.Conv2d(c.weight, c.bias, c.options)
}

// FrozenPooledConv2d is [Tensor.PooledConv2d] with constant weights, as FrozenConv2d is Conv2d.
type FrozenPooledConv2d struct {
	fastLayer
	conv, skipConv FrozenConv2d // instead, if fastConv2d cannot compute the layer
}

// NewFrozenPooledConv2d makes the layer, computed in dtype. weight: [out,in,3,3], bias: [out] or none. The layer may share memory with them:
// do not change them while it is used. It reads ReLU and SkipWeight of o. Forward takes the images of the skip connection.
func NewFrozenPooledConv2d(weight, bias Tensor, dtype DType, o PooledConv2dOptions) FrozenPooledConv2d {
	c := FrozenPooledConv2d{fastLayer: freeze(weight, bias, o.SkipWeight, dtype)}
	c.pooled, c.options.ReLU = true, o.ReLU
	if c.transform() {
		return c
	}
	c.conv = NewFrozenConv2d(fusePool(weight), bias, dtype, Conv2dOptions{Stride: 2, Padding: 1, ReLU: o.ReLU})
	if o.SkipWeight.Defined() {
		c.skipConv = NewFrozenConv2d(o.SkipWeight, Tensor{}, dtype, Conv2dOptions{})
	}
	return c
}

// Forward maps x: [n,in,h,w], and the images of the skip connection, [n,c,h,w] or none, to [n,out,h/2,w/2].
func (c FrozenPooledConv2d) Forward(x, skip Tensor) Tensor {
	if c.forward.Defined() {
		if y := x.fastConv2d(skip, c.fastLayer); y.Defined() {
			return y
		}
		return x.PooledConv2d(c.weight, c.bias, PooledConv2dOptions{ReLU: c.options.ReLU, Skip: skip, SkipWeight: c.skip})
	}
	checkSkip(skip, c.skip)
	return Tidy(func() Tensor {
		y := c.conv.Forward(x)
		if skip.Defined() {
			y.AddInPlace(c.skipConv.Forward(skip.AvgPool2d(2)), 1)
		}
		return y
	})
}
