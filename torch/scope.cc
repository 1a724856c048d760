#include "guard.h"

#include "scope.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <sstream>
#include <stdexcept>

#include "shim.h"

// The table of tensors, and the scopes that own them.

using at::Tensor;
using liebm::get;
using liebm::guard;
using liebm::guarded_value;
using liebm::shape_of;

namespace {

struct Slot {
  std::atomic<uint64_t> state{0}; // generation << 32 | calls that use t at the moment
  std::atomic<bool> kept{false};
  Tensor t;
};

constexpr uint64_t kGeneration = uint64_t(1) << 32;
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
  std::vector<uint64_t> held; // the tensors that the present call uses
  std::vector<size_t> open_marks;
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

bool same_generation(uint64_t state, uint64_t h) { return state >> 32 == h >> 32; }

// slot_of returns the slot of a handle, or nullptr if there is none.
Slot* slot_of(uint64_t h) {
  uint32_t i = uint32_t(h);
  if ((i >> kChunkBits) >= kChunks) return nullptr;
  Slot* chunk = chunks[i >> kChunkBits].load(std::memory_order_acquire);
  return chunk ? &chunk[i & (kChunkSize - 1)] : nullptr;
}

bool alive(uint64_t h) {
  Slot* s = slot_of(h);
  return s && same_generation(s->state.load(std::memory_order_acquire), h);
}

// hold returns a tensor that stays until the present call ends, also if another thread frees its handle. It returns nullptr
// if the handle is freed already.
const Tensor* hold(uint64_t h) {
  Slot* s = slot_of(h);
  if (!s) return nullptr;
  uint64_t state = s->state.load(std::memory_order_relaxed);
  do
    if (!same_generation(state, h)) return nullptr;
  while (!s->state.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed));
  self().held.push_back(h);
  return &s->t;
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

// compact drops the tensors that were freed or kept early from made. It runs before made would grow.
void compact(Thread& me) {
  size_t keep = me.open_marks.back();
  for (size_t i = keep; i < me.made.size(); i++)
    if (alive(me.made[i]) && !slot_at(uint32_t(me.made[i])).kept) me.made[keep++] = me.made[i];
  me.made.resize(keep);
  me.made.reserve(std::max<size_t>(256, 2 * keep));
}

// vacate drops the tensor of a freed slot that no call uses, and makes the slot free for another one.
void vacate(Slot& s, uint64_t h) {
  s.t.reset();
  Thread& me = self();
  me.spare.push_back(uint32_t(h));
  if (me.spare.size() > 4096) { // a thread that only frees must not hoard
    std::lock_guard<std::mutex> lock(table_mutex);
    free_slots.insert(free_slots.end(), me.spare.begin() + 2048, me.spare.end());
    me.spare.resize(2048);
  }
}

void free_handle(uint64_t h) {
  Slot* s = h ? slot_of(h) : nullptr;
  if (!s) return;
  uint64_t state = s->state.load(std::memory_order_relaxed);
  do
    if (!same_generation(state, h)) return; // somebody else closed it first
  while (!s->state.compare_exchange_weak(state, state + kGeneration, std::memory_order_acq_rel, std::memory_order_relaxed));
  live.fetch_sub(1, std::memory_order_relaxed);
  if (uint32_t(state) == 0) vacate(*s, h); // else the last call that uses it does
}

Thread& open_thread() {
  Thread& me = self();
  if (me.open_marks.empty()) throw std::runtime_error("no open scope on this goroutine: call it inside torch.Do");
  return me;
}

} // namespace

