package torch_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// joined runs f in a group, in a scope.
func joined(t *testing.T, o torch.GroupOptions, f func(g *torch.Group)) error {
	g, err := torch.JoinGroup(t.Context(), o)
	require.NoError(t, err)
	defer g.Close()
	return torch.Do(func() error { f(g); return nil })
}

func TestCollectives(t *testing.T) {
	ended := torchtest.Processes(t, 3, func(o torch.GroupOptions) {
		require.NoError(t, joined(t, o, func(g *torch.Group) {
			rank := float32(g.Rank())
			x := torch.FromSlice([]float32{rank, 10 * rank, 1, 2}, 2, 2)
			sum := x.Clone()
			g.AllReduce(sum, torch.ReduceSum)
			assert.Equal(t, []float64{3, 30, 3, 6}, sum.Float64s())
			strided := x.Clone()
			g.AllReduce(strided.T(), torch.ReduceMax)
			assert.Equal(t, []float64{2, 20, 1, 2}, strided.Float64s(), "through a view that is not dense")
			from := x.Clone()
			g.Broadcast(from, 1)
			assert.Equal(t, []float64{1, 10, 1, 2}, from.Float64s())
			for r, part := range g.AllGather(x) {
				assert.Equal(t, []float64{float64(r), 10 * float64(r), 1, 2}, part.Float64s())
				assert.Equal(t, []int{2, 2}, part.Shape())
			}
			g.Barrier()
		}))
	})
	torchtest.Succeeded(t, ended)
}

func TestSumHasTheGradientOfTheTotal(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		require.NoError(t, joined(t, o, func(g *torch.Group) {
			r := float64(g.Rank())
			x := torch.FromSlice([]float64{1 + r, 2 - r}).Leaf()
			loss := g.Sum(x).Square().MulScalar(1 + r).Sum() // the total is 3·Σs², s = x₀ + x₁
			assert.InDeltaSlice(t, []float64{2 * 3 * 3, 2 * 3 * 3}, torch.Grad(loss, x, false).Float64s(), 1e-12)
		}))
	})
	torchtest.Succeeded(t, ended)
}

func TestBucketedGradientsAreTheMeanOfPlainOnes(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		require.NoError(t, joined(t, o, func(g *torch.Group) {
			rng := torch.NewRNG(1, 0, "weights")
			params := []torch.Tensor{
				rng.Normal(4, 3, 3, 3).CloneAs(torch.ChannelsLast).Leaf(), rng.Normal(4).Leaf(), rng.Normal(5, 4).Leaf(),
				rng.Normal(7).Leaf(), // nobody's loss reaches it
				rng.Normal(5).Leaf(), // only rank 0's does
			}
			x := torch.NewRNG(1, g.Rank(), "x").Normal(2, 3, 6, 6)
			loss := func() torch.Tensor {
				h := x.Conv2d(params[0], params[1], torch.Conv2dOptions{}).Tanh().MeanDim(2, 3)
				y := h.Linear(params[2], torch.Tensor{})
				if g.Rank() == 0 {
					y = y.Mul(params[4])
				}
				return y.Square().Mean()
			}
			plain := torch.Grads(loss(), params, torch.GradOptions{})
			for _, bytes := range []int{1, 200, 1 << 20} { // each alone, two or three together, all in one
				got := torch.BucketedGrads(g, loss(), params, bytes)
				for i, p := range params {
					if i == 3 {
						assert.False(t, got[i].Defined())
						continue
					}
					want := torch.Zeros(p.Shape(), torch.Float32)
					if plain[i].Defined() {
						want = plain[i].Clone()
					}
					g.AllReduce(want, torch.ReduceSum)
					torchtest.InDelta(t, want.DivScalar(2), got[i], 1e-7) // one rounding of the sum, one of the half
					assert.Equal(t, p.IsChannelsLast(), got[i].IsChannelsLast())
					assert.False(t, p.Grad().Defined(), "nothing stays in the parameter")
				}
			}
			torchtest.InDelta(t, torch.BucketedGrads(g, loss(), params, 200)[0], g.Grads(loss(), params)[0], 0)
		}))
	})
	torchtest.Succeeded(t, ended)
}

// One process has a bucket of b, a collective inside the graph, and a bucket of a, in the order of its
// backward. The other makes the three by hand, the bucket of b first: they match only if that one is
// on its way before backward comes to the collective, not after backward has ended.
func TestABucketIsReducedWhileBackwardRuns(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		require.NoError(t, joined(t, o, func(g *torch.Group) {
			reduce := func(v ...float32) { g.AllReduce(torch.FromSlice(v), torch.ReduceSum) }
			if g.Rank() == 1 {
				reduce(0, 0)     // its part of the sum
				reduce(10, 1)    // the gradient of b, and that there is one
				reduce(100, 100) // the gradient of the sum
				reduce(1000, 1)  // the gradient of a
				return
			}
			a, b := torch.FromSlice([]float32{2}).Leaf(), torch.FromSlice([]float32{3}).Leaf()
			x := torch.FromSlice([]float32{4, 5})
			loss := g.Sum(x.Mul(a)).Mul(b).Sum()
			grads := torch.BucketedGrads(g, loss, []torch.Tensor{a, b}, 1)
			assert.Equal(t, []float64{((4+5)*(3+100) + 1000) / 2.}, grads[0].Float64s())
			assert.Equal(t, []float64{((4+5)*2 + 10) / 2.}, grads[1].Float64s())
		}))
	})
	torchtest.Succeeded(t, ended)
}

