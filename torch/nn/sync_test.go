package nn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestSynchronizedBatchNormIsThatOfTheWholeBatch(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		for _, shape := range [][]int{{6, 3, 4, 4}, {6, 3}} { // in one order on both
			for _, mode := range []nn.Mode{nn.Train, nn.BatchStats} {
				torchtest.Scope(t, func() { compareBatchNorm(t, g, shape, mode) })
			}
		}
	})
	torchtest.Succeeded(t, ended)
}

// compareBatchNorm compares the shares of two processes with the whole batch in one: outputs,
// gradients and running statistics.
func compareBatchNorm(t *testing.T, g *torch.Group, shape []int, mode nn.Mode) {
	type module struct{ Inner []*nn.BatchNorm }
	alone, shared := &module{[]*nn.BatchNorm{nn.NewBatchNorm(3)}}, &module{[]*nn.BatchNorm{nn.NewBatchNorm(3)}}
	defer nn.Close(alone)
	defer nn.Close(shared)
	for _, m := range []*module{alone, shared} {
		torch.NoGrad(func() {
			m.Inner[0].Weight.CopyFrom(torch.FromSlice([]float32{0.5, 1, -2}))
			m.Inner[0].Bias.CopyFrom(torch.FromSlice([]float32{0.1, 0.2, 0.3}))
		})
	}
	nn.Synchronize(shared, g)
	whole, probe := torch.NewRNG(1, 0, "x").Normal(shape...).AddScalar(2), torch.NewRNG(1, 0, "probe").Normal(shape...)
	part := func(t torch.Tensor) torch.Tensor { return t.Narrow(0, 3*g.Rank(), 3) }
	a, b := whole.Leaf(), part(whole).Leaf()
	ya, yb := alone.Inner[0].Forward(a, mode), shared.Inner[0].Forward(b, mode)
	torchtest.InDelta(t, part(ya), yb, float32Sums)

	want := torch.Grads(ya.Mul(probe).Sum(), append(nn.Params(alone), a), torch.GradOptions{})
	loss := yb.Mul(part(probe)).Sum()
	got := torch.Grads(loss, append(nn.Params(shared), b), torch.GradOptions{})
	torchtest.InDelta(t, part(want[2]), got[2], float32Sums)
	for i := range 2 {
		g.AllReduce(got[i], torch.ReduceSum)
		torchtest.InDelta(t, want[i], got[i], float32Sums)
	}
	for i, l := range nn.State(alone) {
		torchtest.InDelta(t, l.Tensor.Detach(), nn.State(shared)[i].Tensor.Detach(), float32Sums)
	}
	moved := alone.Inner[0].RunningMean.Float64s()[0] != 0
	assert.Equal(t, mode == nn.Train, moved)
}
