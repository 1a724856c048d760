// Process groups of Gloo and NCCL, which c10d_symbols.cc constructs without their headers.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/version.h>

#include <chrono>
#include <memory>

#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#endif

namespace liebm {

#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend; // a ProcessGroup holds several of these
#else
using Backend = c10d::ProcessGroup; // before libtorch 2 a group was its own backend
#endif

// End destroys an object that was constructed in memory from operator new.
struct End {
  template <class T>
  void operator()(T* t) {
    t->~T();
    ::operator delete(t);
  }
};
template <class T>
using Placed = std::unique_ptr<T, End>;

// Reducer is a backend and the options that it refers to. The backend is destroyed first.
struct Reducer {
  Placed<Backend::Options> options;
  Placed<Backend> backend;
};

using StorePtr = c10::intrusive_ptr<c10d::Store>;

// Both throw std::runtime_error where this libtorch has no such backend.
Reducer make_gloo(const StorePtr& store, int rank, int world, std::chrono::milliseconds timeout);
Reducer make_nccl(const StorePtr& store, int rank, int world, std::chrono::milliseconds timeout);
void shut_down_nccl(Backend& nccl);

} // namespace liebm
