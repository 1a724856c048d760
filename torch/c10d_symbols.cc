#include "guard.h"

// Gloo's and NCCL's process groups. Their headers include those of Gloo and NCCL, which no libtorch ships,
// and a direct reference to NCCL's would tie the binary to CUDA. So this file finds their constructors
// by their mangled names at run time and uses the objects through their base class. It assumes:
//
//   - The mangled names below are those of libtorch 1.13 to 2.14. A name that is missing is an error that
//     says so, not a crash.
//   - An object takes at most kRoom bytes.
//   - The base class is the object's first base, so that a pointer to the memory is a pointer to the base,
//     and its destructor is virtual.
//   - ProcessGroupGloo::Options continues the base class as GlooOptions does: devices, then threads.
//   - std::shared_ptr<gloo::transport::Device> has the layout of std::shared_ptr<void>.
//   - A C++ function returns a std::shared_ptr by the same convention whatever its type.
//
// distributed_test.go joins groups and reduces; third_party/matrix.sh runs it with several versions.

#include "c10d_symbols.h"

#include <dlfcn.h>

#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace liebm {
namespace {

using std::chrono::milliseconds;

template <class F>
F symbol(std::initializer_list<const char*> names) {
  for (auto name : names)
    if (auto found = dlsym(RTLD_DEFAULT, name)) return reinterpret_cast<F>(found);
  return nullptr;
}

using Construct = void (*)(void* self, const StorePtr&, int rank, int world,
                           c10::intrusive_ptr<Backend::Options>);

constexpr size_t kRoom = 64 << 10; // many times the largest of these objects

// placed constructs an object in memory of kRoom bytes. Its own delete would free as many bytes as its
// type has, so delete must never run: the object counts its references like one that is not on the
// heap. End calls its virtual destructor and frees the memory.
template <class T, class F>
Placed<T> placed(F construct) {
  void* room = ::operator new(kRoom);
  try {
    construct(room);
  } catch (...) {
    ::operator delete(room);
    throw;
  }
  return Placed<T>(c10::intrusive_ptr<T>::unsafe_adapt_non_heap_allocated(static_cast<T*>(room), /*expected_decrefs=*/1).release());
}

// begin constructs the backend for the options of reducer.
Reducer begin(Placed<Backend::Options> options, Construct construct, const StorePtr& store, int rank, int world) {
  auto shared = c10::intrusive_ptr<Backend::Options>::reclaim_copy(options.get());
  auto backend = placed<Backend>([&](void* room) { construct(room, store, rank, world, shared); });
  return {std::move(options), std::move(backend)};
}

// GlooOptions continues the base class as ProcessGroupGloo::Options does.
struct GlooOptions : Backend::Options {
  std::vector<std::shared_ptr<void>> devices; // of gloo::transport::Device
  int threads;
};

std::shared_ptr<void> gloo_device() {
  using ByName = std::shared_ptr<void> (*)(const std::string&, bool lazy);
  using Default = std::shared_ptr<void> (*)(bool lazy); // older ones ignore the argument
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME")) {
    auto make = symbol<ByName>({
        "_ZN4c10d16ProcessGroupGloo24createDeviceForInterfaceERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
        "_ZN4c10d16ProcessGroupGloo24createDeviceForInterfaceERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEb"});
    if (make) return make(interface, false);
  }
  auto make = symbol<Default>(
      {"_ZN4c10d16ProcessGroupGloo19createDefaultDeviceEv", "_ZN4c10d16ProcessGroupGloo19createDefaultDeviceEb"});
  if (!make) throw std::runtime_error("this libtorch has no Gloo: use a build with USE_DISTRIBUTED and USE_GLOO");
  return make(false);
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
constexpr auto kBlockingWait = "TORCH_NCCL_BLOCKING_WAIT";
#else
constexpr auto kBlockingWait = "NCCL_BLOCKING_WAIT";
#endif

} // namespace

Reducer make_gloo(const StorePtr& store, int rank, int world, milliseconds timeout) {
  auto device = gloo_device();
  auto options = symbol<void (*)(void*, milliseconds)>(
      {"_ZN4c10d16ProcessGroupGloo7OptionsC1ENSt6chrono8durationIlSt5ratioILl1ELl1000EEEE"});
  auto construct = symbol<Construct>(
      {"_ZN4c10d16ProcessGroupGlooC1ERKN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_"
       "typeIS3_EEEEiiNS2_INS0_7OptionsENS5_ISA_EEEE"});
  if (!options || !construct) throw std::runtime_error("this libtorch (" TORCH_VERSION ") makes Gloo's process groups in an unknown way");
  auto made = placed<Backend::Options>([&](void* room) { options(room, timeout); });
  auto& gloo = static_cast<GlooOptions&>(*made);
  gloo.devices.push_back(device);
  gloo.threads = 2;
  return begin(std::move(made), construct, store, rank, world);
}

Reducer make_nccl(const StorePtr& store, int rank, int world, milliseconds timeout) {
  auto options = symbol<void (*)(void*, bool)>({"_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb"});
  auto construct = symbol<Construct>(
      {"_ZN4c10d16ProcessGroupNCCLC1ERKN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_"
       "typeIS3_EEEEiiNS2_INS0_7OptionsENS5_ISA_EEEE",
       "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_"
       "typeIS3_EEEEiiNS2_INS0_7OptionsENS5_IS8_EEEE"});
  if (!options || !construct)
    throw std::runtime_error("this libtorch (" TORCH_VERSION ") has no NCCL to reduce GPU tensors with: use a CUDA build of Linux, or the CPU");
  // A wait that throws, instead of a watchdog that aborts the process.
  setenv(kBlockingWait, "1", /*overwrite=*/0);
  auto made = placed<Backend::Options>([&](void* room) { options(room, false); });
  made->timeout = timeout;
  return begin(std::move(made), construct, store, rank, world);
}

void shut_down_nccl(Backend& nccl) {
  if (auto shutdown = symbol<void (*)(Backend*)>({"_ZN4c10d16ProcessGroupNCCL8shutdownEv"})) shutdown(&nccl);
}

} // namespace liebm
