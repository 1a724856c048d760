package torch

// Typed wrappers of the operators that liebm uses, in the order of PyTorch's documentation. The comment of each
// names the torch function that it calls; [Call] calls all other operators.

// Creation.

// Empty is torch.empty: uninitialised, on the CPU.
func Empty(shape []int, dtype DType) Tensor { return call1("aten::empty.memory_format", shape, dtype) }

// Zeros is torch.zeros, on the CPU.
func Zeros(shape []int, dtype DType) Tensor { return call1("aten::zeros", shape, dtype) }

// Ones is torch.ones, on the CPU.
func Ones(shape []int, dtype DType) Tensor { return call1("aten::ones", shape, dtype) }

// Full is torch.full, on the CPU.
func Full(shape []int, v float64, dtype DType) Tensor { return call1("aten::full", shape, v, dtype) }

// Scalar is a float32 tensor without dimensions, on the CPU.
func Scalar(v float64) Tensor { return call1("aten::scalar_tensor", v, Float32) }

// Arange is torch.arange(n): 0 … n−1 as int64, on the CPU.
func Arange(n int) Tensor { return call1("aten::arange", n, Int64) }

// Eye is torch.eye: the n×n identity, on the CPU.
func Eye(n int, dtype DType) Tensor { return call1("aten::eye", n, dtype) }

// EmptyLike is torch.empty_like.
func (t Tensor) EmptyLike() Tensor { return call1("aten::empty_like", t) }

// ZerosLike is torch.zeros_like.
func (t Tensor) ZerosLike() Tensor { return call1("aten::zeros_like", t) }

// OnesLike is torch.ones_like.
func (t Tensor) OnesLike() Tensor { return call1("aten::ones_like", t) }

// Type, device, layout.

// To is Tensor.to(dtype); t itself if it has that type already.
func (t Tensor) To(dtype DType) Tensor { return call1("aten::to.dtype", t, dtype) }

// ToDevice is Tensor.to(device). A copy from the CPU to a GPU goes through pinned memory, so that the GPU
// can work meanwhile.
func (t Tensor) ToDevice(d Device) Tensor {
	if d.Type == CUDA && !HasCUDA() {
		panic(&Error{Op: "aten::to.device", Shapes: brackets(t.Shape()), Msg: "to " + d.String() + ": " + WhyNoCUDA()})
	}
	if d.Type == CUDA && t.Device().Type == CPU {
		d.giveContext()
		return Tidy(func() Tensor { return call1("aten::to.device", t.Pin(), d, t.DType(), true) })
	}
	return call1("aten::to.device", t, d, t.DType(), d.Type == CUDA)
}

// Pin is Tensor.pin_memory: a copy in memory that GPUs can read directly. It needs CUDA.
func (t Tensor) Pin() Tensor { return call1("aten::pin_memory", t) }

// Contiguous is Tensor.contiguous(memory_format).
func (t Tensor) Contiguous(f MemoryFormat) Tensor { return call1("aten::contiguous", t, f) }

// Clone is Tensor.clone.
func (t Tensor) Clone() Tensor { return call1("aten::clone", t) }

// CloneAs is Tensor.clone(memory_format). Unlike Contiguous it also sets the strides of dimensions of
// length 1. libtorch chooses the memory format of results by the strides.
func (t Tensor) CloneAs(f MemoryFormat) Tensor { return call1("aten::clone", t, f) }

// Indexing, slicing, joining.

// Cat is torch.cat.
func Cat(ts []Tensor, dim int) Tensor { return call1("aten::cat", ts, dim) }

// Stack is torch.stack.
func Stack(ts []Tensor, dim int) Tensor { return call1("aten::stack", ts, dim) }

// Split is torch.split into pieces of these lengths.
func (t Tensor) Split(sizes []int, dim int) []Tensor {
	return callList("aten::split_with_sizes", t, sizes, dim)
}

// Chunk is torch.chunk.
func (t Tensor) Chunk(n, dim int) []Tensor { return callList("aten::chunk", t, n, dim) }

// Reshape is torch.reshape.
func (t Tensor) Reshape(shape ...int) Tensor { return call1("aten::reshape", t, shape) }

// Flatten is torch.flatten from dimension start.
func (t Tensor) Flatten(start int) Tensor { return call1("aten::flatten.using_ints", t, start) }

// Permute is torch.permute.
func (t Tensor) Permute(dims ...int) Tensor { return call1("aten::permute", t, dims) }

// Transpose is torch.transpose.
func (t Tensor) Transpose(a, b int) Tensor { return call1("aten::transpose.int", t, a, b) }

