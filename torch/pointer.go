package torch

// #include "shim.h"
import "C"

import "unsafe"

// Tensors of other libraries in the process, such as gotorch's, cross as pointers to at::Tensor. What
// crosses is one more reference to the same c10::TensorImpl: storage, autograd history, gradient and
// version counter are the original's, nothing is copied. Both sides must have been built with the
// headers of the one libtorch that the process has loaded.

// FromPointer makes the at::Tensor at p a tensor of the open scope, which holds a reference of its
// own: p stays its owner's, who may delete it any time after FromPointer has returned. A nil p and
// an undefined at::Tensor are the zero Tensor.
func FromPointer(p unsafe.Pointer) Tensor {
	var out C.uint64_t
	check("from_pointer", C.lt_from_pointer(p, &out))
	return Tensor{uint64(out)}
}

// NewPointer returns a new at::Tensor* that refers to t, or nil for the zero Tensor. It holds a
// reference of its own, so that t's scope may close, and belongs to the caller, who gives it to
// somebody who will delete it, or to [FreePointer].
func (t Tensor) NewPointer() unsafe.Pointer {
	if !t.Defined() {
		return nil
	}
	var p unsafe.Pointer
	check("new_pointer", C.lt_new_pointer(C.uint64_t(t.h), &p))
	return p
}

// FreePointer deletes what [Tensor.NewPointer] returned; nil is harmless. It may run on any thread.
func FreePointer(p unsafe.Pointer) { C.lt_free_pointer(p) }
