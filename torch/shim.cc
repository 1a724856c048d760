#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Formatting.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <torch/csrc/autograd/autograd.h>
#include <torch/version.h>

#include "shared.h"
#include "table.h"
#include "values.h"

namespace {

// first_line is where libtorch says what is wrong; advice that it appends to the line is cut off.
std::string first_line(const std::string& s) {
  return s.substr(0, std::min(s.find('\n'), s.find(" This could be because the operator doesn't exist for this backend")));
}

// guard runs body and turns any C++ exception into the text that Go reads.
template <class Body, class Shapes>
char* guard(Body body, Shapes shapes) {
  std::string msg;
  try {
    body();
    return nullptr;
  } catch (const c10::Error& e) {
    msg = e.what_without_backtrace();
  } catch (const std::exception& e) {
    msg = e.what();
  } catch (...) {
    msg = "a C++ exception of unknown type";
  }
  try {
    return strdup((shapes() + "\n" + first_line(msg)).c_str());
  } catch (...) {
    return strdup("\nout of memory while describing an error");
  }
}

template <class Body>
char* guard(Body body) {
  return guard(body, [] { return std::string(); });
}

} // namespace

char* lt_find_op(const char* name, uint64_t* out) {
  return guard([&] {
    std::string full(name), base = full, overload;
    if (auto dot = full.find('.', full.find("::") + 2); dot != std::string::npos) {
      base = full.substr(0, dot);
      overload = full.substr(dot + 1);
    }
    auto found = c10::Dispatcher::singleton().findSchema({base, overload});
    if (!found) {
      std::string others;
      for (const auto& n : c10::Dispatcher::singleton().getAllOpNames())
        if (n.name == base) others += " " + n.name + (n.overload_name.empty() ? "" : "." + n.overload_name);
      throw std::runtime_error("this libtorch (" TORCH_VERSION ") has no such operator" +
                               (others.empty() ? std::string() : "; it has" + others));
    }
    if (found->schema().is_vararg()) throw std::runtime_error("it takes any number of arguments, as only TorchScript can give");
    auto op = new Op{*found, {}, is_fresh(found->schema()), {}, {}, {}, {}}; // lives as long as the process: there are a few hundred
    for (const auto& a : found->schema().arguments()) {
      bool has = a.default_value().has_value(), optional = a.type()->kind() == c10::TypeKind::OptionalType;
      auto kind = kind_of(a.type());
      op->params.push_back({a.name(), kind, a.N().value_or(0), has ? *a.default_value() : IValue(), !has && !optional,
                            optional || kind == Kind::Other, a.type()->str()});
    }
    unbox(*op);
    *out = reinterpret_cast<uint64_t>(op);
  });
}

char* lt_call(uint64_t handle, const uint64_t* args, int64_t nwords, uint64_t* out, int64_t cap) {
  auto& stack = self().stack;
  char* err = guard(
      [&] {
        require_scope();
        const Op& op = *reinterpret_cast<const Op*>(handle);
        Tensor result;
        if (cap > 2 && call_unboxed(op, args, nwords, result)) {
          out[0] = 2;
          out[1] = LT_TENSOR;
          out[2] = make_handle(std::move(result));
          return;
        }
        std::optional<at::AutoDispatchBelowAutograd> below;
        if (!fill_stack(op, args, nwords, stack) && op.fresh) below.emplace();
        op.handle.callBoxed(&stack);
        if (cap == 0) return; // the caller wants no results
        Writer w{out, cap};
        for (const auto& v : stack) write(w, v);
        w.finish();
      },
      [&] { return shapes_of(args, nwords); });
  stack.clear();
  return err;
}

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

// OpenMP gives every thread that uses it a pool of its own, and Go's goroutines come back on other
// threads. The first thread keeps its pool; any other ends it with its outermost scope.
static void end_thread_pool() {
  static auto pause = reinterpret_cast<int (*)(int)>(dlsym(RTLD_DEFAULT, "omp_pause_resource_all"));
  constexpr int hard = 2;
  if (pause) pause(hard);
}

static std::atomic<int> wanted_threads{0};

int64_t lt_scope_open(void) {
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

void lt_scope_close(int64_t depth, uint64_t moved) {
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

char* lt_keep(uint64_t h) {
  return guard([&] {
    get(h);
    if (slot_at(uint32_t(h)).kept.exchange(true))
      throw std::runtime_error("it is kept already, and whoever kept it closes it: Keep an alias of your own, x.Detach().Keep()");
  }, [&] { return shape_of(h); });
}

void lt_free(uint64_t h) { free_handle(h); }

int64_t lt_live(void) { return live.load(); }

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

char* lt_shapes(const uint64_t* args, int64_t nwords) { return strdup(shapes_of(args, nwords).c_str()); }

int lt_dtypes(void) { return int(c10::ScalarType::NumOptions); }

void lt_tune_malloc(void) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20); // the most that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 4 << 20);
#endif
}

void lt_set_threads(int n) {
  at::set_num_threads(n);
  wanted_threads = n;
}

int lt_threads(void) { return wanted_threads; }

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

char* lt_ops(char** text) {
  return guard([&] {
    std::ostringstream s;
    for (const auto& name : c10::Dispatcher::singleton().getAllOpNames())
      if (auto op = c10::Dispatcher::singleton().findSchema(name)) s << op->schema() << '\n';
    *text = strdup(s.str().c_str());
  });
}

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

char* lt_throw(int kind) {
  return guard([&] {
    switch (kind) {
      case 0: TORCH_CHECK(false, "a c10::Error");
      case 1: throw std::invalid_argument("a std::invalid_argument");
      case 2: throw std::bad_alloc();
      default: throw 42;
    }
  });
}

namespace liebm {

const at::Tensor& tensor_of(uint64_t handle) { return get(handle); }
uint64_t handle_of(at::Tensor t) { return make_handle(std::move(t)); }
char* guarded(const std::function<void()>& body) { return guard(body); }

} // namespace liebm
