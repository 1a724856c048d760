package torch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// steps is a small computation with every way of owning a tensor; it calls at before each part.
func steps(at func(part int)) {
	at(0)
	w := Ones([]int{8, 8}, Float32).Leaf()
	at(1)
	inner := Tidy(func() Tensor {
		h := w.Matmul(w)
		at(2)
		return h.ReLU().Sum()
	})
	at(3)
	g := Grad(inner, w, false)
	at(4)
	kept := g.Clone().Keep()
	defer kept.Close()
	at(5)
	NoGrad(func() {
		w.Detach().AddInPlace(g, -.1)
		at(6)
	})
	parts := g.Chunk(2, 0)
	parts[0].Close()
	at(7)
}

const parts = 8

var errStop = errors.New("stop")

// leave ends a computation in one of the ways that Go has.
func leave(how string, ctx context.Context) {
	switch how {
	case "operator error":
		Ones([]int{2, 3}, Float32).Matmul(Ones([]int{2, 3}, Float32))
	case "panic":
		panic("not torch's")
	case "goexit":
		runtime.Goexit()
	case "cancelled":
		panic(ctx.Err())
	}
}

func TestNothingIsLeftWhereverAndHoweverDoEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	before := Live()
	for _, how := range []string{"operator error", "panic", "goexit", "cancelled"} {
		for stop := range parts {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = Do(func() error {
					steps(func(part int) {
						if part == stop {
							leave(how, ctx)
						}
					})
					return nil
				})
			}()
			<-done
			require.Equal(t, before, Live(), "%s at part %d", how, stop)
		}
	}
	require.NoError(t, Do(func() error { // the grad mode of every thread is as it was
		if !Ones([]int{1}, Float32).Leaf().MulScalar(2).RequiresGrad() {
			return errStop
		}
		return nil
	}))
}

func TestExactLiveCounts(t *testing.T) {
	base := Live()
	var kept Tensor
	require.NoError(t, Do(func() error {
		a := Ones([]int{2, 2}, Float32)
		assert.Equal(t, base+1, Live(), "created")
		b := Tidy(func() Tensor {
			c := a.Add(a)
			d := c.Mul(c)
			assert.Equal(t, base+3, Live(), "two more inside")
			return d
		})
		assert.Equal(t, base+2, Live(), "one freed, one moved out")
		b.Chunk(2, 0)
		assert.Equal(t, base+4, Live(), "a list")
		b.Close()
		b.Close()
		assert.Equal(t, base+3, Live(), "closed once")
		a.Keep()
		assert.Equal(t, a, Tidy(func() Tensor { return a }), "moving what is kept changes nothing")
		assert.Equal(t, base+3, Live())
		a.AddInPlace(a, 1)
		assert.Equal(t, base+3, Live(), "in place: nothing new")
		kept = a
		return nil
	}))
	assert.Equal(t, base+1, Live(), "the kept one")
	kept.Close()
	assert.Equal(t, base, Live())
}

func TestSharedTensorsAreReadByManyGoroutines(t *testing.T) {
	in(t, func() {
		shared := Arange(1000).To(Float32)
		var wg sync.WaitGroup
		for range 16 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range 100 {
					assert.NoError(t, Do(func() error {
						if got := shared.Sum().Item(); got != 499500 {
							return errors.New(strconv.FormatFloat(got, 'g', -1, 64))
						}
						return nil
					}))
				}
			}()
		}
		wg.Wait()
	})
}

func TestATensorThatAnotherGoroutineClosesIsAnErrorNotACrash(t *testing.T) {
	base, rounds := Live(), 200
	if testing.Short() {
		rounds = 20
	}
	var shared atomic.Uint64 // a handle
	var ended atomic.Bool
	var owners, users sync.WaitGroup
	publish := func(round int) error {
		x := Ones([]int{8, 8}, Float32)
		shared.Store(x.h)
		runtime.Gosched()
		if round%2 == 0 { // else the scope does
			x.Close()
		}
		return nil
	}
	require.NoError(t, Do(func() error { return publish(0) }))
	for range 4 {
		owners.Go(func() {
			for i := range rounds {
				assert.NoError(t, Do(func() error { return publish(i) }))
			}
		})
	}
	for range 16 {
		users.Go(func() {
			for !ended.Load() {
				err := Do(func() error {
					x := Tensor{shared.Load()}
					if sum := x.Mul(x).Sum().Item(); sum != 64 || len(ToSlice[float32](x)) != 64 {
						return fmt.Errorf("the sum of another tensor, %v", sum)
					}
					return nil
				})
				if err != nil {
					assert.ErrorContains(t, err, "a tensor was used after its scope closed, or after Close")
				}
			}
		})
	}
	owners.Wait()
	ended.Store(true)
	users.Wait()
	assert.Equal(t, base, Live())
}

// status reads a number of /proc/self/status.
func status(t *testing.T, key string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(text), "\n"+key+":")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return n
}

func TestThreadsStayBounded(t *testing.T) {
	work := func() error {
		return Do(func() error { Ones([]int{300, 300}, Float32).AddScalar(1).Exp().Sum().Item(); return nil })
	}
	before := status(t, "Threads") // other tests leave idle ones
	// Goroutines that hold their OS threads: each computes on another one.
	release := make(chan struct{})
	var computed, ended sync.WaitGroup
	for range 40 {
		computed.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			runtime.LockOSThread()
			assert.NoError(t, work())
			computed.Done()
			<-release
		}()
	}
	computed.Wait()
	// Each of the 40 threads may stay; pools of their own, NumCPU-1 threads each, may not.
	threads := status(t, "Threads")
	close(release)
	ended.Wait()
	assert.Less(t, threads, before+40+runtime.NumCPU()+5)
}

func TestGradModeIsRestoredAcrossPanics(t *testing.T) {
	_ = Do(func() error {
		NoGrad(func() { Ones([]int{2}, Float32).Matmul(Ones([]int{3}, Float32)) })
		return nil
	})
	in(t, func() { assert.True(t, Ones([]int{1}, Float32).Leaf().MulScalar(2).RequiresGrad()) })
}

func TestAllocationTooLargeNamesTheSize(t *testing.T) {
	e := failure(t, func() { Empty([]int{1 << 30, 1 << 20}, Float32) })
	assert.Equal(t, "aten::empty.memory_format", e.Op)
	assert.Regexp(t, `\d{6,}`, e.Msg)
}