func TestALostPeerIsNamed(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		started := time.Now()
		err := joined(t, o, func(g *torch.Group) {
			g.Barrier()
			if g.Rank() == 1 {
				require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
				select {}
			}
			g.Barrier()
		})
		require.ErrorIs(t, err, torch.ErrPeerLost)
		assert.ErrorContains(t, err, "c10d::all_reduce: peer lost: rank 1 of 2 processes no longer answers rank 0")
		assert.Less(t, time.Since(started), o.Timeout, "it does not wait for the timeout")
	})
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Equal(t, -1, ended[1].Code)
}

func TestAPeerThatNeverComesEndsTheWait(t *testing.T) {
	_, err := torch.JoinGroup(t.Context(), torch.GroupOptions{Rank: 1, World: 2, Host: "127.0.0.1", Port: 1, JoinTimeout: time.Second})
	assert.ErrorContains(t, err, "join as rank 1 of 2 at 127.0.0.1:1, within 1s")
	assert.ErrorContains(t, err, "see whether all 2 processes were started")
}

func TestANilGroupIsAProcessAlone(t *testing.T) {
	g, err := torch.JoinGroup(t.Context(), torch.GroupOptions{})
	require.NoError(t, err)
	torchtest.Scope(t, func() {
		x := torch.FromSlice([]float32{1, 2}).Leaf()
		g.AllReduce(x, torch.ReduceSum)
		g.Broadcast(x, 0)
		g.Barrier()
		assert.Equal(t, []float64{1, 2}, g.Sum(x).Float64s())
		assert.Equal(t, []float64{2, 4}, g.Grads(x.Square().Sum(), []torch.Tensor{x})[0].Float64s())
		assert.Len(t, g.AllGather(x), 1)
	})
	assert.Equal(t, []int{0, 1}, []int{g.Rank(), g.World()})
	g.Close()
}

func TestOnlyALostPeerIsOne(t *testing.T) {
	assert.False(t, errors.Is(&torch.Error{Op: "c10d::grads", Msg: "a parameter is not dense"}, torch.ErrPeerLost))
}

func TestAShareOrARowOfTheDrawsIsThatOfTheWhole(t *testing.T) {
	draws := map[string]func(r *torch.RNG, n int) torch.Tensor{
		"normal":    func(r *torch.RNG, n int) torch.Tensor { return r.Normal(n, 5) },
		"uniform":   func(r *torch.RNG, n int) torch.Tensor { return r.Uniform(2, 3, n, 1, 1) },
		"bernoulli": func(r *torch.RNG, n int) torch.Tensor { return r.Bernoulli(0.5, n, 3) },
		"normal like images in NHWC": func(r *torch.RNG, n int) torch.Tensor {
			return r.NormalLike(torch.Zeros([]int{n, 3, 4, 4}, torch.Float32).CloneAs(torch.ChannelsLast))
		},
		"normal like gray images in NHWC": func(r *torch.RNG, n int) torch.Tensor {
			return r.NormalLike(torch.Zeros([]int{n, 1, 4, 4}, torch.Float32).CloneAs(torch.ChannelsLast))
		},
		"uniform like": func(r *torch.RNG, n int) torch.Tensor {
			return r.UniformLike(torch.Zeros([]int{n, 3, 4, 4}, torch.Float64), 0, 1)
		},
	}
	for name, draw := range draws {
		torchtest.Run(t, name, func(t *testing.T) {
			whole := draw(torch.NewRNG(1, 2, "x").Fork("y"), 12)
			for _, world := range []int{1, 2, 3} {
				var parts []torch.Tensor
				for rank := range world {
					parts = append(parts, draw(torch.NewRNG(1, 2, "x").Share(rank, world).Fork("y"), 12/world))
				}
				assert.True(t, whole.Equal(torch.Cat(parts, 0)), "%d processes", world)
			}
			second := torch.NewRNG(1, 2, "x").Share(1, 2) // of two processes, whose share is split unevenly
			split := []torch.Tensor{draw(second.Part(0, 6).Fork("y"), 4), draw(second.Part(4, 6).Fork("y"), 2)}
			assert.True(t, whole.Narrow(0, 6, 6).Equal(torch.Cat(split, 0)), "parts")
			rows := draw(torch.NewRNG(1, 2, "x").Rows(0).Fork("y"), 12)
			middle := draw(torch.NewRNG(1, 2, "x").Rows(5).Fork("y"), 3)
			assert.True(t, rows.Narrow(0, 5, 3).Equal(middle), "a row depends on its index only")
			assert.True(t, middle.Equal(draw(torch.NewRNG(1, 2, "x").Rows(3).Part(2, 9).Fork("y"), 3)), "a part of rows")
			assert.False(t, rows.Narrow(0, 4, 3).Equal(middle), "rows differ")
			assert.Equal(t, whole.IsChannelsLast(), rows.IsChannelsLast())
		})
	}
}
