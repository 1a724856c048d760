#include "c10d.h"

#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/version.h>

#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#endif

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "buckets.h"
#include "shared.h"

namespace {

using at::Tensor;
using c10d::Store;
using std::chrono::milliseconds;

#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend; // what a ProcessGroup was before it could hold several
#else
using Backend = c10d::ProcessGroup;
#endif

// The headers of Gloo's and NCCL's process groups include those of Gloo and NCCL, which come with
// no libtorch, and naming NCCL's would tie the binary to CUDA. So both are made through the symbols
// of their constructors, the same from libtorch 1.13 to 2.14, and used through their base class.
template <class F>
F symbol(std::initializer_list<const char*> names) {
  for (auto name : names)
    if (auto found = dlsym(RTLD_DEFAULT, name)) return reinterpret_cast<F>(found);
  return nullptr;
}

using Construct = void (*)(void* self, const c10::intrusive_ptr<Store>&, int rank, int world,
                           c10::intrusive_ptr<Backend::Options>);

constexpr size_t kRoom = 64 << 10; // many times the largest of these objects

// Placed is an object that was made in room of our own, since its size is not known here. Its own
// delete would free as much as its type has, so it never runs: the object counts its references as
// one that is not on the heap, its destructor is virtual, and the room is freed as it was allocated.
struct End {
  template <class T>
  void operator()(T* t) {
    t->~T();
    ::operator delete(t);
  }
};
template <class T>
using Placed = std::unique_ptr<T, End>;

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

// Reducer is a backend after the options that it refers to.
struct Reducer {
  Placed<Backend::Options> options;
  Placed<Backend> backend;
};

// begin constructs the backend for the options of reducer.
Reducer begin(Placed<Backend::Options> options, Construct construct, const c10::intrusive_ptr<Store>& store, int rank, int world) {
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

Reducer make_gloo(const c10::intrusive_ptr<Store>& store, int rank, int world, milliseconds timeout) {
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

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
constexpr auto kBlockingWait = "TORCH_NCCL_BLOCKING_WAIT";
#else
constexpr auto kBlockingWait = "NCCL_BLOCKING_WAIT";
#endif

Reducer make_nccl(const c10::intrusive_ptr<Store>& store, int rank, int world, milliseconds timeout) {
  auto options = symbol<void (*)(void*, bool)>({"_ZN4c10d16ProcessGroupNCCL7OptionsC1Eb"});
  auto construct = symbol<Construct>(
      {"_ZN4c10d16ProcessGroupNCCLC1ERKN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_"
       "typeIS3_EEEEiiNS2_INS0_7OptionsENS5_ISA_EEEE",
       "_ZN4c10d16ProcessGroupNCCLC1EN3c1013intrusive_ptrINS_5StoreENS1_6detail34intrusive_target_default_null_"
       "typeIS3_EEEEiiNS2_INS0_7OptionsENS5_IS8_EEEE"});
  if (!options || !construct)
    throw std::runtime_error("this libtorch (" TORCH_VERSION ") has no NCCL to reduce GPU tensors with: use a CUDA build of Linux, or --device cpu");
  // A wait that throws, instead of a watchdog that aborts the process.
  setenv(kBlockingWait, "1", /*overwrite=*/0);
  auto made = placed<Backend::Options>([&](void* room) { options(room, false); });
  made->timeout = timeout;
  return begin(std::move(made), construct, store, rank, world);
}

struct Group {
  int rank, world;
  milliseconds timeout;
  c10::intrusive_ptr<Store> store;
  Reducer gloo, nccl;
  std::atomic<bool> broken{false};

  Backend& backend(const Tensor& t) {
    if (!t.is_cuda()) return *gloo.backend;
    if (!nccl.backend) nccl = make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, world, timeout);
    return *nccl.backend;
  }

  void wait(const c10::intrusive_ptr<c10d::Work>& work) {
    try {
      work->wait();
    } catch (const c10::Error& e) {
      lost(e.what_without_backtrace());
    } catch (const std::exception& e) {
      lost(e.what());
    }
  }

  [[noreturn]] void lost(const std::string& why) {
    broken = true;
    throw std::runtime_error(LT_PEER_LOST + why);
  }

  c10::intrusive_ptr<c10d::Work> start_sum(const Tensor& t) {
    std::vector<Tensor> one{t};
    return backend(t).allreduce(one, c10d::AllreduceOptions());
  }

  // with_dense runs f on t, or on a dense copy of t that then goes back to it.
  template <class F>
  void with_dense(const Tensor& t, F f) {
    at::NoGradGuard no_grad;
    auto plain = t.detach(), dense = plain.contiguous();
    f(dense);
    if (!dense.is_same(plain)) plain.copy_(dense);
  }

  Tensor sum(const Tensor& t) {
    auto result = t.detach().clone(at::MemoryFormat::Contiguous);
    wait(start_sum(result));
    return result;
  }
};

Group& group_of(uint64_t g) { return *reinterpret_cast<Group*>(g); }

// Sum is Σ over processes of x. Each process's loss depends on the sum, so the gradient of their
// total is the sum of theirs.
struct Sum : torch::autograd::Function<Sum> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& x, int64_t group) {
    ctx->saved_data["group"] = group;
    return group_of(group).sum(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx, torch::autograd::variable_list grads) {
    return {group_of(ctx->saved_data["group"].toInt()).sum(grads[0]), Tensor()};
  }
};

c10::intrusive_ptr<Store> meet(const char* host, int port, bool serve, int world, milliseconds timeout) {
  c10d::TCPStoreOptions o;
  o.port = uint16_t(port);
  o.isServer = serve;
  o.numWorkers = world;
  o.timeout = timeout;
  [](auto& o) { // not every build has libuv
    if constexpr (requires { o.useLibUV; }) o.useLibUV = false;
  }(o);
  return c10::make_intrusive<c10d::TCPStore>(host, o);
}

} // namespace

