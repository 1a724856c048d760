package torch

// #include "shim.h"
import "C"

import "unsafe"

// Tensors pass to and from other libraries in the process, such as gotorch, as pointers to at::Tensor.
// Nothing is copied: both sides have a reference to one c10::TensorImpl, with its storage, autograd
// history, gradient and version counter. Both must have been built with the headers of the libtorch that
// the process has loaded.

// FromPointer returns the at::Tensor at p as a tensor of the open scope, with a reference of its own. The
// owner of p may delete it once FromPointer has returned. For a nil p and for an undefined at::Tensor
// the result is the zero Tensor.
func FromPointer(p unsafe.Pointer) Tensor {
	var out C.uint64_t
	check("from_pointer", C.lt_from_pointer(p, &out))
	return Tensor{uint64(out)}
}

// NewPointer returns a new at::Tensor* that refers to t, or nil for the zero Tensor. It has a reference of
// its own, so t's scope may close. The caller must delete it: with [FreePointer], or in another library.
func (t Tensor) NewPointer() unsafe.Pointer {
	if !t.Defined() {
		return nil
	}
	var p unsafe.Pointer
	check("new_pointer", C.lt_new_pointer(C.uint64_t(t.h), &p))
	return p
}

// FreePointer deletes the result of [Tensor.NewPointer]. p may be nil. Any thread may call it.
func FreePointer(p unsafe.Pointer) { C.lt_free_pointer(p) }