// T is the transposed matrix.
func (t Tensor) T() Tensor { return call1("aten::t", t) }

// Expand is Tensor.expand; −1 keeps a length.
func (t Tensor) Expand(shape ...int) Tensor { return call1("aten::expand", t, shape) }

// Unsqueeze is torch.unsqueeze.
func (t Tensor) Unsqueeze(dim int) Tensor { return call1("aten::unsqueeze", t, dim) }

// Squeeze is torch.squeeze of one dimension.
func (t Tensor) Squeeze(dim int) Tensor { return call1("aten::squeeze.dim", t, dim) }

// Narrow is torch.narrow: length elements of dim from start.
func (t Tensor) Narrow(dim, start, length int) Tensor {
	return call1("aten::narrow", t, dim, start, length)
}

// Select is torch.select.
func (t Tensor) Select(dim, i int) Tensor { return call1("aten::select.int", t, dim, i) }

// IndexSelect is torch.index_select.
func (t Tensor) IndexSelect(dim int, index Tensor) Tensor {
	return call1("aten::index_select", t, dim, index)
}

// Gather is torch.gather.
func (t Tensor) Gather(dim int, index Tensor) Tensor { return call1("aten::gather", t, dim, index) }

// Flip is torch.flip.
func (t Tensor) Flip(dims ...int) Tensor { return call1("aten::flip", t, dims) }

// Where is torch.where(cond, a, b).
func Where(cond, a, b Tensor) Tensor { return call1("aten::where.self", cond, a, b) }

// Pad is torch.nn.functional.pad with a constant; pads are (left, right, top, bottom, …).
func (t Tensor) Pad(v float64, pads ...int) Tensor {
	return call1("aten::constant_pad_nd", t, pads, v)
}

// Pointwise.

// Add is t + u.
func (t Tensor) Add(u Tensor) Tensor { return call1("aten::add.Tensor", t, u) }

// AddScaled is t + alpha·u: torch.add with alpha.
func (t Tensor) AddScaled(u Tensor, alpha float64) Tensor {
	return call1("aten::add.Tensor", t, u, alpha)
}

// AddScalar is t + v.
func (t Tensor) AddScalar(v float64) Tensor { return call1("aten::add.Scalar", t, v) }

// Sub is t − u.
func (t Tensor) Sub(u Tensor) Tensor { return call1("aten::sub.Tensor", t, u) }

// Mul is t · u, elementwise.
func (t Tensor) Mul(u Tensor) Tensor { return call1("aten::mul.Tensor", t, u) }

// MulScalar is t · v.
func (t Tensor) MulScalar(v float64) Tensor { return call1("aten::mul.Scalar", t, v) }

// Div is t / u, elementwise.
func (t Tensor) Div(u Tensor) Tensor { return call1("aten::div.Tensor", t, u) }

// DivScalar is t / v.
func (t Tensor) DivScalar(v float64) Tensor { return call1("aten::div.Scalar", t, v) }

// Neg is −t.
func (t Tensor) Neg() Tensor { return call1("aten::neg", t) }

// Abs is torch.abs.
func (t Tensor) Abs() Tensor { return call1("aten::abs", t) }

// Square is torch.square.
func (t Tensor) Square() Tensor { return t.Mul(t) }

// Sqrt is torch.sqrt.
func (t Tensor) Sqrt() Tensor { return call1("aten::sqrt", t) }

// Rsqrt is torch.rsqrt.
func (t Tensor) Rsqrt() Tensor { return call1("aten::rsqrt", t) }

// Exp is torch.exp.
func (t Tensor) Exp() Tensor { return call1("aten::exp", t) }

// Log is torch.log.
func (t Tensor) Log() Tensor { return call1("aten::log", t) }

// Floor is torch.floor.
func (t Tensor) Floor() Tensor { return call1("aten::floor", t) }

// Cos is torch.cos.
func (t Tensor) Cos() Tensor { return call1("aten::cos", t) }

// Pow is t to the power of v.
func (t Tensor) Pow(v float64) Tensor { return call1("aten::pow.Tensor_Scalar", t, v) }

// Remainder is torch.remainder: the result has v's sign.
func (t Tensor) Remainder(v float64) Tensor { return call1("aten::remainder.Scalar", t, v) }

// Clamp is torch.clamp.
func (t Tensor) Clamp(lo, hi float64) Tensor { return call1("aten::clamp", t, lo, hi) }

// Minimum is torch.minimum.
func (t Tensor) Minimum(u Tensor) Tensor { return call1("aten::minimum", t, u) }

// Maximum is torch.maximum.
func (t Tensor) Maximum(u Tensor) Tensor { return call1("aten::maximum", t, u) }

