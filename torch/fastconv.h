// Convolutions of float32 that are faster than libtorch's. This file knows nothing of libtorch.
#ifndef LIEBM_TORCH_FASTCONV_H
#define LIEBM_TORCH_FASTCONV_H

#include <cstdint>

namespace liebm {

// Algorithms for a convolution with a 3×3 kernel and padding 1.
//
// The first five are those of Winograd (1980) and Lavin and Gray (2016). They cut an image into tiles. The patch of a tile, and the
// kernel, are transformed by additions. Then the matrix product of [tiles,in] and [in,out] for each place of the transformed patch does
// what the taps of the kernel do, and additions make the outputs of the tile. The largest rounding errors are about those of oneDNN's
// sums.
enum class Fast {
  conv,            // 36 products for 4×4 outputs, in place of 144
  pooled,          // with a 2×2 average after it: 25 products for 2×2 outputs, in place of 64 of a 4×4 kernel with stride 2
  adjoint,         // the gradient of pooled in its input: 36 products for 4×4 outputs, in place of 64
  strided,         // with stride 2: 25 products for 2×2 outputs, in place of 36
  strided_adjoint, // the gradient of strided in its input: 25 products for 4×4 outputs, in place of 36
  from_few,        // from images of few channels, by direct sums
  to_few,          // to images of few channels: a matrix product gives each pixel's share in its neighbours, which are added up
  none,
};

// The algorithm for a convolution of kind conv, pooled or strided from in to out channels. It is none if the CPU lacks AVX2 or FMA, or if
// no algorithm fits: both numbers of channels are multiples of 16, or with conv one is and the other is less than 8.
Fast fast_kind(int64_t in, int64_t out, Fast kind);

// The algorithm for the gradient in the input.
Fast fast_adjoint(Fast kind);

// The size of a transformed kernel, in floats.
int64_t fast_kernel_size(Fast kind, int64_t in, int64_t out);

// A weight, and the distances in memory from a tap, an input channel and an output channel to the next. in or out is 1.
struct FastWeight {
  const float* w;
  int64_t row, column, in, out;
};

// Transforms w. For an adjoint, w is the weight of pooled or strided with its channels swapped: its inputs are the outputs of that.
void fast_kernel(Fast kind, const FastWeight& w, int64_t in, int64_t out, float* kernel, int threads);

// x: [n,h,w,in] → y: [n,h,w,out]; pooled and strided [n,h/2,w/2,out], their adjoints [n,2h,2w,out].
struct FastConv {
  Fast kind;
  const float* x;
  int64_t n, h, w, in;
  const float* kernel; // of fast_kernel
  int64_t out;
  float* y;
  const float* bias = nullptr; // [out], or null
  bool relu = false;           // the convolution reads ReLU of x
  const float* mask = nullptr; // as y, or null: y is 0 where mask is not above 0
  // pooled adds the averages of 2×2 pixels of skip, if it is not null, by a 1×1 convolution.
  const float* skip = nullptr;        // [n,h,w,skip_in]
  const float* skip_kernel = nullptr; // of skip_kernel
  int64_t skip_in = 0;
};

// The result does not depend on the number of threads.
void fast_conv(const FastConv& c, int threads);

// The gradient of a conv, pooled or strided in w: [3,3,in,out]. y is the gradient in the result; kernel and bias are not read.
void fast_kernel_gradient(const FastConv& c, float* w, int threads);

// The size of the kernel that skip_kernel makes, in floats.
int64_t skip_kernel_size(int64_t in, int64_t out);

// Makes a quarter of w: [in,out], in blocks of 16 columns with zeros after the last: the sum of 2×2 pixels times it is the 1×1 convolution
// of their average.
void skip_kernel(const float* w, int64_t in, int64_t out, float* kernel);

// The gradient of a pooled in skip: kernel is that of [out,in], the transposed weight.
struct SkipGradient {
  const float* y;     // gradient in the result: [n,h,w,out]
  int64_t n, h, w, out;
  const float* kernel; // of skip_kernel
  int64_t in;
  float* x; // [n,2h,2w,in]
};

void skip_gradient(const SkipGradient& s, int threads);

// The parts of fast_kernel and fast_conv for from_few and to_few, in few.cc.
void few_kernel(Fast kind, const FastWeight& w, int64_t in, int64_t out, float* kernel);
void few_conv(const FastConv& c, int threads);

} // namespace liebm

#endif
