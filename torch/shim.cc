#include "guard.h"

#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Formatting.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include <cstring>
#include <sstream>

#include "scope.h"

using at::Tensor;
using liebm::get;
using liebm::guard;
using liebm::make_handle;
using liebm::require_scope;
using liebm::shape_of;
using liebm::shapes_of_handles;
using liebm::tensors;

char* lt_grad(const uint64_t* outputs, int64_t nout, const uint64_t* grads, const uint64_t* inputs, int64_t nin,
              int retain_graph, int create_graph, uint64_t* results) {
  return guard(
      [&] {
        require_scope();
        std::vector<Tensor> seeds;
        if (grads) seeds = tensors(grads, nout);
        auto g = torch::autograd::grad(tensors(outputs, nout), tensors(inputs, nin), seeds,
                                       bool(retain_graph || create_graph), bool(create_graph), /*allow_unused=*/true);
        for (int64_t i = 0; i < nin; i++) results[i] = make_handle(std::move(g[i]));
      },
      [&] { return shapes_of_handles(outputs, nout) + " by " + shapes_of_handles(inputs, nin); });
}

char* lt_backward(uint64_t loss, int retain_graph) {
  return guard([&] { torch::autograd::backward({get(loss)}, {}, bool(retain_graph)); }, [&] { return shape_of(loss); });
}

char* lt_leaf(uint64_t t, int requires_grad, uint64_t* out) {
  return guard([&] {
    require_scope();
    auto alias = get(t).detach();
    alias.set_requires_grad(requires_grad);
    *out = make_handle(std::move(alias));
  }, [&] { return shape_of(t); });
}

char* lt_grad_of(uint64_t t, uint64_t* out) {
  return guard([&] {
    require_scope();
    *out = make_handle(get(t).grad());
  }, [&] { return shape_of(t); });
}

char* lt_clear_grad(uint64_t t) {
  return guard([&] { get(t).mutable_grad().reset(); }, [&] { return shape_of(t); });
}

int lt_grad_mode(int enabled) {
  int before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(enabled);
  return before;
}

char* lt_from_data(const void* data, int dtype, const int64_t* sizes, int64_t dim, uint64_t* out) {
  return guard([&] {
    require_scope();
    auto t = at::empty(at::IntArrayRef(sizes, dim), at::TensorOptions().dtype(at::ScalarType(dtype)));
    std::memcpy(t.data_ptr(), data, t.nbytes());
    *out = make_handle(std::move(t));
  });
}

char* lt_to_data(uint64_t h, void* data, int64_t nbytes) {
  return guard([&] {
    auto t = get(h).detach().to(at::kCPU).contiguous();
    if (int64_t(t.nbytes()) != nbytes)
      throw std::runtime_error("it holds " + std::to_string(t.nbytes()) + " bytes, the destination " + std::to_string(nbytes));
    std::memcpy(data, t.data_ptr(), nbytes);
  }, [&] { return shape_of(h); });
}

char* lt_info(uint64_t h, int64_t info[7 + 64]) {
  return guard([&] {
    const Tensor& t = get(h);
    if (t.dim() > 64) throw std::runtime_error("more than 64 dimensions");
    info[0] = int64_t(t.scalar_type());
    info[1] = int64_t(uint64_t(uint8_t(t.device().type())) << 32 | uint32_t(int32_t(t.device().index())));
    info[2] = t.requires_grad();
    info[3] = t.numel();
    info[4] = int64_t(t.element_size());
    info[5] = t.dim() == 4 && t.is_contiguous(at::MemoryFormat::ChannelsLast);
    info[6] = t.dim();
    for (int64_t i = 0; i < t.dim(); i++) info[7 + i] = t.size(i);
  }, [&] { return shape_of(h); });
}

char* lt_string(uint64_t h, char** text) {
  return guard([&] {
    std::ostringstream s;
    at::print(s, get(h), 120);
    *text = strdup(s.str().c_str());
  }, [&] { return shape_of(h); });
}

char* lt_from_pointer(const void* tensor, uint64_t* out) {
  return guard([&] {
    require_scope();
    *out = tensor ? make_handle(*static_cast<const Tensor*>(tensor)) : 0;
  });
}

char* lt_new_pointer(uint64_t h, void** tensor) {
  return guard([&] { *tensor = new Tensor(get(h)); }, [&] { return shape_of(h); });
}

void lt_free_pointer(void* tensor) { delete static_cast<Tensor*>(tensor); }

int lt_dtypes(void) { return int(c10::ScalarType::NumOptions); }

void lt_tune_malloc(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20); // the most that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 4 << 20);
#endif
}

// Autocast's interface took the device as an argument from 2.4 on.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
char* lt_autocast(int device, int enabled, int dtype, int* before, int* dtype_before) {
  return guard([&] {
    auto d = c10::DeviceType(device);
    *before = at::autocast::is_autocast_enabled(d);
    *dtype_before = int(at::autocast::get_autocast_dtype(d));
    at::autocast::set_autocast_enabled(d, enabled);
    at::autocast::set_autocast_dtype(d, at::ScalarType(dtype));
    if (!enabled) at::autocast::clear_cache();
  });
}
#else
char* lt_autocast(int device, int enabled, int dtype, int* before, int* dtype_before) {
  return guard([&] {
    if (c10::DeviceType(device) == c10::kCUDA) {
      *before = at::autocast::is_enabled();
      *dtype_before = int(at::autocast::get_autocast_gpu_dtype());
      at::autocast::set_enabled(enabled);
      at::autocast::set_autocast_gpu_dtype(at::ScalarType(dtype));
    } else {
      *before = at::autocast::is_cpu_enabled();
      *dtype_before = int(at::autocast::get_autocast_cpu_dtype());
      at::autocast::set_cpu_enabled(enabled);
      at::autocast::set_autocast_cpu_dtype(at::ScalarType(dtype));
    }
    if (!enabled) at::autocast::clear_cache();
  });
}
#endif

char* lt_config(char** text) {
  return guard([&] { *text = strdup((at::show_config() + at::get_parallel_info()).c_str()); });
}

const char* lt_header_version(void) { return TORCH_VERSION; }

int lt_blas_threads(int n) {
  auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  auto parallel = reinterpret_cast<int (*)(void)>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  constexpr int own_threads = 1; // 0: none, 2: OpenMP's
  if (!set || !parallel || parallel() != own_threads) return -1;
  set(n);
  return 0;
}

const char* lt_blas_name(void) {
  auto config = reinterpret_cast<char* (*)(void)>(dlsym(RTLD_DEFAULT, "openblas_get_config"));
  return config ? config() : "not OpenBLAS, or not visible";
}

const char* lt_library_path(void) {
  Dl_info info;
  auto symbol = reinterpret_cast<void*>(&at::get_num_threads);
  return dladdr(symbol, &info) && info.dli_fname ? info.dli_fname : "unknown";
}
