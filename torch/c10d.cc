#include "guard.h"

// Process groups: joining one, its collectives, and gradients that are summed over processes.

#include "c10d.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <atomic>
#include <functional>
#include <vector>

#include "c10d_symbols.h"
#include "scope.h"

namespace {

using at::Tensor;
using c10d::Store;
using liebm::get;
using liebm::guard;
using liebm::make_handle;
using std::chrono::milliseconds;

struct Group {
  int rank, world;
  milliseconds timeout;
  c10::intrusive_ptr<Store> store;
  liebm::Reducer gloo, nccl;
  std::atomic<bool> broken{false};

  liebm::Backend& backend(const Tensor& t) {
    if (!t.is_cuda()) return *gloo.backend;
    if (!nccl.backend) nccl = liebm::make_nccl(c10::make_intrusive<c10d::PrefixStore>("nccl", store), rank, world, timeout);
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

// Buckets hold parameters from the last to the first, about the order in which backward reaches
// them. A bucket is one flat tensor: gradients, then for each parameter whether this process had
// one. It starts once it is full and all before it have started, so that every process starts the
// same sums in the same order.
class Buckets {
 public:
  using Tensor = at::Tensor;
  using Work = c10::intrusive_ptr<c10d::Work>;
  using Start = std::function<Work(const Tensor& flat)>;

  Buckets(const std::vector<Tensor>& params, int64_t bytes, Start start) : start_(std::move(start)), slots_(params.size()) {
    for (size_t i = params.size(); i-- > 0;) place(i, params[i], bytes);
    for (auto& b : buckets_) allocate(b);
    for (size_t i = 0; i < slots_.size(); i++) {
      Slot& s = slots_[i];
      s.accumulator = torch::autograd::impl::grad_accumulator(s.param);
      s.param.mutable_grad().reset();
      s.hook = s.accumulator->add_post_hook(std::make_unique<Ready>(*this, i));
    }
  }

  ~Buckets() {
    for (auto& s : slots_) {
      if (!s.accumulator) continue;
      s.accumulator->del_post_hook(s.hook);
      s.param.mutable_grad().reset();
    }
  }

  // finish starts what backward did not fill, waits for all, and returns the means: views of the
  // flat tensors, undefined for a parameter that no process's loss reached.
  template <class Wait>
  std::vector<Tensor> finish(int world, Wait wait) {
    at::NoGradGuard no_grad;
    for (; started_ < buckets_.size(); started_++) buckets_[started_].work = start_(buckets_[started_].flat);
    std::vector<Tensor> out(slots_.size());
    for (auto& b : buckets_) {
      wait(b.work);
      auto had = b.had.to(at::kCPU, at::kFloat);
      b.flat.div_(world);
      for (size_t k = 0; k < b.members.size(); k++)
        if (had.data_ptr<float>()[k] > 0) out[b.members[k]] = slots_[b.members[k]].view;
    }
    return out;
  }

 private:
  struct Slot {
    Tensor param, view, had;
    size_t bucket;
    decltype(torch::autograd::impl::grad_accumulator(std::declval<const Tensor&>())) accumulator;
    uintptr_t hook = 0;
  };
  struct Bucket {
    std::vector<size_t> members;
    int64_t numel = 0;
    size_t missing = 0;
    Tensor flat, had;
    Work work;
  };
  struct Ready : torch::autograd::FunctionPostHook {
    Buckets& all;
    size_t i;
    Ready(Buckets& all, size_t i) : all(all), i(i) {}
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                              const torch::autograd::variable_list&) override {
      all.ready(i);
      return outputs;
    }
  };

  void place(size_t i, const Tensor& p, int64_t bytes) {
    if (!p.is_non_overlapping_and_dense()) throw std::runtime_error("a parameter is not dense");
    bool fits = false;
    if (!buckets_.empty()) {
      const Tensor& first = slots_[buckets_.back().members[0]].param;
      fits = first.scalar_type() == p.scalar_type() && first.device() == p.device() &&
             (buckets_.back().numel + p.numel()) * int64_t(p.element_size()) <= bytes;
    }
    if (!fits) buckets_.emplace_back();
    auto& b = buckets_.back();
    b.members.push_back(i);
    b.numel += p.numel();
    slots_[i].param = p;
    slots_[i].bucket = buckets_.size() - 1;
  }

  void allocate(Bucket& b) {
    at::NoGradGuard no_grad;
    b.missing = b.members.size();
    b.flat = at::zeros({b.numel + int64_t(b.members.size())}, slots_[b.members[0]].param.options().requires_grad(false));
    b.had = b.flat.narrow(0, b.numel, int64_t(b.members.size()));
    int64_t at = 0;
    for (size_t k = 0; k < b.members.size(); k++) {
      Slot& s = slots_[b.members[k]];
      s.view = b.flat.as_strided(s.param.sizes(), s.param.strides(), at); // the optimiser wants the parameter's layout
      s.had = b.had.narrow(0, int64_t(k), 1);
      at += s.param.numel();
    }
  }

  void ready(size_t i) {
    at::NoGradGuard no_grad;
    Slot& s = slots_[i];
    s.view.copy_(s.param.grad());
    s.had.fill_(1);
    s.param.mutable_grad().reset();
    buckets_[s.bucket].missing--;
    for (; started_ < buckets_.size() && buckets_[started_].missing == 0; started_++)
      buckets_[started_].work = start_(buckets_[started_].flat);
  }

  Start start_;
  std::vector<Slot> slots_;
  std::vector<Bucket> buckets_;
  size_t started_ = 0;
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
  return guard([&] {
    auto g = std::make_unique<Group>();
    g->rank = rank, g->world = world, g->timeout = milliseconds(timeout_ms);
    g->store = c10::make_intrusive<c10d::PrefixStore>(prefix, meet(host, port, serve, world, milliseconds(join_ms)));
    g->gloo = liebm::make_gloo(g->store, rank, world, g->timeout);
    *out = reinterpret_cast<uint64_t>(g.release());
  });
}

void lt_group_close(uint64_t group) {
  Group* g = reinterpret_cast<Group*>(group);
  if (g->broken) return; // its threads may wait for what never comes
  try {
    if (g->nccl.backend) liebm::shut_down_nccl(*g->nccl.backend); // or its destructor prints a warning
    delete g;
  } catch (...) { // a peer was lost meanwhile
  }
}

char* lt_group_all_reduce(uint64_t group, uint64_t t, int op) {
  return guard([&] {
    Group& g = group_of(group);
    g.with_dense(get(t), [&](Tensor& dense) {
      c10d::AllreduceOptions o;
      o.reduceOp = op == LT_MAX ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
      std::vector<Tensor> one{dense};
      g.wait(g.backend(dense).allreduce(one, o));
    });
  });
}

char* lt_group_broadcast(uint64_t group, uint64_t t, int root) {
  return guard([&] {
    Group& g = group_of(group);
    g.with_dense(get(t), [&](Tensor& dense) {
      c10d::BroadcastOptions o;
      o.rootRank = root;
      std::vector<Tensor> one{dense};
      g.wait(g.backend(dense).broadcast(one, o));
    });
  });
}

char* lt_group_all_gather(uint64_t group, uint64_t t, uint64_t* results) {
  return guard([&] {
    Group& g = group_of(group);
    at::NoGradGuard no_grad;
    std::vector<Tensor> in{get(t).detach().contiguous()};
    std::vector<std::vector<Tensor>> out(1);
    for (int i = 0; i < g.world; i++) out[0].push_back(at::empty_like(in[0]));
    g.wait(g.backend(in[0]).allgather(out, in, c10d::AllgatherOptions()));
    for (int i = 0; i < g.world; i++) results[i] = make_handle(out[0][i]);
  });
}

char* lt_group_sum(uint64_t group, uint64_t t, uint64_t* out) {
  return guard([&] { *out = make_handle(Sum::apply(get(t), int64_t(group))); });
}

char* lt_group_grads(uint64_t group, uint64_t loss, const uint64_t* params, int64_t n, int64_t bucket_bytes,
                     uint64_t* results) {
  return guard([&] {
    Group& g = group_of(group);
    std::vector<Tensor> p;
    for (int64_t i = 0; i < n; i++) p.push_back(get(params[i]));
    Buckets buckets(p, bucket_bytes, [&](const Tensor& flat) { return g.start_sum(flat); });
    torch::autograd::backward({get(loss)}, {}, /*retain_graph=*/false, /*create_graph=*/false, p);
    auto grads = buckets.finish(g.world, [&](const auto& work) { g.wait(work); });
    for (int64_t i = 0; i < n; i++) results[i] = make_handle(grads[i]);
  });
}
