package train

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// The noise is large, so that the chain leaves the range and a clamp changes its way.
func TestAChainStepByStepIsTheWholeChain(t *testing.T) {
	energy := func(x torch.Tensor) torch.Tensor { return x.Square().SumDim(1).MulScalar(-0.5) }
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").Normal(4, 3)
		results := map[mcmc.Clamp]torch.Tensor{}
		for _, clamp := range []mcmc.Clamp{mcmc.ClampNever, mcmc.ClampEnd, mcmc.ClampStep} {
			chain := mcmc.Langevin{Steps: 3, Delta2: 0.5, Sigma: 0.8, Clamp: clamp, Low: -1, High: 1}
			got, err := (&Model{}).climb(t.Context(), chain, energy, x, torch.NewRNG(1, 0, "noise"), nil)
			require.NoError(t, err)
			torchtest.InDelta(t, chain.Run(energy, x, torch.NewRNG(1, 0, "noise")), got, 0)
			results[clamp] = got
		}
		assert.NotEqual(t, torch.ToSlice[float32](results[mcmc.ClampEnd]), torch.ToSlice[float32](results[mcmc.ClampStep]))
	})
}

func TestChainsShowTheirStatesOnTheWay(t *testing.T) {
	for _, clamp := range []string{"never", "end", "step"} {
		m, set := tinyModel(t, "chain.clamp="+clamp), bars(t).Head(5)
		states, err := m.Chains(t.Context(), set, []int{0, 2, 7}, ChainOptions{Seed: 3})
		require.NoError(t, err)
		require.Len(t, states, 3)
		assert.Equal(t, set.Pixels(), states[0].Images.Pixels(), "the start")
		assert.Zero(t, states[0].Move)
		_, energies, _, err := m.Scores(t.Context(), set, 0)
		require.NoError(t, err)
		assert.InDelta(t, stat.Mean(energies, nil), states[0].Energy, 1e-5, "float32, another order of sums")
		assert.Positive(t, states[1].Move)

		alone, err := m.Chains(t.Context(), set, []int{7}, ChainOptions{Seed: 3})
		require.NoError(t, err)
		assert.Equal(t, states[2].Images.Pixels(), alone[0].Images.Pixels(), "looking at a chain does not change it")
		first, err := m.Chains(t.Context(), set.Head(1), []int{7}, ChainOptions{Seed: 3})
		require.NoError(t, err)
		sameImages(t, states[2].Images.Head(1), first[0].Images)
		other, err := m.Chains(t.Context(), set, []int{7}, ChainOptions{Seed: 4})
		require.NoError(t, err)
		assert.NotEqual(t, states[2].Move, other[0].Move, "another seed, other noise")
	}
}

func TestChainsRefuseAndStop(t *testing.T) {
	m := tinyModel(t)
	for _, at := range [][]int{nil, {3, -1}, {0, 5, 5}} {
		_, err := m.Chains(t.Context(), bars(t), at, ChainOptions{})
		assert.ErrorContains(t, err, "give at least one number, all of them 0 or more")
	}
	_, err := m.Chains(cancelled(t), bars(t), []int{1}, ChainOptions{})
	assert.ErrorContains(t, err, "context canceled")
}
