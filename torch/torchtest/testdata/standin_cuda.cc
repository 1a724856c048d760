// A libtorch_cuda.so whose two GPUs are made of the CPU's memory: it registers what a CUDA build of
// libtorch registers, and computes every operator by its CPU kernel. What a GPU would refuse it refuses
// too: tensors of several devices in one operator. So a program's use of devices can be tested without
// a GPU. (No kernel of a GPU, no stream and no cuDNN is.)
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <torch/version.h>

#include <cstdlib>
#include <utility>

#define STANDIN_TORCH_2 (TORCH_VERSION_MAJOR >= 2)

namespace {

using at::Device;
using at::Tensor;
using c10::IValue;

thread_local c10::DeviceIndex current = 0;

// Memory is the CPU's under another name.
struct Memory final : c10::Allocator {
#if STANDIN_TORCH_2
  c10::DataPtr allocate(size_t n) override { return make(n); }
  void copy_data(void* to, const void* from, size_t n) const override { default_copy_data(to, from, n); }
#else
  c10::DataPtr allocate(size_t n) const override { return make(n); }
#endif
  static c10::DataPtr make(size_t n) {
    void* p = n ? std::aligned_alloc(64, (n + 63) / 64 * 64) : nullptr;
    return {p, p, &std::free, Device(c10::kCUDA, current)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
};
Memory memory;
REGISTER_ALLOCATOR(c10::kCUDA, &memory);

// Guard knows a current device and one stream of each, which is always done.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  Device exchangeDevice(Device d) const override {
    Device before = getDevice();
    setDevice(d);
    return before;
  }
  Device getDevice() const override { return {c10::kCUDA, current}; }
  void setDevice(Device d) const override { current = d.index() < 0 ? 0 : d.index(); }
  void uncheckedSetDevice(Device d) const noexcept override { setDevice(d); }
  c10::Stream getStream(Device d) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, d); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return 2; }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard);

// as is t's memory as a tensor of another device. It keeps t's storage alive.
Tensor as(const Tensor& t, Device device) {
  auto* owner = new c10::Storage(t.storage());
  c10::DataPtr data{const_cast<void*>(static_cast<const void*>(t.storage().data_ptr().get())), owner,
                    [](void* p) { delete static_cast<c10::Storage*>(p); }, device};
  c10::Storage storage(c10::Storage::use_byte_size_t(), t.storage().nbytes(), std::move(data), c10::GetAllocator(device.type()), true);
  auto key = device.is_cuda() ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU;
  auto out = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), t.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides());
  out.unsafeGetTensorImpl()->set_storage_offset(t.storage_offset());
  return out;
}

// A call is one operator's arguments on the way to the CPU and its results on the way back.
struct Call {
  std::string name;
  Device device{c10::kCUDA, current};
  bool known = false;
  std::vector<std::pair<Tensor, Tensor>> inputs; // the GPU's, its CPU alias

  Tensor down(const Tensor& t) {
    if (!t.defined() || !t.is_cuda()) {
      // A number may come from the CPU, and advanced indexing takes its indices from there.
      bool indexing = name == "aten::index" || name == "aten::index_put_" || name == "aten::_index_put_impl_";
      TORCH_CHECK(!t.defined() || t.dim() == 0 || indexing, name,
                  ": Expected all tensors to be on the same device, but found at least two devices, cuda and cpu!");
      return t;
    }
    TORCH_CHECK(!known || t.device() == device, name, ": Expected all tensors to be on the same device, but found ", device, " and ", t.device(), "!");
    device = t.device(), known = true;
    inputs.emplace_back(t, as(t, c10::kCPU));
    return inputs.back().second;
  }
  Tensor up(const Tensor& t) {
    if (!t.defined()) return t;
    for (auto& [gpu, cpu] : inputs)
      if (cpu.is_same(t)) return gpu;
    return as(t, device);
  }
  template <class F>
  IValue walk(const IValue& v, F f) {
    if (v.isTensor()) return f(v.toTensor());
    if (v.isTensorList()) {
      std::vector<Tensor> out;
      for (const Tensor& t : v.toTensorVector()) out.push_back(f(t));
      return out;
    }
    if (v.isOptionalTensorList()) {
      c10::List<c10::optional<Tensor>> out;
      for (const c10::optional<Tensor>& t : v.toOptionalTensorList()) out.push_back(t ? c10::optional<Tensor>(f(*t)) : c10::nullopt);
      return out;
    }
    return v;
  }
};

void by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call call{op.schema().name()};
  size_t n = op.schema().arguments().size();
  std::vector<IValue> args(stack->end() - int64_t(n), stack->end());
  stack->resize(stack->size() - n);
  torch::jit::Stack inner;
  for (auto& v : args) {
    if (v.isDevice() && v.toDevice().is_cuda()) {
      call.device = v.toDevice().has_index() ? v.toDevice() : Device(c10::kCUDA, current);
      inner.push_back(Device(c10::kCPU));
    } else {
      inner.push_back(call.walk(v, [&](const Tensor& t) { return call.down(t); }));
    }
  }
  op.callBoxed(&inner);
  for (auto& v : inner) stack->push_back(call.walk(v, [&](const Tensor& t) { return call.up(t); }));
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&by_cpu>()); }

Tensor cpu_of(const Tensor& t) { return t.is_cuda() ? as(t, c10::kCPU) : t; }

Tensor& copy_(Tensor& to, const Tensor& from, bool) {
  cpu_of(to).copy_(cpu_of(from));
  return to;
}
bool is_pinned(const Tensor&, c10::optional<Device>) { return false; }
Tensor pin(const Tensor& t, c10::optional<Device>) { return t.clone(); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("copy_", copy_);
  m.impl("is_pinned", is_pinned);
  m.impl("_pin_memory", pin);
}

} // namespace

namespace at {

struct CUDAHooks : CUDAHooksInterface { // libtorch looks for this name
  explicit CUDAHooks(CUDAHooksArgs) {}
  bool hasCUDA() const override { return true; }
  decltype(std::declval<const CUDAHooksInterface&>().getNumGPUs()) getNumGPUs() const override { return 2; }
  std::string showConfig() const override { return ""; }
  bool isBuilt() const { return true; } // these three are virtual where they exist
  bool isAvailable() const { return true; }
  DeviceIndex deviceCount() const { return 2; }
#if STANDIN_TORCH_2
  void init() const override {}
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  const Generator& getDefaultGenerator(DeviceIndex) const override { return generator(); }
  void deviceSynchronize(DeviceIndex) const override {}
  bool isPinnedPtr(const void*) const override { return false; }
  Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(kCPU); }
#else
  void initCUDA() const override {}
  bool hasPrimaryContext(int64_t) const override { return true; }
  const Generator& getDefaultCUDAGenerator(DeviceIndex) const override { return generator(); }
  void deviceSynchronize(int64_t) const override {}
#endif
  static const Generator& generator() {
    static Generator g = detail::createCPUGenerator(); // its CPU kernels draw from it
    return g;
  }
};

REGISTER_CUDA_HOOKS(CUDAHooks);

} // namespace at
