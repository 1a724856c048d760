// Convolutions for which libtorch has slow kernels. Errors are texts as in shim.h.
#ifndef LIEBM_TORCH_CONV_H
#define LIEBM_TORCH_CONV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The tensors of a convolution with a 3×3 kernel and padding 1. 0 is none.
typedef struct {
  uint64_t weight, bias;                                 // [out,in,3,3], [out]
  uint64_t skip;                                         // weight of a skip connection, with pooled: [out,c,1,1]
  uint64_t forward, adjoint, skip_forward, skip_adjoint; // what lt_fast_kernels makes of constant weights
  int pooled;                                            // a 2x2 average comes after it
  int stride;                                            // 1 or 2; 1 with pooled
  int relu;                                              // it reads ReLU of x
} lt_fast_layer;

// The convolution by fastconv.h, plus that of the 2x2 averages of skip. out is 0 if it cannot compute these tensors.
char* lt_fast_conv2d(uint64_t x, uint64_t skip, lt_fast_layer layer, uint64_t* out);

// Makes the kernels of constant weights, if lt_fast_conv2d can use these weights.
char* lt_fast_kernels(lt_fast_layer* layer);

// The kernel for the gradient of a convolution by weight, to be made once.
char* lt_frozen_adjoint(uint64_t weight, int64_t stride, int64_t padding, uint64_t* out);

// conv2d, of ReLU of x if relu. bias may be 0, adjoint is that of weight.
char* lt_frozen_conv2d(uint64_t x, uint64_t weight, uint64_t bias, uint64_t adjoint, int64_t stride, int64_t padding,
                       int relu, uint64_t* out);

#ifdef __cplusplus
}
#endif
#endif
