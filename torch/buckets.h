// Gradients summed over processes, bucket by bucket, while backward runs. Included by c10d.cc only.
#pragma once

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

#include <functional>
#include <vector>

namespace {

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

} // namespace
