// The guard that keeps C++ exceptions from reaching Go. It is a header, not a .cc file, because the guard
// is a template.
#pragma once

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace liebm {

// first_line cuts a message to its first line, where libtorch says what is wrong, and drops the advice
// that libtorch appends to that line.
inline std::string first_line(const std::string& s) {
  return s.substr(0, std::min(s.find('\n'), s.find(" This could be because the operator doesn't exist for this backend")));
}

// message describes the exception that is being handled.
inline std::string message() {
  try {
    throw;
  } catch (const c10::Error& e) {
    return first_line(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return first_line(e.what());
  } catch (...) {
    return "a C++ exception of unknown type";
  }
}

void let_go() noexcept; // ends the use of the tensors that get returned to this thread; scope.cc

// guard runs body. It returns NULL, or the text of a C++ exception as shim.h defines it. shapes
// returns the shapes that the text begins with.
template <class Body, class Shapes>
char* guard(Body body, Shapes shapes) noexcept {
  struct Call {
    ~Call() { let_go(); }
  } call;
  try {
    try {
      body();
      return nullptr;
    } catch (...) {
      auto msg = message();
      return strdup((shapes() + "\n" + msg).c_str());
    }
  } catch (...) {
    return strdup("\nout of memory while describing an error");
  }
}

template <class Body>
char* guard(Body body) noexcept {
  return guard(body, [] { return std::string(); });
}

// guarded_value returns what body returns, or fallback after a C++ exception.
template <class T, class Body>
T guarded_value(T fallback, Body body) noexcept {
  try {
    return body();
  } catch (...) {
    return fallback;
  }
}

} // namespace liebm
