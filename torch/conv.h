// Convolutions for which libtorch has slow kernels. Errors are texts as in shim.h.
#ifndef LIEBM_TORCH_CONV_H
#define LIEBM_TORCH_CONV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether lt_conv2d_to_few is faster than conv2d, by the numbers of output and input channels.
int lt_few_channels(int64_t out, int64_t in);

// conv2d with stride 1, fast if it has few output channels. bias may be 0.
char* lt_conv2d_to_few(uint64_t x, uint64_t weight, uint64_t bias, int64_t padding, uint64_t* out);

// A 3×3 convolution with padding 1, and a 2×2 average after it if pooled, by winograd.h. bias may be 0. out is 0 if it cannot
// compute these tensors.
char* lt_fast_conv2d(uint64_t x, uint64_t weight, uint64_t bias, int pooled, uint64_t* out);

// The transformed kernels of lt_fast_frozen and of its gradient; 0 if it cannot compute this weight.
char* lt_fast_kernels(uint64_t weight, int pooled, uint64_t* forward, uint64_t* adjoint);

// lt_fast_conv2d of a constant weight, then ReLU if relu, also for images in NCHW.
char* lt_fast_frozen(uint64_t x, uint64_t weight, uint64_t bias, uint64_t forward, uint64_t adjoint, int pooled, int relu, uint64_t* out);

// The kernel for the gradient of a convolution by weight, to be made once.
char* lt_frozen_adjoint(uint64_t weight, int64_t stride, int64_t padding, uint64_t* out);

// conv2d, then ReLU if relu. bias may be 0, adjoint is that of weight.
char* lt_frozen_conv2d(uint64_t x, uint64_t weight, uint64_t bias, uint64_t adjoint, int64_t stride, int64_t padding,
                       int relu, uint64_t* out);

#ifdef __cplusplus
}
#endif
#endif
