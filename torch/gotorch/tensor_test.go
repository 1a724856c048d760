//go:build gotorch

package gotorch_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	upstream "github.com/wangkuiyi/gotorch"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/gotorch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestTensors(t *testing.T) {
	torchtest.Run(t, "ours in gotorch's functions", func(t *testing.T) {
		x := torch.FromSlice([]float32{1, 2, 3, 4}, 2, 2)
		y := gotorch.To(x)
		require.Equal(t, []int64{2, 2}, y.Shape())
		product := upstream.MM(y, y)
		require.Equal(t, []float32{7, 10, 15, 22}, torch.ToSlice[float32](gotorch.From(product)))
	})
	torchtest.Run(t, "a change on one side is seen on the other", func(t *testing.T) {
		x := torch.FromSlice([]float32{1, 2})
		y := gotorch.To(x)
		one := upstream.Ones([]int64{2}, false)
		y.AddI(one, 1)
		require.Equal(t, []float32{2, 3}, torch.ToSlice[float32](x))
		gotorch.From(one).MulInPlace(5)
		require.EqualValues(t, 5, one.Index(1).Item())
	})
	torchtest.Run(t, "a graph begun here goes on there and ends here", func(t *testing.T) {
		x := torch.FromSlice([]float32{1, -2, 3}).Leaf()
		y := upstream.Mul(gotorch.To(x.Square()), upstream.Ones([]int64{3}, false))
		require.Equal(t, []float32{2, -4, 6}, torch.ToSlice[float32](torch.Grad(gotorch.From(y).Sum(), x, false)))
	})
	torchtest.Run(t, "the gradient is shared", func(t *testing.T) {
		w := upstream.Ones([]int64{3}, true)
		require.False(t, gotorch.From(w.Grad()).Defined())
		gotorch.From(upstream.Sum(upstream.Mul(w, w))).Backward()
		require.Equal(t, []float32{2, 2, 2}, torch.ToSlice[float32](gotorch.From(w.Grad())))
		require.Equal(t, []float32{2, 2, 2}, torch.ToSlice[float32](gotorch.From(w).Grad()))
	})
	torchtest.Run(t, "NoGrad holds for both", func(t *testing.T) {
		w := upstream.Ones([]int64{3}, true)
		torch.NoGrad(func() { require.False(t, gotorch.From(upstream.Mul(w, w)).RequiresGrad()) })
	})
	torchtest.Run(t, "no tensor is nil", func(t *testing.T) {
		require.Nil(t, gotorch.To(torch.Tensor{}).T)
		require.Equal(t, torch.Tensor{}, gotorch.From(upstream.Tensor{}))
	})
}

// TestThreads: gotorch's init halves the count.
func TestThreads(t *testing.T) {
	want, err := strconv.Atoi(os.Getenv("OMP_NUM_THREADS"))
	if err != nil {
		want = runtime.NumCPU()
	}
	require.Equal(t, want, torch.Threads())
}

func TestErrors(t *testing.T) {
	a, b := upstream.Ones([]int64{2, 3}, false), upstream.Ones([]int64{2, 3}, false)
	err := torch.Do(func() error { gotorch.Run(func() { upstream.MM(a, b) }); return nil })
	var e *torch.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", e.Msg)

	require.ErrorContains(t, torch.Do(func() error {
		x := torch.Scalar(1)
		x.Close()
		gotorch.To(x)
		return nil
	}), "used after its scope closed")
	require.Panics(t, func() { gotorch.From(a) }, "no open scope")
}

// collect runs Go's collector until every tensor that it can find has been freed.
func collect() {
	for range 3 {
		done := make(chan struct{})
		runtime.SetFinalizer(new([16]byte), func(*[16]byte) { close(done) })
		runtime.GC()
		<-done
	}
}

func TestLifetimes(t *testing.T) {
	t.Run("ours outlives gotorch's", func(t *testing.T) {
		torchtest.Scope(t, func() {
			x := gotorch.From(upstream.Full([]int64{1 << 16}, 3, false))
			collect()
			churn()
			require.EqualValues(t, 3<<16, x.Sum().Item())
		})
	})
	t.Run("gotorch's outlives our scope", func(t *testing.T) {
		var y upstream.Tensor
		torchtest.Scope(t, func() { y = gotorch.To(torch.Full([]int{1 << 16}, 3, torch.Float32)) })
		churn()
		require.EqualValues(t, 3<<16, upstream.Sum(y).Item())
	})
	t.Run("a graph outlives the tensors it was made of", func(t *testing.T) {
		torchtest.Scope(t, func() {
			x := torch.Full([]int{1 << 16}, 3, torch.Float32).Leaf()
			y := torch.Tidy(func() torch.Tensor {
				h := gotorch.To(x.Square())
				return gotorch.From(upstream.Mul(h, h))
			})
			collect()
			churn()
			grad := torch.Grad(y.Sum(), x, false)
			require.Equal(t, 4*27.0, grad.Max().Item())
			require.Equal(t, 4*27.0, grad.Min().Item())
		})
	})
}

// churn writes over memory that was freed too early.
func churn() {
	_ = torch.Do(func() error {
		for range 100 {
			torch.Full([]int{1 << 16}, 9, torch.Float32)
		}
		return nil
	})
}

// TestTemporaries calls gotorch while the collector runs all the time. Without Run the finalizer of a
// temporary soon frees what an operator still reads, and the process dies.
func TestTemporaries(t *testing.T) {
	var stop atomic.Bool
	var collector, workers sync.WaitGroup
	collector.Go(func() {
		for !stop.Load() {
			runtime.GC()
		}
	})
	for range 2 { // whose calls overlap, so that freeing never finds a moment without one
		workers.Go(func() {
			err := torch.Do(func() error {
				x := gotorch.To(torch.Ones([]int{256, 256}, torch.Float32).Leaf())
				for range 200 {
					torch.Tidy(func() (y torch.Tensor) {
						gotorch.Run(func() {
							y = gotorch.From(upstream.Sum(upstream.Relu(upstream.Mul(upstream.Add(x, x, 1), x))))
						})
						if v := y.Item(); v != 2*256*256 {
							t.Errorf("the sum is %v", v)
						}
						return torch.Tensor{}
					})
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	stop.Store(true)
	collector.Wait()
}

// TestMemory makes 8 MB of temporaries 300 times. Go's collector, which sees a few bytes each, would
// let all 2.4 GB pile up. Half of that is the bound: finalizers run when they get a processor.
func TestMemory(t *testing.T) {
	torchtest.Scope(t, func() {
		x := gotorch.To(torch.Ones([]int{1 << 20}, torch.Float32))
		before, most := resident(t), 0
		for range 300 {
			gotorch.Run(func() { upstream.Relu(upstream.Mul(x, x)) })
			most = max(most, resident(t))
		}
		require.Less(t, most-before, 1200<<20)
	})
}

// resident is the memory of the process in bytes.
func resident(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}
