package torch

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// in runs f in a scope and fails the test if a tensor outlives it.
func in(t *testing.T, f func()) {
	t.Helper()
	before := Live()
	require.NoError(t, Do(func() error { f(); return nil }))
	assert.Equal(t, before, Live(), "tensors outlived their scope")
}

func failure(t *testing.T, f func()) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, Do(func() error { f(); return nil }), &e)
	return e
}

func TestCallPassesEveryKindOfArgument(t *testing.T) {
	in(t, func() {
		x := FromSlice([]float32{1, 2, 3, 4}, 2, 2)
		assert.Equal(t, []float32{3, 6, 9, 12}, ToSlice[float32](Call("aten::add.Tensor", x, x, Named{"alpha", 2}).Tensor(0)))
		assert.Equal(t, []float32{1, 2, 3, 4, 1, 2, 3, 4}, ToSlice[float32](Cat([]Tensor{x, x}, 0)))
		assert.Equal(t, []float32{1, 3}, ToSlice[float32](Call("aten::index.Tensor", x, []Tensor{{}, FromSlice([]int64{0})}).Tensor(0).Flatten(0)))
		assert.Equal(t, []float32{1, 2.5, 4}, ToSlice[float32](Call("aten::quantile", x, FromSlice([]float32{0, .5, 1})).Tensor(0)))
		assert.Equal(t, []float32{3, 7}, ToSlice[float32](Call("aten::einsum", "ij->i", []Tensor{x}).Tensor(0)))
		assert.True(t, Call("aten::equal", x, x)[0].(bool))
		assert.Equal(t, int64(2), Call("aten::size.int", x, 0)[0])
		assert.Len(t, Call("aten::unbind.int", x).Tensors(0), 2)
		values := Call("aten::max.dim", x, 1)
		assert.Equal(t, []float32{2, 4}, ToSlice[float32](values.Tensor(0)))
		assert.Equal(t, []int64{1, 1}, ToSlice[int64](values.Tensor(1)))
		assert.Equal(t, Float64, Call("aten::to.device", x, Device{}, Float64).Tensor(0).DType())
		assert.Equal(t, []float32{2, 2}, ToSlice[float32](Call("aten::upsample_nearest2d.vec", x.Reshape(1, 1, 2, 2), nil, []float64{.5, 1}).Tensor(0).Flatten(0).MulScalar(2).Narrow(0, 0, 1).Expand(2)))
	})
}

func TestResultsLargerThanTheBuffer(t *testing.T) {
	in(t, func() {
		parts := Call("aten::unbind.int", Arange(1000)).Tensors(0)
		require.Len(t, parts, 1000)
		assert.Equal(t, 999.0, parts[999].Item())
	})
}

func TestANumberOfThreadsThatIsWrongIsAnError(t *testing.T) {
	before := Threads()
	for _, n := range []int{0, -1, 1 << 31, 4097} {
		var e *Error
		require.ErrorAs(t, SetThreads(n), &e)
		assert.Equal(t, fmt.Sprintf("%d threads: use 1 to 4096", n), e.Msg)
	}
	assert.Equal(t, before, Threads())
	for env, want := range map[string]int{"": runtime.NumCPU(), " 3 ": 3, "4,2": 4} {
		got, err := ompThreads(env)
		assert.NoError(t, err)
		assert.Equal(t, want, got, env)
	}
	for _, env := range []string{"0", "-1", "2147483648", "4097", "many", "99999999999999999999"} {
		_, err := ompThreads(env)
		assert.ErrorContains(t, err, fmt.Sprintf("OMP_NUM_THREADS is %q: use 1 to 4096, or unset it", env))
	}
}

func TestTidyMovesItsResultOut(t *testing.T) {
	in(t, func() {
		before := Live()
		x := Tidy(func() Tensor {
			a := Arange(3)
			return a.Neg().Neg()
		})
		assert.Equal(t, before+1, Live())
		assert.Equal(t, []int64{0, 1, 2}, ToSlice[int64](x))
		same := Tidy(func() Tensor { return x }) // from an outer scope: stays there
		assert.Equal(t, x, same)
		assert.Equal(t, before+1, Live())
	})
}

func TestKeepOutlivesScopesUntilClosed(t *testing.T) {
	before := Live()
	var kept Tensor
	require.NoError(t, Do(func() error { kept = Arange(3).Keep(); return nil }))
	assert.Equal(t, before+1, Live())
	in(t, func() { assert.Equal(t, 2.0, kept.Max().Item()) })
	kept.Close()
	kept.Close()
	assert.Equal(t, before, Live())
}

func TestPanicsPassThroughDoAndFreeTheScope(t *testing.T) {
	before := Live()
	assert.PanicsWithValue(t, "mine", func() {
		_ = Do(func() error {
			return Do(func() error { Arange(3); panic("mine") })
		})
	})
	var nilMap map[string]int
	assert.Panics(t, func() { _ = Do(func() error { nilMap["x"] = 1; return nil }) })
	wanted := errors.New("mine")
	assert.Equal(t, wanted, Do(func() error { Arange(3); return wanted }))
	done := make(chan bool)
	go func() { // t.FailNow inside a scope does this
		defer close(done)
		_ = Do(func() error { Arange(3); runtime.Goexit(); return nil })
	}()
	<-done
	assert.Equal(t, before, Live())
}

