package torch_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// withThreads runs f with a number of threads and restores it.
func withThreads(t *testing.T, n int, f func()) {
	t.Helper()
	before := torch.Threads()
	require.NoError(t, torch.SetThreads(n))
	defer torch.SetThreads(before)
	f()
}

func TestRowsDoNotDependOnTheNumberOfThreads(t *testing.T) {
	torchtest.Scope(t, func() {
		rng := torch.NewRNG(1, 0, "rows")
		x, w := rng.Normal(21, 3, 9, 9), rng.Normal(5, 3, 3, 3) // in blocks of 8, 8 and 5 rows
		f := func(rows torch.Tensor, first int) torch.Tensor {
			return rows.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}).SumDim(1).AddScalar(float64(first))
		}
		var results []torch.Tensor
		for _, threads := range []int{1, 2, 3, 7} {
			withThreads(t, threads, func() {
				before := torch.Live()
				results = append(results, torch.Rows(x, f))
				assert.Equal(t, before+1, torch.Live(), "the result")
			})
		}
		for _, got := range results {
			assert.True(t, results[0].Equal(got))
		}
		first := torch.FromSlice([]float32{0, 8, 16}, 3).Reshape(3, 1).Expand(3, 8).Reshape(24).Narrow(0, 0, 21).Reshape(21, 1, 1)
		torchtest.InDelta(t, x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}).SumDim(1).Add(first), results[0], 1e-5)
	})
}

func TestRowsHaveTheCallersGradMode(t *testing.T) {
	torchtest.Scope(t, func() {
		x, w := torch.Ones([]int{40, 2}, torch.Float32), torch.Ones([]int{2}, torch.Float32).Leaf()
		var recorded atomic.Int64
		f := func(rows torch.Tensor, _ int) torch.Tensor {
			y := rows.Mul(w)
			if y.RequiresGrad() {
				recorded.Add(1)
			}
			return y
		}
		withThreads(t, 3, func() {
			torch.NoGrad(func() { torch.Rows(x, f) })
			assert.Zero(t, recorded.Load())
			assert.False(t, torch.Rows(x, f).RequiresGrad(), "the result has no graph")
			assert.EqualValues(t, 5, recorded.Load())
		})
	})
}

func TestAPanicInRowsIsTheCallers(t *testing.T) {
	withThreads(t, 3, func() {
		live := torch.Live()
		rows := func(fails func()) error {
			return torch.Do(func() error {
				torch.Rows(torch.Ones([]int{40, 2}, torch.Float32), func(rows torch.Tensor, first int) torch.Tensor {
					if first == 16 {
						fails()
					}
					return rows.MulScalar(2)
				})
				return nil
			})
		}
		err := rows(func() { torch.Ones([]int{2}, torch.Float32).Matmul(torch.Ones([]int{3}, torch.Float32)) })
		var wrong *torch.Error
		assert.ErrorAs(t, err, &wrong)
		assert.PanicsWithValue(t, "not ours", func() { rows(func() { panic("not ours") }) })
		assert.Equal(t, live, torch.Live())
	})
}

func TestRowGradsAreThoseOfTheWholeLoss(t *testing.T) {
	torchtest.Scope(t, func() {
		rng := torch.NewRNG(1, 0, "row grads")
		x, w, unused := rng.Normal(21, 3, 9, 9), rng.Normal(5, 3, 3, 3).Leaf(), rng.Normal(2).Leaf()
		values := func(x torch.Tensor) torch.Tensor {
			return x.Conv2d(w, torch.Tensor{}, torch.Conv2dOptions{Padding: 1}).Tanh().SumDim(1, 2, 3)
		}
		var results [][]torch.Tensor
		for _, threads := range []int{1, 2, 3} {
			withThreads(t, threads, func() {
				before := torch.Live()
				grads, out := torch.RowGrads(21, []torch.Tensor{w, unused}, func(first, rows int) (torch.Tensor, []torch.Tensor) {
					v := values(x.Narrow(0, first, rows))
					return v.Square().Sum(), []torch.Tensor{v}
				})
				assert.Equal(t, before+2, torch.Live(), "the gradient and the values")
				assert.False(t, grads[1].Defined())
				results = append(results, append(grads[:1], out...))
			})
		}
		for _, got := range results {
			assert.True(t, results[0][0].Equal(got[0]) && results[0][1].Equal(got[1]))
		}
		whole := values(x)
		torchtest.InDelta(t, whole.Detach(), results[0][1], 1e-4)
		grad := torch.Grad(whole.Square().Sum(), w, false)
		torchtest.InDelta(t, grad, results[0][0], 1e-5*grad.Abs().Max().Item()) // sums in another order
	})
}
