#include "guard.h"

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <torch/version.h>

#include <cstring>
#include <optional>
#include <sstream>

#include "scope.h"
#include "shim.h"

// A call of an operator: Go's argument words become the IValues that the operator's schema asks for, and
// its results become words.

namespace {

using at::IValue;
using at::Tensor;
using liebm::get;
using liebm::guard;
using liebm::guarded_value;
using liebm::make_handle;
using liebm::shape_of;
using liebm::shapes_of_handles;

enum class Kind { Tensor, Int, Float, Bool, String, Device, Scalar, Generator, Ints, Floats, Bools, Strings, Tensors, OptTensors, Scalars, Other };

struct Param {
  std::string name;
  Kind kind;
  int32_t n; // fixed list length, as in int[2]: one int stands for all
  IValue fallback;
  bool required, optional; // without a default; may be none
  std::string type;
};

struct Op {
  c10::OperatorHandle handle;
  std::vector<Param> params;
  // fresh: all results are new tensors and no argument is written or aliased. If no input requires
  // grad, autograd has nothing to record for such an operator, and its kernel is skipped.
  bool fresh;
  // Most pointwise operators have one of these signatures. They are called without boxing.
  using Unary = Tensor(const Tensor&);
  using Binary = Tensor(const Tensor&, const Tensor&);
  using BinaryScalar = Tensor(const Tensor&, const Tensor&, const at::Scalar&);
  using WithScalar = Tensor(const Tensor&, const at::Scalar&);
  std::optional<c10::TypedOperatorHandle<Unary>> unary;
  std::optional<c10::TypedOperatorHandle<Binary>> binary;
  std::optional<c10::TypedOperatorHandle<BinaryScalar>> binary_scalar;
  std::optional<c10::TypedOperatorHandle<WithScalar>> with_scalar;
};

bool is_fresh(const c10::FunctionSchema& schema) {
  for (const auto& a : schema.arguments())
    if (a.alias_info()) return false;
  for (const auto& r : schema.returns())
    if (r.alias_info() || r.type()->kind() != c10::TypeKind::TensorType) return false;
  return !schema.returns().empty();
}

Kind kind_of(const c10::TypePtr& t) {
  switch (t->kind()) {
    case c10::TypeKind::TensorType: return Kind::Tensor;
    case c10::TypeKind::IntType: return Kind::Int;
    case c10::TypeKind::FloatType: return Kind::Float;
    case c10::TypeKind::BoolType: return Kind::Bool;
    case c10::TypeKind::StringType: return Kind::String;
    case c10::TypeKind::DeviceObjType: return Kind::Device;
    case c10::TypeKind::NumberType: return Kind::Scalar;
    case c10::TypeKind::GeneratorType: return Kind::Generator;
    case c10::TypeKind::OptionalType: return kind_of(t->castRaw<c10::OptionalType>()->getElementType());
    case c10::TypeKind::ListType: {
      auto element = t->castRaw<c10::ListType>()->getElementType();
      if (element->kind() == c10::TypeKind::OptionalType) return Kind::OptTensors;
      switch (kind_of(element)) {
        case Kind::Int: return Kind::Ints;
        case Kind::Float: return Kind::Floats;
        case Kind::Bool: return Kind::Bools;
        case Kind::String: return Kind::Strings;
        case Kind::Tensor: return Kind::Tensors;
        case Kind::Scalar: return Kind::Scalars;
        default: return Kind::Other;
      }
    }
    default: return Kind::Other;
  }
}

// unbox finds out whether the operator has one of the common signatures.
void unbox(Op& op) {
  const auto& schema = op.handle.schema();
  if (!op.fresh || schema.returns().size() != 1) return;
  std::string kinds;
  for (const auto& a : schema.arguments()) {
    auto kind = a.type()->kind();
    kinds += kind == c10::TypeKind::TensorType ? 't' : kind == c10::TypeKind::NumberType ? 's' : '?';
  }
  if (kinds == "t") op.unary = op.handle.typed<Op::Unary>();
  if (kinds == "tt") op.binary = op.handle.typed<Op::Binary>();
  if (kinds == "tts") op.binary_scalar = op.handle.typed<Op::BinaryScalar>();
  if (kinds == "ts") op.with_scalar = op.handle.typed<Op::WithScalar>();
}

double as_double(uint64_t w) { double d; std::memcpy(&d, &w, 8); return d; }
uint64_t as_word(double d) { uint64_t w; std::memcpy(&w, &d, 8); return w; }

c10::Device device_of(uint64_t w) { return {c10::DeviceType(int8_t(w >> 32)), c10::DeviceIndex(int32_t(uint32_t(w)))}; }

// Reader walks the argument words.
struct Reader {
  const uint64_t *p, *end;
  bool requires_grad = false; // whether any tensor among them does
  bool more() const { return p < end; }
  const Tensor& tensor(uint64_t h) {
    const Tensor& t = get(h);
    requires_grad |= t.requires_grad();
    return t;
  }
  std::string text(uint64_t n) {
    std::string s(reinterpret_cast<const char*>(p), n);
    p += (n + 7) / 8;
    return s;
  }
};

[[noreturn]] void mismatch(const Param& want, const char* got) {
  throw std::runtime_error("argument \"" + want.name + "\" cannot be " + got + ": its type is " + want.type);
}

const at::Generator& generator(c10::Device device) {
  static thread_local at::Generator generators[2]; // CPU and CUDA, seeded again for every draw
  auto& g = generators[device.is_cpu() ? 0 : 1];
  if (!g.defined() || g.device() != device) g = at::globalContext().defaultGenerator(device).clone();
  return g;
}

// value reads the next value as what the schema wants for param.
IValue value(Reader& r, const Param& param, c10::Device device) {
  uint64_t head = *r.p++, n = head >> 8;
  const uint64_t* p = r.p;
  auto skip = [&](uint64_t words) { r.p += words; };
  switch (head & 0xff) {
    case LT_NONE:
      if (!param.optional) mismatch(param, "nil");
      return IValue();
    case LT_TENSOR:
      skip(1);
      if (*p != 0) return r.tensor(*p);
      if (!param.optional) mismatch(param, "the zero Tensor");
      return IValue();
    case LT_INT:
      skip(1);
      if (param.kind == Kind::Float) return double(int64_t(*p));
      if (param.kind == Kind::Ints) return c10::List<int64_t>(std::vector<int64_t>(std::max(param.n, 1), int64_t(*p)));
      if (param.kind == Kind::Int || param.kind == Kind::Scalar) return int64_t(*p);
      mismatch(param, "an int");
    case LT_FLOAT:
      skip(1);
      if (param.kind == Kind::Float || param.kind == Kind::Scalar) return as_double(*p);
      mismatch(param, "a float");
    case LT_BOOL:
      skip(1);
      if (param.kind == Kind::Bool || param.kind == Kind::Scalar) return bool(*p);
      mismatch(param, "a bool");
    case LT_COMPLEX:
      skip(2);
      if (param.kind == Kind::Scalar) return IValue(c10::complex<double>(as_double(p[0]), as_double(p[1])));
      mismatch(param, "a complex number");
    case LT_STRING: {
      auto s = r.text(n);
      if (param.kind == Kind::String) return s;
      mismatch(param, "a string");
    }
    case LT_DEVICE:
      skip(1);
      if (param.kind == Kind::Device) return device_of(*p);
      mismatch(param, "a device");
    case LT_SEED: {
      skip(1);
      if (param.kind != Kind::Generator) mismatch(param, "a random generator");
      auto g = generator(device);
      g.set_current_seed(*p);
      return g;
    }
    case LT_TENSORS:
      skip(n);
      if (param.kind == Kind::Tensors) {
        c10::List<Tensor> l;
        l.reserve(n);
        for (uint64_t i = 0; i < n; i++) l.push_back(r.tensor(p[i]));
        return l;
      }
      if (param.kind == Kind::OptTensors) {
        c10::impl::GenericList l(c10::OptionalType::ofTensor());
        for (uint64_t i = 0; i < n; i++) l.push_back(p[i] ? IValue(r.tensor(p[i])) : IValue());
        return l;
      }
      mismatch(param, "a list of tensors");
    case LT_INTS:
      skip(n);
      if (param.kind == Kind::Ints) {
        auto q = reinterpret_cast<const int64_t*>(p);
        return c10::List<int64_t>(std::vector<int64_t>(q, q + n));
      }
      mismatch(param, "a list of ints");
    case LT_FLOATS: {
      skip(n);
      if (param.kind == Kind::Scalars) {
        c10::impl::GenericList l(c10::NumberType::get());
        for (uint64_t i = 0; i < n; i++) l.push_back(as_double(p[i]));
        return l;
      }
      if (param.kind != Kind::Floats) mismatch(param, "a list of floats");
      c10::List<double> l;
      for (uint64_t i = 0; i < n; i++) l.push_back(as_double(p[i]));
      return l;
    }
    case LT_BOOLS: {
      skip(n);
      if (param.kind != Kind::Bools) mismatch(param, "a list of bools");
      c10::List<bool> l;
      for (uint64_t i = 0; i < n; i++) l.push_back(p[i] != 0);
      return l;
    }
    case LT_STRINGS: {
      c10::List<std::string> l;
      for (uint64_t i = 0; i < n; i++) {
        uint64_t len = *r.p++ >> 8;
        l.push_back(r.text(len));
      }
      if (param.kind == Kind::Strings) return l;
      mismatch(param, "a list of strings");
    }
  }
  throw std::runtime_error("a corrupt argument");
}

// Writer collects result words, first in the caller's buffer.
struct Writer {
  uint64_t* out;
  int64_t cap, n = 0;
  std::vector<uint64_t> spill;
  void put(uint64_t w) {
    if (spill.empty() && 1 + n < cap) out[1 + n] = w;
    else {
      if (spill.empty()) spill.assign(out + 1, out + 1 + n);
      spill.push_back(w);
    }
    n++;
  }
  void finish() {
    out[0] = uint64_t(n);
    if (spill.empty()) return;
    void* block = malloc(spill.size() * 8);
    if (!block) throw std::bad_alloc();
    std::memcpy(block, spill.data(), spill.size() * 8);
    out[1] = reinterpret_cast<uint64_t>(block);
  }
};

void write(Writer& w, const IValue& v) {
  auto head = [&](int tag, uint64_t n) { w.put(uint64_t(tag) | n << 8); };
  if (v.isTensor()) {
    head(LT_TENSOR, 0);
    w.put(make_handle(v.toTensor()));
  } else if (v.isNone()) {
    head(LT_NONE, 0);
  } else if (v.isInt()) {
    head(LT_INT, 0);
    w.put(uint64_t(v.toInt()));
  } else if (v.isDouble()) {
    head(LT_FLOAT, 0);
    w.put(as_word(v.toDouble()));
  } else if (v.isBool()) {
    head(LT_BOOL, 0);
    w.put(v.toBool());
  } else if (v.isComplexDouble()) {
    auto c = v.toComplexDouble();
    head(LT_COMPLEX, 0);
    w.put(as_word(c.real()));
    w.put(as_word(c.imag()));
  } else if (v.isDevice()) {
    auto d = v.toDevice();
    head(LT_DEVICE, 0);
    w.put(uint64_t(uint8_t(d.type())) << 32 | uint32_t(int32_t(d.index())));
  } else if (v.isString()) {
    const auto& s = v.toStringRef();
    head(LT_STRING, s.size());
    for (size_t i = 0; i < s.size(); i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, s.data() + i, std::min<size_t>(8, s.size() - i));
      w.put(word);
    }
  } else if (v.isList()) {
    auto l = v.toListRef();
    head(LT_LIST, l.size());
    for (const auto& e : l) write(w, e);
  } else if (v.isTuple()) {
    const auto& l = v.toTupleRef().elements();
    head(LT_LIST, l.size());
    for (const auto& e : l) write(w, e);
  } else {
    throw std::runtime_error("a result of type " + v.tagKind() + " has no Go form");
  }
}

