// Convolution by a constant weight. Errors are texts as in shim.h.
#ifndef LIEBM_TORCH_FROZEN_H
#define LIEBM_TORCH_FROZEN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The kernel for the gradient of a convolution by weight, to be made once.
char* lt_frozen_adjoint(uint64_t weight, int64_t stride, int64_t padding, uint64_t* out);

// conv2d, then ReLU if relu. bias may be 0, adjoint is that of weight.
char* lt_frozen_conv2d(uint64_t x, uint64_t weight, uint64_t bias, uint64_t adjoint, int64_t stride, int64_t padding,
                       int relu, uint64_t* out);

#ifdef __cplusplus
}
#endif
#endif
