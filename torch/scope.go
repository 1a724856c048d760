package torch

// #include "shim.h"
import "C"

import "runtime"

// Do opens a scope and runs f. When f ends, Do frees every tensor that f and the functions it called
// made on this goroutine. While f runs, the goroutine is pinned to its OS thread, because libtorch has
// a grad mode and an OpenMP pool per thread.
//
// An operator that fails inside f panics with *[Error], and Do returns that error. Any other panic
// passes through. Only Go values and kept tensors outlive Do.
func Do(f func() error) (err error) {
	if err := setUp(); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		default:
			panic(e)
		}
	}()
	depth := openScope()
	defer C.lt_scope_close(depth, 0)
	return f()
}

func openScope() C.int64_t {
	depth := C.lt_scope_open()
	if depth == 0 {
		panic(&Error{Op: "scope", Msg: "out of memory"})
	}
	return depth
}

// Tidy runs f in an inner scope. When f ends, Tidy frees every tensor made inside, except the result,
// which moves to the enclosing scope. Panics pass through.
func Tidy(f func() Tensor) (result Tensor) {
	depth := openScope()
	defer func() { C.lt_scope_close(depth, C.uint64_t(result.h)) }()
	return f()
}

// Keep takes t out of all scopes and returns it. The caller must close it. Keeping a tensor twice is
// an error; keep an alias instead: t.Detach().Keep().
func (t Tensor) Keep() Tensor {
	check("keep", C.lt_keep(C.uint64_t(t.h)))
	return t
}

// Close frees t before its scope does. A later use of t is an error. Closing t twice does nothing, and
// so does closing the zero Tensor. A call of another goroutine that uses t meanwhile keeps it until that
// call ends.
func (t Tensor) Close() { C.lt_free(C.uint64_t(t.h)) }

// Live is the number of tensors alive in the process. In a training loop without a leak it stays constant.
func Live() int { return int(C.lt_live()) }

// NoGrad runs f without recording operators for autograd, like torch.no_grad.
func NoGrad(f func()) { withGradMode(0, f) }

// EnableGrad runs f with recording on, also inside NoGrad, like torch.enable_grad.
func EnableGrad(f func()) { withGradMode(1, f) }

func withGradMode(mode C.int, f func()) {
	before := C.lt_grad_mode(mode)
	defer C.lt_grad_mode(before)
	f()
}
