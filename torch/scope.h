// The tensors that Go has handles on. scope.cc has the table of them and the scopes that own them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace liebm {

void require_scope();                                        // throws where this thread has no open scope
uint64_t make_handle(at::Tensor t);                          // in the open scope; 0 for no tensor
const at::Tensor& get(uint64_t handle);                      // valid until let_go; throws for 0, and after the tensor's scope closed
std::vector<at::Tensor> tensors(const uint64_t* handles, int64_t n);
std::string shape_of(uint64_t handle);                       // "[2,3]", for error messages
std::string shapes_of_handles(const uint64_t* handles, int64_t n);

} // namespace liebm
