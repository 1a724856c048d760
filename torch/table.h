// The table of tensors and the scopes that own them. Included by shim.cc only.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace {

using at::IValue;
using at::Tensor;

struct Slot {
  std::atomic<uint32_t> gen{0};
  std::atomic<bool> kept{false};
  Tensor t;
};

constexpr uint32_t kChunkBits = 12, kChunkSize = 1u << kChunkBits, kChunks = 1u << 16;
std::atomic<Slot*> chunks[kChunks]; // slots never move, so readers need no lock
std::mutex table_mutex;             // guards free_slots and next_slot
std::vector<uint32_t> free_slots;
uint32_t next_slot = 0;
std::atomic<int64_t> live{0};

// Each thread keeps a few free slots, so that most operators take no lock. A dying thread gives
// its slots back. The scope lists live here too: open_marks[i] is where scope i starts in made.
struct Thread {
  std::vector<uint32_t> spare;
  std::vector<uint64_t> made;
  std::vector<size_t> open_marks;
  std::vector<IValue> stack;
  at::Generator generators[2]; // CPU and CUDA, re-seeded for every draw
  int omp_threads = 0; // as of the last scope that it opened; 0 before the first
  bool home = false;   // the first thread to open a scope
  ~Thread() {
    std::lock_guard<std::mutex> lock(table_mutex);
    free_slots.insert(free_slots.end(), spare.begin(), spare.end());
  }
};
thread_local Thread* mine = nullptr; // a plain pointer: reading it costs no guard

Thread& first_use() {
  static thread_local Thread t;
  mine = &t;
  return t;
}

Thread& self() { return mine ? *mine : first_use(); }

Slot& slot_at(uint32_t i) { return chunks[i >> kChunkBits].load(std::memory_order_acquire)[i & (kChunkSize - 1)]; }

bool alive(uint64_t h) {
  uint32_t i = uint32_t(h);
  if ((i >> kChunkBits) >= kChunks) return false;
  Slot* chunk = chunks[i >> kChunkBits].load(std::memory_order_acquire);
  return chunk && chunk[i & (kChunkSize - 1)].gen.load(std::memory_order_acquire) == uint32_t(h >> 32);
}

const Tensor& get(uint64_t h) {
  if (h == 0) throw std::runtime_error("no tensor (the zero Tensor) where one is required");
  if (!alive(h))
    throw std::runtime_error("a tensor was used after its scope closed, or after Close: return it from torch.Tidy, or Keep it");
  return slot_at(uint32_t(h)).t;
}

Thread& require_scope() {
  Thread& me = self();
  if (me.open_marks.empty()) throw std::runtime_error("no open scope on this goroutine: call it inside torch.Do");
  return me;
}

void more_slots(Thread& me) {
  std::lock_guard<std::mutex> lock(table_mutex);
  for (int i = 0; i < 64; i++) {
    if (!free_slots.empty()) {
      me.spare.push_back(free_slots.back());
      free_slots.pop_back();
      continue;
    }
    if ((next_slot >> kChunkBits) >= kChunks) throw std::runtime_error("more than 268 million tensors are alive");
    if ((next_slot & (kChunkSize - 1)) == 0) chunks[next_slot >> kChunkBits].store(new Slot[kChunkSize]);
    me.spare.push_back(next_slot++);
  }
}

// compact drops, before made would grow, what was freed or kept early.
void compact(Thread& me) {
  size_t keep = me.open_marks.back();
  for (size_t i = keep; i < me.made.size(); i++)
    if (alive(me.made[i]) && !slot_at(uint32_t(me.made[i])).kept) me.made[keep++] = me.made[i];
  me.made.resize(keep);
  me.made.reserve(std::max<size_t>(256, 2 * keep));
}

uint64_t make_handle(Tensor t) {
  if (!t.defined()) return 0;
  Thread& me = require_scope();
  if (me.made.size() == me.made.capacity()) compact(me);
  if (me.spare.empty()) more_slots(me);
  uint32_t i = me.spare.back();
  me.spare.pop_back();
  Slot& s = slot_at(i);
  s.t = std::move(t);
  s.kept.store(false, std::memory_order_relaxed);
  uint32_t gen = s.gen.load(std::memory_order_relaxed) + 1;
  s.gen.store(gen, std::memory_order_release);
  live.fetch_add(1, std::memory_order_relaxed);
  uint64_t h = uint64_t(gen) << 32 | i;
  me.made.push_back(h);
  return h;
}

void free_handle(uint64_t h) {
  uint32_t gen = uint32_t(h >> 32);
  if (h == 0 || !alive(h)) return;
  Slot& s = slot_at(uint32_t(h));
  if (!s.gen.compare_exchange_strong(gen, gen + 1)) return; // somebody else closed it first
  s.t.reset();
  live.fetch_sub(1, std::memory_order_relaxed);
  Thread& me = self();
  me.spare.push_back(uint32_t(h));
  if (me.spare.size() > 4096) { // a thread that only frees must not hoard
    std::lock_guard<std::mutex> lock(table_mutex);
    free_slots.insert(free_slots.end(), me.spare.begin() + 2048, me.spare.end());
    me.spare.resize(2048);
  }
}

} // namespace
