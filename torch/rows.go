package torch

// #include "profile.h"
// #include "shim.h"
import "C"

import (
	"sync"
	"sync/atomic"
)

// rowBlock is how many rows f gets at once in Rows. With 4 rows of 32×32 pixels, calling the operators of a small
// network took a third longer than with 8.
const rowBlock = 8

// Rows maps x: [n,…] by f, which must treat every row by itself, as a network without batch statistics does. It calls
// f for blocks of at most 8 rows, with the index of the first, and joins the results: [rows,…] each. They carry no
// graph. The blocks run on as many threads as an operator may use, each block on one of them, since small
// operators that share their work between threads spend much of the time waiting for each other.
//
// The blocks do not depend on the number of threads, so the result does not either. Calls of f may run at the same
// time; f may read tensors of the open scope. On a GPU, f gets all rows at once.
func Rows(x Tensor, f func(rows Tensor, first int) Tensor) Tensor {
	n := x.Size(0)
	blocks := (n + rowBlock - 1) / rowBlock
	if blocks <= 1 || x.Device().Type != CPU {
		return f(x, 0)
	}
	out := make([]Tensor, blocks)
	defer func() {
		for _, t := range out {
			t.Close()
		}
	}()
	share(blocks, func(i int) {
		first := i * rowBlock
		out[i] = Tidy(func() Tensor { return f(x.Narrow(0, first, min(rowBlock, n-first)), first).Detach() }).Keep()
	})
	return Cat(out, 0)
}

// share calls f for 0 to n−1 on the threads that an operator may use, of which each gets an equal part. A panic of f
// becomes the caller's.
func share(n int, f func(i int)) {
	workers := min(n, Threads())
	mode := C.lt_grad_mode(1)
	C.lt_grad_mode(mode)
	var next atomic.Int64
	var failed atomic.Value
	profile := C.lt_profile_share(C.int(workers))
	defer C.lt_profile_share(1)
	work := func(joins bool) {
		defer func() {
			if r := recover(); r != nil {
				failed.CompareAndSwap(nil, &r)
			}
		}()
		err := Do(func() error {
			if joins {
				check("profile", C.lt_profile_join(profile))
				defer func() { check("profile", C.lt_profile_leave(profile)) }()
			}
			defer C.lt_limit_threads(C.lt_limit_threads(C.int(max(1, Threads()/workers))))
			withGradMode(mode, func() {
				for i := next.Add(1) - 1; int(i) < n && failed.Load() == nil; i = next.Add(1) - 1 {
					f(int(i))
				}
			})
			return nil
		})
		if err != nil {
			panic(err)
		}
	}
	var others sync.WaitGroup
	for range workers - 1 {
		others.Go(func() { work(profile != nil) })
	}
	work(false)
	others.Wait()
	if r, ok := failed.Load().(*any); ok {
		panic(*r)
	}
}