namespace liebm {

void require_scope() { open_thread(); }

uint64_t make_handle(Tensor t) {
  if (!t.defined()) return 0;
  Thread& me = open_thread();
  if (me.made.size() == me.made.capacity()) compact(me);
  if (me.spare.empty()) more_slots(me);
  uint32_t i = me.spare.back();
  me.spare.pop_back();
  Slot& s = slot_at(i);
  s.t = std::move(t);
  s.kept.store(false, std::memory_order_relaxed);
  uint64_t state = s.state.load(std::memory_order_relaxed) + kGeneration; // no call uses a free slot
  s.state.store(state, std::memory_order_release);
  live.fetch_add(1, std::memory_order_relaxed);
  uint64_t h = state | i;
  me.made.push_back(h);
  return h;
}

const Tensor& get(uint64_t h) {
  if (h == 0) throw std::runtime_error("no tensor (the zero Tensor) where one is required");
  const Tensor* t = hold(h);
  if (!t) throw std::runtime_error("a tensor was used after its scope closed, or after Close: return it from torch.Tidy, or Keep it");
  return *t;
}

void let_go() noexcept {
  if (!mine || mine->held.empty()) return;
  for (uint64_t h : mine->held) {
    Slot& s = slot_at(uint32_t(h));
    uint64_t before = s.state.fetch_sub(1, std::memory_order_acq_rel);
    if (!same_generation(before, h) && uint32_t(before) == 1) vacate(s, h);
  }
  mine->held.clear();
}

std::vector<Tensor> tensors(const uint64_t* handles, int64_t n) {
  std::vector<Tensor> v;
  for (int64_t i = 0; i < n; i++) v.push_back(get(handles[i]));
  return v;
}

std::string shape_of(uint64_t h) {
  if (h == 0) return "none";
  const Tensor* held = hold(h);
  if (!held) return "closed";
  const Tensor& t = *held;
  std::ostringstream s;
  s << '[';
  for (int64_t i = 0; i < t.dim(); i++) s << (i ? "," : "") << t.size(i);
  s << ']';
  if (t.scalar_type() != at::kFloat) s << ' ' << c10::toString(t.scalar_type());
  if (!t.device().is_cpu()) s << ' ' << t.device().str();
  return s.str();
}

std::string shapes_of_handles(const uint64_t* handles, int64_t n) {
  std::string s;
  for (int64_t i = 0; i < std::min<int64_t>(n, 4); i++) s += (i ? ", " : "") + shape_of(handles[i]);
  return n > 4 ? s + ", … " + std::to_string(n) + " tensors" : s;
}

} // namespace liebm

namespace {

// OpenMP gives every thread that uses it a pool of its own, and Go's goroutines come back on other
// threads. The first thread keeps its pool; any other ends it with its outermost scope.
void end_thread_pool() {
  static auto pause = reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  constexpr int hard = 2;
  if (pause) pause(hard);
}

std::atomic<int> wanted_threads{0};

int64_t open_scope() {
  Thread& me = self();
  if (me.omp_threads != wanted_threads) { // OpenMP's count is per thread; oneDNN reads it without asking ATen
    at::init_num_threads();
    static std::atomic<bool> taken{false};
    if (!me.omp_threads) me.home = !taken.exchange(true);
    me.omp_threads = wanted_threads;
  }
  me.open_marks.push_back(me.made.size());
  return int64_t(me.open_marks.size());
}

void close_scope(int64_t depth, uint64_t moved) {
  Thread& me = self();
  if (int64_t(me.open_marks.size()) < depth) return;
  size_t mark = me.open_marks[depth - 1];
  bool passes_on = false;
  for (size_t i = me.made.size(); i-- > mark;) {
    uint64_t h = me.made[i];
    if (h == moved) passes_on = alive(h);
    else if (alive(h) && !slot_at(uint32_t(h)).kept) free_handle(h);
  }
  me.made.resize(mark);
  me.open_marks.resize(depth - 1);
  if (me.open_marks.empty() && !me.home) end_thread_pool();
  if (!passes_on) return;
  if (me.open_marks.empty()) free_handle(moved);
  else me.made.push_back(moved);
}

} // namespace

int64_t lt_scope_open(void) {
  return guarded_value(int64_t(0), [] { return open_scope(); });
}

void lt_scope_close(int64_t depth, uint64_t moved) {
  guarded_value(0, [=] { return close_scope(depth, moved), 0; });
}

char* lt_keep(uint64_t h) {
  return guard([&] {
    get(h);
    if (slot_at(uint32_t(h)).kept.exchange(true))
      throw std::runtime_error("it is kept already, and whoever kept it closes it: Keep an alias of your own, x.Detach().Keep()");
  }, [&] { return shape_of(h); });
}

void lt_free(uint64_t h) {
  guarded_value(0, [=] { return free_handle(h), 0; });
}

int64_t lt_live(void) { return live.load(); }

char* lt_set_threads(int n) {
  return guard([=] {
    at::set_num_threads(n);
    wanted_threads = n;
  });
}

int lt_threads(void) { return wanted_threads; }
