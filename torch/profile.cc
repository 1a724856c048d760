#ifndef NDEBUG
#define NDEBUG // without it RecordFunction has a member more than in any libtorch that was built with it
#endif

#include "guard.h"

#include "profile.h"

#include <ATen/record_function.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>

namespace {

using at::IValue;
using Clock = std::chrono::steady_clock;

// One profile of one thread. Operators call each other. The time of the outermost operator includes the others.
struct Profile {
  at::CallbackHandle callback = 0;
  int64_t part = 0;
  int depth = 0;
  double waiting = 0; // products per output of the convolution that runs
  Clock::time_point start;
  lt_op_time now{};
  std::map<std::pair<int64_t, const char*>, lt_op_time> rows;
};
thread_local Profile profile;

// A name belongs to its schema, which may be freed after the call. lasting keeps one copy of each name.
const char* lasting(const char* name) {
  static thread_local std::set<std::string> names; // rows are read on the thread that wrote them
  return names.emplace(name).first->c_str();
}

double bytes_of(const IValue& v) {
  if (v.isTensor()) return v.toTensor().defined() ? double(v.toTensor().nbytes()) : 0;
  double total = 0;
  if (v.isTensorList())
    for (const at::Tensor& t : v.toTensorVector()) total += double(t.nbytes());
  return total;
}

// products are the multiplications and additions per output of a convolution or linear layer with
// this weight: [out,in,…].
double products(const at::Tensor& weight) { return 2 * double(weight.numel()) / double(weight.size(0)); }

// Counts the operations of the operators that do the arithmetic for others. The output size of a
// convolution is known only when it ends, so its operations are counted then.
void count_before(const char* name, c10::ArrayRef<const IValue> in) {
  auto numel = [&](size_t i) { return double(in[i].toTensor().numel()); };
  auto is = [&](const char* op) { return !std::strcmp(name, op); };
  if (is("aten::convolution")) profile.waiting = products(in[1].toTensor());
  if (is("aten::convolution_backward")) { // as much again for each gradient that is asked for
    auto mask = in[10].toBoolList();
    profile.now.flops += numel(0) * products(in[2].toTensor()) * (int(mask.get(0)) + int(mask.get(1)));
  }
  if (is("aten::mm") || is("aten::mv")) profile.now.flops += 2 * numel(0) * numel(1) / double(in[0].toTensor().size(1));
  if (is("aten::addmm")) profile.now.flops += 2 * numel(1) * numel(2) / double(in[1].toTensor().size(1));
}

// The engine's own records surround those of the operators that a node of the graph calls.
bool is_engine(const at::RecordFunction& f) { return !std::strncmp(f.name(), "autograd::", 10); }

// begin reports whether the operator is an outermost one.
bool begin(const char* name) {
  if (profile.depth++ > 0) return false;
  profile.now = {lasting(name), profile.part, 1, 0, 0, 0};
  profile.start = Clock::now();
  return true;
}

void end(double bytes) {
  profile.now.nanoseconds = std::chrono::nanoseconds(Clock::now() - profile.start).count();
  auto& row = profile.rows[{profile.part, profile.now.op}];
  row.op = profile.now.op;
  row.part = profile.part;
  row.calls++;
  row.nanoseconds += profile.now.nanoseconds;
  row.flops += profile.now.flops;
  row.bytes += profile.now.bytes + bytes;
}

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& f) {
  if (is_engine(f)) return nullptr;
  if (begin(f.name())) {
    for (const auto& v : f.inputs()) profile.now.bytes += bytes_of(v);
    profile.start = Clock::now(); // again: to look at the inputs takes time
  }
  count_before(f.name(), f.inputs());
  return nullptr;
}

void leave(const at::RecordFunction& f, at::ObserverContext*) {
  if (is_engine(f)) return;
  if (profile.waiting > 0 && !std::strcmp(f.name(), "aten::convolution") && !f.outputs().empty()) {
    profile.now.flops += profile.waiting * double(f.outputs()[0].toTensor().numel());
    profile.waiting = 0;
  }
  if (--profile.depth > 0) return;
  double bytes = 0;
  for (const auto& v : f.outputs()) bytes += bytes_of(v);
  end(bytes);
}

} // namespace

liebm::Profiled::Profiled(const char* op, double flops, double bytes) : bytes(bytes), on(profile.callback != 0) {
  if (!on) return;
  begin(op);
  profile.now.flops += flops;
}

liebm::Profiled::~Profiled() {
  if (on && --profile.depth == 0) end(bytes);
}

char* lt_profile_start(void) {
  return liebm::guard([] {
    if (profile.callback) throw std::runtime_error("this thread is being profiled already");
    profile = {};
    profile.callback = at::addThreadLocalCallback(
        at::RecordFunctionCallback(enter, leave).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}));
  });
}

void lt_profile_part(int64_t part) { profile.part = part; }

char* lt_profile_stop(lt_op_time** rows, int64_t* n) {
  return liebm::guard([=] {
    at::removeCallback(profile.callback);
    profile.callback = 0;
    *n = int64_t(profile.rows.size());
    *rows = static_cast<lt_op_time*>(std::calloc(profile.rows.size() + 1, sizeof(lt_op_time)));
    if (!*rows) throw std::bad_alloc();
    lt_op_time* out = *rows;
    for (const auto& row : profile.rows) *out++ = row.second;
  });
}
