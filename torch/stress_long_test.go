//go:build long

package torch

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestManyGoroutines(t *testing.T) {
	before := Live()
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				err := Do(func() error {
					steps(func(part int) {
						if (g+i)%11 == part {
							leave("operator error", nil)
						}
						if part == 3 {
							runtime.Gosched()
						}
					})
					return errStop
				})
				var e *Error
				assert.True(t, errors.Is(err, errStop) || errors.As(err, &e))
			}
		}()
	}
	wg.Wait()
	assert.Equal(t, before, Live())
}

func TestResidentMemoryIsFlatOver100000Iterations(t *testing.T) {
	in(t, func() {
		w := FromSlice([]float32{.1, -.2, .3, .4}, 2, 2).Leaf()
		x := Ones([]int{4, 2}, Float32)
		iterate := func(n int) {
			for range n {
				Tidy(func() Tensor {
					loss := x.Matmul(w).ReLU().Square().Mean()
					w.Detach().AddInPlace(Grad(loss, w, false), -1e-6)
					return Tensor{}
				})
			}
		}
		iterate(10_000)
		live, before := Live(), status(t, "VmRSS")
		iterate(100_000)
		assert.Equal(t, live, Live())
		assert.Less(t, status(t, "VmRSS")-before, 4<<10, "kB; the Go heap moves by some hundreds")
	})
}
