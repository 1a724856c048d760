package torch

// #include "profile.h"
// #include "shim.h"
import "C"

import (
	"sync"
	"sync/atomic"
)

// blocksOf divides n rows into blocks: an eighth of the rows each, but 8 to 32. With fewer rows, calling the operators of
// a small network takes much of the time: in a chain on one thread, blocks of 4 of 16 rows took a third longer than
// blocks of 8, and blocks of 8 of 128 rows a seventh longer than blocks of 16. A GPU gets all rows at once.
func blocksOf(n int, d Device) (blocks, rows int) {
	rows = min(max(8, n/8), 32)
	if d.Type != CPU || n <= rows {
		return 1, n
	}
	return (n + rows - 1) / rows, rows
}

// Rows maps x: [n,…] by f, which must treat every row by itself, as a network without batch statistics does. It calls
// f for blocks of rows, with the index of the first, and joins the results: [rows,…] each. They carry no graph.
// The blocks run on as many threads as an operator may use, each block on one of them: if such threads share the work
// of every small operator instead, they spend much of the time waiting for each other.
//
// The blocks depend on n and not on the number of threads. So the result does not depend on that number, unless there are
// more threads than blocks: then several threads share a block. Calls of f may run at the same time. They may read tensors
// of the open scope.
func Rows(x Tensor, f func(rows Tensor, first int) Tensor) Tensor {
	n := x.Size(0)
	blocks, size := blocksOf(n, x.Device())
	out := make([]Tensor, blocks)
	defer closeAll(out)
	share(blocks, func(i int) {
		first := i * size
		out[i] = Tidy(func() Tensor { return f(x.Narrow(0, first, min(size, n-first)), first).Detach() }).Keep()
	})
	return Cat(out, 0)
}

// RowGrads returns the gradients of the sum of losses of n rows, as Rows maps rows: f gets the index of a block's first row
// and the number of its rows, and returns the block's loss and tensors of its rows, [rows,…] each. RowGrads adds the losses'
// gradients in leaves up, in the order of the blocks, and joins the tensors. Neither result carries a graph, and each
// thread keeps the graph of one block only. The gradient is the zero Tensor for a leaf that no loss depends on.
func RowGrads(n int, leaves []Tensor, f func(first, rows int) (loss Tensor, out []Tensor)) (grads, out []Tensor) {
	blocks, size := blocksOf(n, leaves[0].Device())
	parts, results := make([][]Tensor, blocks), make([][]Tensor, blocks)
	defer func() {
		for i := range blocks {
			closeAll(parts[i])
			closeAll(results[i])
		}
	}()
	var adding sync.Mutex
	added := 0 // parts that parts[0] has
	share(blocks, func(i int) {
		Tidy(func() Tensor {
			loss, out := f(i*size, min(size, n-i*size))
			results[i] = keepAll(out)
			g := keepAll(Grads(loss, leaves, GradOptions{}))
			adding.Lock()
			defer adding.Unlock()
			for parts[i] = g; added < blocks && parts[added] != nil; added++ {
				if added > 0 {
					addTo(parts[0], parts[added])
				}
			}
			return Tensor{}
		})
	})
	for _, g := range parts[0] {
		grads = append(grads, g.orNone(Tensor.Detach))
	}
	for k := range results[0] {
		var rows []Tensor
		for i := range blocks {
			rows = append(rows, results[i][k])
		}
		out = append(out, Cat(rows, 0))
	}
	return grads, out
}

// addTo adds b to a and closes b. A tensor that a has not, b has not either.
func addTo(a, b []Tensor) {
	NoGrad(func() {
		for i, t := range a {
			if t.Defined() {
				a[i] = t.Add(b[i]).Keep() // not in place: autograd may share a gradient's memory
				t.Close()
			}
		}
	})
	closeAll(b)
}

// keepAll keeps aliases of tensors without their graph.
func keepAll(ts []Tensor) (kept []Tensor) {
	for _, t := range ts {
		kept = append(kept, t.orNone(func(t Tensor) Tensor { return t.Detach().Keep() }))
	}
	return kept
}

func closeAll(ts []Tensor) {
	for _, t := range ts {
		t.Close()
	}
}

// orNone is f(t), or none if t is.
func (t Tensor) orNone(f func(Tensor) Tensor) Tensor {
	if !t.Defined() {
		return t
	}
	return f(t)
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
