// A libtorch_cuda.so of two GPUs that no operator can use: what a CUDA build of libtorch registers when
// it is loaded, and no more. cuda_test.go puts it beside a libtorch without one.
#include <ATen/detail/CUDAHooksInterface.h>

#include <utility>

namespace at {

struct CUDAHooks : CUDAHooksInterface { // libtorch looks for this name
  explicit CUDAHooks(CUDAHooksArgs) {}
  bool hasCUDA() const override { return true; }
  decltype(std::declval<const CUDAHooksInterface&>().getNumGPUs()) getNumGPUs() const override { return 2; }
  std::string showConfig() const override { return ""; }
};

REGISTER_CUDA_HOOKS(CUDAHooks);

} // namespace at
