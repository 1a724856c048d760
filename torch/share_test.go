package torch_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// squares is a piece of work: as many numbers as its index says, and one more.
func squares(piece int) (out []float32) {
	for i := range piece + 1 {
		out = append(out, float32(piece*piece+i))
	}
	return out
}

// doAll shares n pieces, and returns their results and the pieces that this process did.
func doAll(ctx context.Context, g *torch.Group, n int, fail func(piece int)) (results [][]float32, own []int, err error) {
	shared := torch.Share(g, func(result []float32) { results = append(results, result) })
	for i := 0; i < n && err == nil; i++ {
		err = shared.Do(ctx, func() []float32 {
			fail(i)
			own = append(own, i)
			return squares(i)
		})
	}
	return results, own, shared.End(err)
}

func nothing(int) {}

func TestEveryProcessGetsAllResultsInOrder(t *testing.T) {
	ended := torchtest.Processes(t, 3, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		for _, n := range []int{0, 1, 3, 8} {
			want, _, err := doAll(t.Context(), nil, n, nothing)
			require.NoError(t, err)
			require.Len(t, want, n)
			before := torch.Live()
			got, own, err := doAll(t.Context(), g, n, nothing)
			require.NoError(t, err)
			assert.Equal(t, want, got, "%d pieces", n)
			assert.Len(t, own, (n-g.Rank()+2)/3, "rank %d does its part of %d", g.Rank(), n)
			assert.Equal(t, before, torch.Live())
		}
	})
	torchtest.Succeeded(t, ended)
}

func TestSharedWorkEndsInAllProcesses(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		bad := func(piece int) {
			if piece == 3 {
				torch.Zeros([]int{2}, torch.Float32).Matmul(torch.Zeros([]int{3}, torch.Float32))
			}
		}
		_, _, err = doAll(t.Context(), g, 6, bad) // rank 1 does piece 3
		var failure *torch.Error
		if g.Rank() == 1 {
			require.ErrorAs(t, err, &failure)
		} else {
			require.ErrorIs(t, err, torch.ErrPeerFailed)
		}

		ctx, cancel := context.WithCancel(t.Context())
		results, _, err := doAll(ctx, g, 6, func(piece int) {
			if piece == 2 { // rank 0's
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Len(t, results, 2, "the results of the first exchange")
		assert.Equal(t, g.Rank() == 1, err.Error() == "another process was told to stop: context canceled")

		_, _, err = doAll(t.Context(), g, 4+2*g.Rank(), nothing)
		assert.ErrorContains(t, err, "different numbers of batches: start all with the same arguments")

		shared := torch.Share(g, func([]float32) {})
		require.NoError(t, shared.Do(t.Context(), func() []float32 { return squares(0) }))
		require.NoError(t, shared.Do(t.Context(), func() []float32 { return squares(1) }))
		own := error(nil)
		if g.Rank() == 0 {
			own = errors.New("a file is damaged")
		}
		assert.EqualError(t, shared.End(own), map[bool]string{true: "a file is damaged", false: torch.ErrPeerFailed.Error()}[g.Rank() == 0])

		_, _, err = doAll(t.Context(), g, 4, func(piece int) {
			if piece == 3 {
				os.Exit(3)
			}
		})
		require.ErrorIs(t, err, torch.ErrPeerLost)
	})
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Equal(t, 3, ended[1].Code, "%s", ended[1].Output)
}

func TestSharedWorkOfOneProcess(t *testing.T) {
	results, own, err := doAll(t.Context(), nil, 3, nothing)
	require.NoError(t, err)
	assert.Equal(t, [][]float32{{0}, {1, 2}, {4, 5, 6}}, results)
	assert.Equal(t, []int{0, 1, 2}, own)
	ctx, cancel := context.WithCancel(t.Context())
	results, _, err = doAll(ctx, nil, 3, func(int) { cancel() })
	require.Equal(t, context.Canceled, err)
	assert.Len(t, results, 1)
}

func TestProcessesThatDifferAreNamed(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		require.NoError(t, g.Alike([]string{"seed=1"}))
		lists := [][]string{{"seed=1", "n=2", "a=b"}, {"seed=1", "n=10"}}
		assert.ErrorContains(t, g.Alike(lists[g.Rank()]), "rank 0 and rank 1 of 2 were started differently: n is 2 and 10; a is b and none: start all")
	})
	torchtest.Succeeded(t, ended)
}