char* lt_group_join(const char* host, int port, int serve, const char* prefix, int rank, int world, int64_t join_ms,
                    int64_t timeout_ms, uint64_t* out) {
  return liebm::guarded([&] {
    auto g = std::make_unique<Group>();
    g->rank = rank, g->world = world, g->timeout = milliseconds(timeout_ms);
    g->store = c10::make_intrusive<c10d::PrefixStore>(prefix, meet(host, port, serve, world, milliseconds(join_ms)));
    g->gloo = make_gloo(g->store, rank, world, g->timeout);
    *out = reinterpret_cast<uint64_t>(g.release());
  });
}

void lt_group_close(uint64_t group) {
  Group* g = reinterpret_cast<Group*>(group);
  if (g->broken) return; // its threads may wait for what never comes
  try {
    auto shutdown = symbol<void (*)(Backend*)>({"_ZN4c10d16ProcessGroupNCCL8shutdownEv"});
    if (g->nccl.backend && shutdown) shutdown(g->nccl.backend.get()); // or its end warns
    delete g;
  } catch (const std::exception&) { // a peer was lost meanwhile
  }
}

char* lt_group_all_reduce(uint64_t group, uint64_t t, int op) {
  return liebm::guarded([&] {
    Group& g = group_of(group);
    g.with_dense(liebm::tensor_of(t), [&](Tensor& dense) {
      c10d::AllreduceOptions o;
      o.reduceOp = op == LT_MAX ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
      std::vector<Tensor> one{dense};
      g.wait(g.backend(dense).allreduce(one, o));
    });
  });
}

char* lt_group_broadcast(uint64_t group, uint64_t t, int root) {
  return liebm::guarded([&] {
    Group& g = group_of(group);
    g.with_dense(liebm::tensor_of(t), [&](Tensor& dense) {
      c10d::BroadcastOptions o;
      o.rootRank = root;
      std::vector<Tensor> one{dense};
      g.wait(g.backend(dense).broadcast(one, o));
    });
  });
}

char* lt_group_all_gather(uint64_t group, uint64_t t, uint64_t* results) {
  return liebm::guarded([&] {
    Group& g = group_of(group);
    at::NoGradGuard no_grad;
    std::vector<Tensor> in{liebm::tensor_of(t).detach().contiguous()};
    std::vector<std::vector<Tensor>> out(1);
    for (int i = 0; i < g.world; i++) out[0].push_back(at::empty_like(in[0]));
    g.wait(g.backend(in[0]).allgather(out, in, c10d::AllgatherOptions()));
    for (int i = 0; i < g.world; i++) results[i] = liebm::handle_of(out[0][i]);
  });
}

char* lt_group_sum(uint64_t group, uint64_t t, uint64_t* out) {
  return liebm::guarded([&] { *out = liebm::handle_of(Sum::apply(liebm::tensor_of(t), int64_t(group))); });
}

char* lt_group_grads(uint64_t group, uint64_t loss, const uint64_t* params, int64_t n, int64_t bucket_bytes,
                     uint64_t* results) {
  return liebm::guarded([&] {
    Group& g = group_of(group);
    std::vector<Tensor> p;
    for (int64_t i = 0; i < n; i++) p.push_back(liebm::tensor_of(params[i]));
    Buckets buckets(p, bucket_bytes, [&](const Tensor& flat) { return g.start_sum(flat); });
    torch::autograd::backward({liebm::tensor_of(loss)}, {}, /*retain_graph=*/false, /*create_graph=*/false, p);
    auto grads = buckets.finish(g.world, [&](const auto& work) { g.wait(work); });
    for (int64_t i = 0; i < n; i++) results[i] = liebm::handle_of(grads[i]);
  });
}
