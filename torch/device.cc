#include "guard.h"

// The devices, and what is switched off on them.

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/full.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "shim.h"

namespace {

using at::Tensor;
using liebm::guard;
using liebm::guarded_value;

Tensor waves(at::IntArrayRef shape, double by) {
  return at::arange(c10::multiply_integers(shape), at::kFloat).mul_(by).sin_().view(shape);
}

// 3×3 convolutions of two images, and their gradients.
std::vector<Tensor> convolutions() {
  constexpr int channels[][2] = {{3, 1}, {8, 24}, {12, 12}, {24, 8}};
  std::vector<Tensor> all;
  for (auto [in, out] : channels) {
    auto x = waves({2, in, 8, 8}, 0.7), w = waves({out, in, 3, 3}, 1.3), dy = waves({2, out, 8, 8}, 1.9);
    all.push_back(at::conv2d(x, w, {}, /*stride=*/1, /*padding=*/1));
    auto [dx, dw, none] = at::convolution_backward(dy, x, w, c10::nullopt, {1, 1}, {1, 1}, {1, 1}, /*transposed=*/false, {0, 0},
                                                   /*groups=*/1, std::array<bool, 3>{true, true, false});
    all.insert(all.end(), {dx, dw});
  }
  return all;
}

} // namespace

int lt_has_cuda(void) {
  return guarded_value(0, [] { return int(at::globalContext().hasCUDA()); });
}

char* lt_load_cuda(const char* path) {
  return guard([&] {
    if (!dlopen(path, RTLD_NOW | RTLD_GLOBAL)) throw std::runtime_error(dlerror());
  });
}

int lt_cuda_devices(void) {
  return guarded_value(0, [] { return lt_has_cuda() ? int(at::detail::getCUDAHooks().getNumGPUs()) : 0; });
}

// The CUDA runtime is what libtorch_cuda brought: nothing here links to it.
char* lt_cuda_refusal(void) {
  return guard([&] {
    auto count = reinterpret_cast<int (*)(int*)>(dlsym(RTLD_DEFAULT, "cudaGetDeviceCount"));
    auto text = reinterpret_cast<const char* (*)(int)>(dlsym(RTLD_DEFAULT, "cudaGetErrorString"));
    int n = 0, error = count && text ? count(&n) : 0;
    throw std::runtime_error(error ? std::string(text(error)) : "the CUDA runtime counts " + std::to_string(n) + " devices");
  });
}

char* lt_cuda_memory(int device, uint64_t* free_bytes, uint64_t* total_bytes) {
  return guard([&] {
    auto query = reinterpret_cast<int (*)(size_t*, size_t*)>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
    c10::DeviceGuard current(c10::Device(c10::kCUDA, c10::DeviceIndex(device)));
    size_t unused = 0, total = 0;
    if (!query || query(&unused, &total))
      throw std::runtime_error("the CUDA runtime does not tell the memory of device " + std::to_string(device));
    *free_bytes = unused;
    *total_bytes = total;
  });
}

char* lt_synchronize(int device) {
  return guard([&] { at::detail::getCUDAHooks().deviceSynchronize(c10::DeviceIndex(device)); });
}

char* lt_allow_tf32(int allow) {
  return guard([=] {
    at::globalContext().setAllowTF32CuBLAS(allow);
    at::globalContext().setAllowTF32CuDNN(allow);
  });
}

// oneDNN keeps channels in blocks, and the rest of the last block should be zero. oneDNN 3.6 of Debian
// 13 on AMD's Zen 5 does not clear it, and reports no error. The test fills memory with NaN first, so that
// a result that depends on the rest is NaN.
char* lt_check_onednn(int* wrong) {
  return guard([&] {
    auto& context = at::globalContext();
    *wrong = 0;
    if (!context.userEnabledMkldnn()) return;
    at::NoGradGuard no_grad;
    std::vector<Tensor> dirt;
    for (int64_t n = 16; n <= 64 << 10; n *= 2)
      for (int i = 0; i < 8; i++) dirt.push_back(at::full({n}, std::numeric_limits<float>::quiet_NaN()));
    dirt.clear();
    auto fast = convolutions();
    context.setUserEnabledMkldnn(false);
    auto plain = convolutions();
    bool right = std::equal(fast.begin(), fast.end(), plain.begin(),
                            [](auto& a, auto& b) { return at::allclose(a, b, /*rtol=*/1e-3, /*atol=*/1e-3); });
    context.setUserEnabledMkldnn(right);
    *wrong = !right;
  });
}