// LessScalar is t < v.
func (t Tensor) LessScalar(v float64) Tensor { return call1("aten::lt.Scalar", t, v) }

// GreaterEqual is t ≥ u, elementwise.
func (t Tensor) GreaterEqual(u Tensor) Tensor { return call1("aten::ge.Tensor", t, u) }

// EqualTo is t == u, elementwise.
func (t Tensor) EqualTo(u Tensor) Tensor { return call1("aten::eq.Tensor", t, u) }

// Reductions.

// Sum is the sum of all elements.
func (t Tensor) Sum() Tensor { return call1("aten::sum", t) }

// SumDim is torch.sum over these dimensions.
func (t Tensor) SumDim(dims ...int) Tensor { return call1("aten::sum.dim_IntList", t, dims) }

// SumKeepDim is torch.sum over these dimensions, which stay with length 1.
func (t Tensor) SumKeepDim(dims ...int) Tensor {
	return call1("aten::sum.dim_IntList", t, dims, true)
}

// Mean is the mean of all elements.
func (t Tensor) Mean() Tensor { return call1("aten::mean", t) }

// MeanDim is torch.mean over these dimensions.
func (t Tensor) MeanDim(dims ...int) Tensor { return call1("aten::mean.dim", t, dims) }

// MeanKeepDim is torch.mean over these dimensions, which stay with length 1.
func (t Tensor) MeanKeepDim(dims ...int) Tensor { return call1("aten::mean.dim", t, dims, true) }

// Norm is the Euclidean norm over these dimensions: torch.linalg.vector_norm.
func (t Tensor) Norm(dims ...int) Tensor { return call1("aten::linalg_vector_norm", t, 2, dims) }

// Max is the greatest element.
func (t Tensor) Max() Tensor { return call1("aten::max", t) }

// Min is the smallest element.
func (t Tensor) Min() Tensor { return call1("aten::min", t) }

// MaxDim is torch.amax over these dimensions.
func (t Tensor) MaxDim(dims ...int) Tensor { return call1("aten::amax", t, dims) }

// MinDim is torch.amin over these dimensions.
func (t Tensor) MinDim(dims ...int) Tensor { return call1("aten::amin", t, dims) }

// ArgMax is torch.argmax over one dimension.
func (t Tensor) ArgMax(dim int) Tensor { return call1("aten::argmax", t, dim) }

// Equal reports whether shapes and all elements agree: torch.equal.
func (t Tensor) Equal(u Tensor) bool { return Call("aten::equal", t, u)[0].(bool) }

// Linear algebra.

// Diagonal is the diagonal of a matrix.
func (t Tensor) Diagonal() Tensor { return call1("aten::diagonal", t) }

// Matmul is torch.matmul.
func (t Tensor) Matmul(u Tensor) Tensor { return call1("aten::matmul", t, u) }

// Networks.

// Conv2dOptions of [Tensor.Conv2d]. The zero value is PyTorch's default.
type Conv2dOptions struct {
	Stride  int // 0 means 1
	Padding int
	ReLU    bool // convolve max(t, 0)
}

// Conv2d is torch.nn.functional.conv2d. t: [n,in,h,w], weight: [out,in,k,k], bias: [out] or none. Some 3×3 convolutions of float32 in
// NHWC with padding 1 are not computed by libtorch on a CPU with AVX2. If both numbers of channels are multiples of 16, Winograd's
// algorithm computes them, also those with stride 2 if height and width are even. With stride 1, another algorithm computes them if one
// number of channels is a multiple of 16 and the other is less than 8: see fastconv.h.
func (t Tensor) Conv2d(weight, bias Tensor, o Conv2dOptions) Tensor {
	if o.Stride <= 2 && o.Padding == 1 {
		if y := t.fastConv2d(Tensor{}, fastLayer{weight: weight, bias: bias, options: o}); y.Defined() {
			return y
		}
	}
	conv := func(x Tensor) Tensor { return call1("aten::conv2d", x, weight, bias, max(o.Stride, 1), o.Padding) }
	if o.ReLU {
		return Tidy(func() Tensor { return conv(t.ReLU()) })
	}
	return conv(t)
}

// Linear is torch.nn.functional.linear: t·Wᵀ + b. t: [n,in], weight: [out,in], bias: [out] or none.
func (t Tensor) Linear(weight, bias Tensor) Tensor { return call1("aten::linear", t, weight, bias) }

// AvgPool2d is torch.nn.functional.avg_pool2d with stride k. t: [n,c,h,w] → [n,c,h/k,w/k].
func (t Tensor) AvgPool2d(k int) Tensor { return call1("aten::avg_pool2d", t, k, k) }

