//go:build !libtorch_pinned

#if !__has_include(<ATen/core/Tensor.h>) || !__has_include(<torch/csrc/autograd/variable.h>) || !__has_include(<c10/core/Device.h>)
#error libtorch is missing: run 'apt install libtorch-dev', or build with 'make build LIBTORCH=/path'
#endif
