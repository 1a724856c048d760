package optim_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
	"github.com/liebm/liebm/torch/torchtest"
)

type averaged struct {
	Conv *nn.Conv2d // with spectral norm
	BN   *nn.BatchNorm
}

func newAveraged(seed uint64) *averaged {
	m := &averaged{nn.NewConv2d(2, 3, 3, nn.Conv2dOptions{SpectralNorm: true}), nn.NewBatchNorm(3)}
	nn.Init(m, torch.NewRNG(seed, 0, "init"))
	rng := torch.NewRNG(seed, 0, "statistics")
	m.BN.RunningMean.CopyFrom(rng.Normal(3))
	m.BN.RunningVar.CopyFrom(rng.Uniform(0.5, 2, 3))
	return m
}

func TestEMAAveragesWeightsAndStatisticsAndCopiesSingularVectors(t *testing.T) {
	const d = 0.9
	for name, frozen := range map[string]bool{"trainable average": false, "frozen average": true} {
		torchtest.Run(t, name, func(t *testing.T) {
			average, live := newAveraged(1), newAveraged(2)
			defer nn.Close(average)
			defer nn.Close(live)
			if frozen {
				nn.Freeze(average)
			}
			var before [][]float64
			for _, l := range nn.State(average) {
				before = append(before, l.Tensor.Float64s())
			}
			tensors := torch.Live()
			optim.UpdateEMA(average, live, d)
			assert.Equal(t, tensors, torch.Live(), "an update leaves no tensor behind")
			now := nn.State(live)
			for i, l := range nn.State(average) {
				got, to := l.Tensor.Float64s(), now[i].Tensor.Float64s()
				for j := range got {
					want := d*before[i][j] + (1-d)*to[j]
					if l.Carried {
						want = to[j]
					}
					assert.InDelta(t, want, got[j], 1e-6, "%s[%d]: two float32 products", l.Name, j)
				}
				assert.Equal(t, !frozen && !l.Buffer, l.Tensor.RequiresGrad(), l.Name)
			}
		})
	}
}

func TestEMAOfAnUnchangedNetworkConvergesToIt(t *testing.T) {
	torchtest.Scope(t, func() {
		average, live := newAveraged(1), newAveraged(2)
		defer nn.Close(average)
		defer nn.Close(live)
		for step := range 200 {
			optim.UpdateEMA(average, live, optim.EMADecay(0.9, step))
		}
		now := nn.State(live)
		for i, l := range nn.State(average) {
			torchtest.InDelta(t, now[i].Tensor.Detach(), l.Tensor.Detach(), 1e-6)
		}
	})
}