func TestScopesHoldTheirCountThroughEarlyCloses(t *testing.T) {
	in(t, func() {
		x := Scalar(0)
		before := Live()
		for range 10_000 {
			next := Tidy(func() Tensor { return x.AddScalar(1) })
			x.Close()
			x = next
		}
		assert.Equal(t, before, Live())
		assert.Equal(t, 10000.0, x.Item())
	})
}

func TestManyGoroutinesAtOnce(t *testing.T) {
	shared := Tensor{}
	require.NoError(t, Do(func() error { shared = Ones([]int{8, 8}, Float32).Keep(); return nil }))
	defer shared.Close()
	before := Live()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				assert.NoError(t, Do(func() error {
					x := shared.Leaf()
					g := Grad(x.Square().Sum(), x, false)
					assert.Equal(t, 128.0, g.Sum().Item())
					return nil
				}))
			}
		})
	}
	wg.Wait()
	assert.Equal(t, before, Live())
}

func TestGradients(t *testing.T) {
	in(t, func() {
		x := FromSlice([]float64{1, 2, 3}).Leaf()
		y := x.Pow(3).Sum()
		g := Grad(y, x, true)
		assert.Equal(t, []float64{3, 12, 27}, ToSlice[float64](g))
		assert.Equal(t, []float64{6, 12, 18}, ToSlice[float64](Grad(g.Sum(), x, false)), "second order")

		unused := FromSlice([]float64{1}).Leaf()
		gs := Grads(x.Sum(), []Tensor{x, unused}, GradOptions{})
		assert.True(t, gs[0].Defined())
		assert.False(t, gs[1].Defined(), "an input that y does not depend on")

		x.Square().Sum().Backward()
		x.Sum().Backward()
		assert.Equal(t, []float64{3, 5, 7}, ToSlice[float64](x.Grad()), "Backward accumulates")
		x.ZeroGrad()
		assert.False(t, x.Grad().Defined())
		NoGrad(func() {
			assert.False(t, x.Square().RequiresGrad())
			EnableGrad(func() { assert.True(t, x.Square().RequiresGrad()) })
		})
		assert.True(t, x.Square().RequiresGrad(), "the mode is restored")
	})
}

func TestGradModeSurvivesAPanic(t *testing.T) {
	in(t, func() {
		func() {
			defer func() { _ = recover() }()
			NoGrad(func() { panic("mine") })
		}()
		assert.True(t, Arange(3).To(Float32).Leaf().Square().RequiresGrad())
	})
}

func TestRandomnessIsNamedBySeedStepAndPurpose(t *testing.T) {
	in(t, func() {
		draw := func(seed uint64, step int, purpose string) []float32 {
			r := NewRNG(seed, step, purpose)
			r.Uniform(0, 1, 3) // the second draw is another one
			return ToSlice[float32](r.Normal(5))
		}
		base := draw(1, 2, "noise")
		assert.Equal(t, base, draw(1, 2, "noise"))
		for name, other := range map[string][]float32{
			"seed": draw(2, 2, "noise"), "step": draw(1, 3, "noise"), "purpose": draw(1, 2, "noisf"),
		} {
			assert.NotEqual(t, base, other, name)
		}
		z := NewRNG(1, 0, "moments").Normal(100_000)
		assert.InDelta(t, 0, z.Mean().Item(), 4/316.0, "mean, four standard errors")
		assert.InDelta(t, 1, z.Square().Mean().Item(), 4*1.42/316, "variance, four standard errors")
		p := ToSlice[int64](NewRNG(1, 0, "perm").Perm(10))
		assert.ElementsMatch(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, p)
	})
}

func TestThreadsAreSetForEveryThread(t *testing.T) {
	before := Threads()
	assert.GreaterOrEqual(t, before, 1)
	// Another thread opens a scope before the change, and one after it.
	used, changed, seen := make(chan bool), make(chan bool), make(chan string)
	go func() {
		runtime.LockOSThread()
		assert.NoError(t, Do(func() error { return nil }))
		used <- true
		<-changed
		assert.NoError(t, Do(func() error { seen <- Config(); return nil }))
	}()
	<-used
	require.NoError(t, SetThreads(before+1))
	defer func() { assert.NoError(t, SetThreads(before)) }()
	assert.Equal(t, before+1, Threads())
	changed <- true
	assert.Contains(t, <-seen, fmt.Sprintf("at::get_num_threads() : %d\n", before+1))
}

func TestParseDevice(t *testing.T) {
	d, err := ParseDevice("cpu")
	require.NoError(t, err)
	assert.Equal(t, "cpu", d.String())
	for _, bad := range []string{"gpu", "cuda:x", "cuda:-1", ""} {
		_, err := ParseDevice(bad)
		assert.Error(t, err, bad)
	}
	if !HasCUDA() {
		_, err := ParseDevice("cuda")
		assert.ErrorContains(t, err, "use the device cpu")
	}
}

func TestHeadersAndLibraryAgree(t *testing.T) {
	assert.NoError(t, checkVersion())
	assert.True(t, strings.Contains(Config(), "TORCH_VERSION"), "the check has something to compare")
}