// shapes_of lists the shapes of all tensors among the arguments, for error messages.
std::string shapes_of(const uint64_t* args, int64_t nwords) {
  std::string s;
  auto add = [&](const std::string& one) { s += (s.empty() ? "" : ", ") + one; };
  Reader r{args, args + nwords};
  while (r.more()) {
    uint64_t head = *r.p++, n = head >> 8;
    switch (head & 0xff) {
      case LT_TENSOR: add(shape_of(*r.p++)); break;
      case LT_TENSORS:
        if (n) add(shapes_of_handles(r.p, int64_t(n)));
        r.p += n;
        break;
      case LT_NONE: case LT_STRINGS: break;
      case LT_NAMED: case LT_STRING: r.text(n); break;
      case LT_INTS: case LT_FLOATS: case LT_BOOLS: r.p += n; break;
      case LT_COMPLEX: r.p += 2; break;
      default: r.p++;
    }
  }
  return s;
}

c10::Device device_of_args(const uint64_t* args, int64_t nwords) {
  // A random operator draws on the device of its first tensor: all of ours fill a given one.
  return nwords >= 2 && (args[0] & 0xff) == LT_TENSOR && args[1] ? get(args[1]).device() : c10::Device(c10::kCPU);
}

// fill_stack returns whether autograd may have something to record.
bool fill_stack(const Op& op, const uint64_t* args, int64_t nwords, std::vector<IValue>& stack) {
  Reader r{args, args + nwords};
  auto device = device_of_args(args, nwords);
  size_t given = 0;
  while (r.more() && (*r.p & 0xff) != LT_NAMED) {
    if (given == op.params.size()) throw std::runtime_error("too many arguments: it takes " + std::to_string(given));
    stack.push_back(value(r, op.params[given++], device));
  }
  for (size_t i = given; i < op.params.size(); i++) stack.push_back(op.params[i].fallback);
  std::vector<bool> named;
  while (r.more()) {
    if ((*r.p & 0xff) != LT_NAMED) throw std::runtime_error("a positional argument follows a named one");
    auto name = r.text(*r.p++ >> 8);
    size_t i = given;
    while (i < op.params.size() && op.params[i].name != name) i++;
    if (i == op.params.size()) throw std::runtime_error("no further argument is called \"" + name + "\"");
    named.resize(op.params.size());
    if (named[i]) throw std::runtime_error("argument \"" + name + "\" is given twice");
    stack[i] = value(r, op.params[i], device);
    named[i] = true;
  }
  for (size_t i = given; i < op.params.size(); i++)
    if (op.params[i].required && !(i < named.size() && named[i]))
      throw std::runtime_error("argument \"" + op.params[i].name + "\" is missing");
  return r.requires_grad;
}

