//go:build gotorch

package gotorch

// #cgo LDFLAGS: -Wl,-rpath,${SRCDIR}/../../third_party/gotorch -ldl
// #include "lifetime.h"
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

	upstream "github.com/wangkuiyi/gotorch"

	"github.com/liebm/liebm/torch"
)

// From returns a gotorch tensor as a torch.Tensor of the open scope, with the same storage, autograd history
// and gradient. t may be collected afterwards. For a gotorch tensor without content, such as a missing Grad,
// the result is the zero Tensor.
func From(t upstream.Tensor) torch.Tensor {
	if t.T == nil {
		return torch.FromPointer(nil)
	}
	defer runtime.KeepAlive(t.T) // its finalizer deletes what *t.T points to
	return torch.FromPointer(*t.T)
}

// To returns t as a gotorch tensor, with the same storage, autograd history and gradient. The scope of t may
// close before the result is used. The result keeps t's memory until Go's collector finds it. For the zero
// Tensor the result is gotorch's nil.
func To(t torch.Tensor) upstream.Tensor {
	p := t.NewPointer()
	if p == nil {
		return upstream.Tensor{}
	}
	cell := new(unsafe.Pointer) // what gotorch's finalizers watch
	*cell = p
	upstream.SetTensorFinalizer(cell)
	return upstream.Tensor{T: cell}
}

// Run runs f, which may call any function of gotorch. No tensor that f uses is freed before f returns.
// gotorch panics with the text of libtorch's error, and Run panics with a *torch.Error instead. Run collects
// garbage when C's memory has grown much.
func Run(f func()) { run("gotorch", torch.Tensor{}, f) }

// run names op and the shape of x in errors.
func run(op string, x torch.Tensor, f func()) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case string:
			err := &torch.Error{Op: op}
			err.Msg, _, _ = strings.Cut(e, "\n")
			if x.Defined() {
				err.Shapes = fmt.Sprint(x.Shape())
			}
			panic(err)
		default:
			panic(e)
		}
	}()
	epoch := C.gt_enter()
	defer func() {
		if C.gt_leave(epoch) != 0 {
			collect()
		}
	}()
	f()
}

// collect runs Go's collector and waits until it has begun to run finalizers, which free gotorch's tensors. Without
// the wait, a busy machine lets tensors pile up. It waits for a tenth of a second at most: a finalizer of
// someone else may never end.
func collect() {
	begun := make(chan struct{})
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { close(begun) })
	runtime.GC()
	select {
	case <-begun:
	case <-time.After(100 * time.Millisecond):
	}
}
