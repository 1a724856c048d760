package torch

// #include "shim.h"
import "C"

import "runtime"

// Do opens a scope, runs f and frees on the way out every tensor that f, or anything it called,
// made on this goroutine. It pins the goroutine to its OS thread meanwhile, since libtorch keeps
// its grad mode and OpenMP pool per thread.
//
// An operator that fails inside f panics with *[Error]; Do returns that as its error. Any other
// panic passes through. Out of Do come Go values and tensors that were kept.
func Do(f func() error) (err error) {
	setUp()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	depth := C.lt_scope_open()
	defer C.lt_scope_close(depth, 0)
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		default:
			panic(e)
		}
	}()
	return f()
}

// Tidy runs f in an inner scope: everything made inside is freed except the result, which moves to
// the enclosing scope. It recovers nothing.
func Tidy(f func() Tensor) (result Tensor) {
	depth := C.lt_scope_open()
	defer func() { C.lt_scope_close(depth, C.uint64_t(result.h)) }()
	return f()
}

// Keep takes t out of all scopes and returns it. Whoever keeps a tensor closes it, so it has one
// keeper: keeping it again is an error, which an alias, t.Detach().Keep(), avoids.
func (t Tensor) Keep() Tensor {
	check("keep", C.lt_keep(C.uint64_t(t.h)))
	return t
}

// Close frees t before its scope does. Closing twice, or the zero Tensor, is harmless, and a later use
// is an error. Like any write in Go it must not run beside a use on another goroutine.
func (t Tensor) Close() { C.lt_free(C.uint64_t(t.h)) }

// Live is the number of tensors alive in the process. A training loop keeps it flat.
func Live() int { return int(C.lt_live()) }

// NoGrad runs f without recording operators for autograd, like torch.no_grad.
func NoGrad(f func()) { withGradMode(0, f) }

// EnableGrad runs f with recording on, inside a NoGrad, like torch.enable_grad.
func EnableGrad(f func()) { withGradMode(1, f) }

func withGradMode(mode C.int, f func()) {
	before := C.lt_grad_mode(mode)
	defer C.lt_grad_mode(before)
	f()
}