// call_unboxed runs an operator of one of the common signatures on plain tensors and numbers; false
// where the arguments are anything else.
bool call_unboxed(const Op& op, const uint64_t* args, int64_t n, Tensor& result) {
  auto tensor_at = [&](int64_t i) { return n >= i + 2 && args[i] == LT_TENSOR && args[i + 1]; };
  auto number_at = [&](int64_t i) { return n == i + 2 && (args[i] == LT_FLOAT || args[i] == LT_INT); };
  auto number = [&](int64_t i) { return args[i] == LT_INT ? at::Scalar(int64_t(args[i + 1])) : at::Scalar(as_double(args[i + 1])); };
  if (!tensor_at(0)) return false;
  const Tensor& x = get(args[1]);
  auto run = [&](bool requires_grad, auto call) {
    if (requires_grad) {
      result = call();
    } else {
      at::AutoDispatchBelowAutograd below;
      result = call();
    }
    return true;
  };
  if (op.unary && n == 2) return run(x.requires_grad(), [&] { return op.unary->call(x); });
  if (op.with_scalar && number_at(2)) return run(x.requires_grad(), [&] { return op.with_scalar->call(x, number(2)); });
  if (!tensor_at(2)) return false;
  const Tensor& y = get(args[3]);
  bool requires_grad = x.requires_grad() || y.requires_grad();
  if (op.binary && n == 4) return run(requires_grad, [&] { return op.binary->call(x, y); });
  if (op.binary_scalar && number_at(4)) return run(requires_grad, [&] { return op.binary_scalar->call(x, y, number(4)); });
  if (op.binary_scalar && n == 4 && !op.params[2].required)
    return run(requires_grad, [&] { return op.binary_scalar->call(x, y, op.params[2].fallback.toScalar()); });
  return false;
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
  static thread_local std::vector<IValue> stack;
  char* err = guard(
      [&] {
        liebm::require_scope();
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
      [=] { return shapes_of(args, nwords); });
  stack.clear();
  return err;
}

char* lt_shapes(const uint64_t* args, int64_t nwords) {
  return guarded_value(static_cast<char*>(nullptr), [=] { return strdup(shapes_of(args, nwords).c_str()); });
}

char* lt_ops(char** text) {
  return guard([&] {
    std::ostringstream s;
    for (const auto& name : c10::Dispatcher::singleton().getAllOpNames())
      if (auto op = c10::Dispatcher::singleton().findSchema(name)) s << op->schema() << '\n';
    *text = strdup(s.str().c_str());
  });
}
