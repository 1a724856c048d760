// What the other C++ files of this package use of shim.cc: the table of tensors, and guards.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace liebm {

const at::Tensor& tensor_of(uint64_t handle); // throws if its scope has closed
uint64_t handle_of(at::Tensor t);             // in the open scope; 0 for no tensor
char* guarded(const std::function<void()>& body);

} // namespace liebm
