// Convolutions of float32 by fewer multiplications than their kernel has taps. This file knows nothing of libtorch.
#ifndef LIEBM_TORCH_WINOGRAD_H
#define LIEBM_TORCH_WINOGRAD_H

#include <cstdint>

namespace liebm {

// The algorithms of Winograd (1980) and Lavin and Gray (2016). They cut an image into tiles. The patch of a tile, and the kernel, are
// transformed by additions. Then the matrix product of [tiles,in] and [in,out] for each place of the transformed patch does what the
// taps of the kernel do, and additions make the outputs of the tile. The largest rounding errors are about those of oneDNN's sums.
enum class Fast {
  conv,    // 3×3 kernel, padding 1: 36 products for 4×4 outputs, in place of 144
  pooled,  // the same with a 2×2 average after it: 25 products for 2×2 outputs, in place of 64 of a 4×4 kernel with stride 2
  adjoint, // the gradient of pooled in its input: 36 products for 4×4 outputs, in place of 64
};

// Whether the CPU has AVX2 and FMA, and both numbers of channels are multiples of 16.
bool fast_possible(int64_t in, int64_t out);

// The products of a tile. A transformed kernel has fast_products·in·out floats.
int64_t fast_products(Fast kind);

// Transforms w: [3,3,in,out]. For adjoint, w is the weight of pooled with its channels swapped: in are the outputs of pooled.
void fast_kernel(Fast kind, const float* w, int64_t in, int64_t out, float* kernel, int threads);

// x: [n,h,w,in] → y: [n,h,w,out]; pooled [n,h/2,w/2,out], adjoint [n,2h,2w,out].
struct FastConv {
  Fast kind;
  const float* x;
  int64_t n, h, w, in;
  const float* kernel; // of fast_kernel
  const float* bias;   // [out], or null
  int64_t out;
  bool relu; // of the result
  float* y;
};

// The result does not depend on the number of threads.
void fast_conv(const FastConv& c, int threads);

// The gradient of a conv or pooled in w, whose layout is that of fast_kernel. y is the gradient in the result; kernel and bias are not read.
void fast_kernel_gradient(const FastConv& c, float* w, int threads);

} // namespace liebm

#endif