// MovingAverage2d is torch.nn.functional.avg_pool2d with stride 1 and zeros as padding.
func (t Tensor) MovingAverage2d(k, padding int) Tensor {
	return call1("aten::avg_pool2d", t, k, 1, padding)
}

// MaxPool2d is torch.nn.functional.max_pool2d.
func (t Tensor) MaxPool2d(k, stride, padding int) Tensor {
	return call1("aten::max_pool2d", t, k, stride, padding)
}

// UpsampleBilinear2d is torch.nn.functional.interpolate(scale 2, bilinear, align_corners=True).
func (t Tensor) UpsampleBilinear2d() Tensor {
	info := t.info("aten::upsample_bilinear2d")
	return call1("aten::upsample_bilinear2d", t, []int{2 * int(info[9]), 2 * int(info[10])}, true)
}

// GridSampleBicubic is torch.nn.functional.grid_sample(bicubic, border, align_corners=False).
// t: [n,c,h,w], grid: [n,h',w',2] in [−1,1] → [n,c,h',w'].
func (t Tensor) GridSampleBicubic(grid Tensor) Tensor {
	const bicubic, border = 2, 1
	return call1("aten::grid_sampler_2d", t, grid, bicubic, border, false)
}

// BatchNorm is torch.nn.functional.batch_norm. With training it normalises by the batch's statistics and
// updates the running statistics, if given, with momentum.
func (t Tensor) BatchNorm(weight, bias, runningMean, runningVar Tensor, training bool, momentum, eps float64) Tensor {
	return call1("aten::batch_norm", t, weight, bias, runningMean, runningVar, training, momentum, eps, false)
}

// ReLU is torch.nn.functional.relu.
func (t Tensor) ReLU() Tensor { return call1("aten::relu", t) }

// LeakyReLU is torch.nn.functional.leaky_relu.
func (t Tensor) LeakyReLU(slope float64) Tensor { return call1("aten::leaky_relu", t, slope) }

// Tanh is torch.tanh.
func (t Tensor) Tanh() Tensor { return call1("aten::tanh", t) }

// LogSoftmax is torch.nn.functional.log_softmax.
func (t Tensor) LogSoftmax(dim int) Tensor { return call1("aten::log_softmax.int", t, dim) }

// CrossEntropy is torch.nn.functional.cross_entropy, the mean over the batch. logits: [n,k],
// classes: int64 [n].
func (t Tensor) CrossEntropy(classes Tensor) Tensor {
	return call1("aten::cross_entropy_loss", t, classes)
}

// CosineSimilarity is torch.nn.functional.cosine_similarity over dimension 1: [n,d] × [n,d] → [n].
func (t Tensor) CosineSimilarity(y Tensor) Tensor { return call1("aten::cosine_similarity", t, y) }

// Normalize is torch.nn.functional.normalize over dimension 1: each row divided by its norm.
func (t Tensor) Normalize() Tensor {
	return Tidy(func() Tensor {
		return t.Div(call1("aten::clamp_min", call1("aten::linalg_vector_norm", t, 2, 1, true), 1e-12))
	})
}

// In place. These change t and return nothing. Autograd must not need the old value of t.

// CopyFrom is t.copy_(u), which converts type and device.
func (t Tensor) CopyFrom(u Tensor) { call0("aten::copy_", t, u) }

// ZeroInPlace is t.zero_().
func (t Tensor) ZeroInPlace() { call0("aten::zero_", t) }

// AddInPlace is t.add_(u, alpha).
func (t Tensor) AddInPlace(u Tensor, alpha float64) { call0("aten::add_.Tensor", t, u, alpha) }

// MulInPlace is t.mul_(v).
func (t Tensor) MulInPlace(v float64) { call0("aten::mul_.Scalar", t, v) }

// LerpInPlace is t.lerp_(u, weight): t becomes t + weight·(u − t).
func (t Tensor) LerpInPlace(u Tensor, weight float64) { call0("aten::lerp_.Scalar", t, u, weight) }

// ReLUInPlace is t.relu_().
func (t Tensor) ReLUInPlace() { call0("aten::relu_", t) }

// NormalInPlace is t.normal_(0, std).
func (t Tensor) NormalInPlace(std float64, rng *RNG) { call0("aten::normal_", t, 0.0, std, rng) }

// UniformInPlace is t.uniform_(lo, hi).
func (t Tensor) UniformInPlace(lo, hi float64, rng *RNG) { call0("aten::uniform_", t, lo, hi, rng) }
