package mcmc

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// What a CUDA graph needs of a transition: the same operators on the same shapes in every step, and none that waits for a
// number. The second input has zeros and large values, where code that looks at numbers would take another branch.
func TestATransitionCanBeRecordedAndReplayed(t *testing.T) {
	readers := []string{"aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::normal_", "aten::uniform_"}
	for name, c := range map[string]struct {
		Langevin
		joint bool
	}{
		"drift and noise": {Langevin{Delta2: 25, Sigma: 1e-3}, false},
		"clipped":         {Langevin{Delta2: 25, Sigma: 1e-3, Clip: 0.02}, false},
		"clamped":         {Langevin{Delta2: 25, Sigma: 1e-3, Clamp: ClampStep, Low: -1, High: 1}, false},
		"joint":           {Langevin{Delta2: 25, Sigma: 1e-3}, true},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			e, err := models.NewEnergy(models.EnergyConfig{Channels: 1, Widths: []int{4, 4}, Downs: []bool{true, false}, FeatureDim: 8, HeadDim: 8, LatentDim: 4,
				Bias: true, SpectralNorm: true, Gamma: 0.1, Posterior: models.Cosine}, 1)
			require.NoError(t, err)
			defer nn.Close(e)
			bound, noise := e.Frozen(torch.Float32), torch.NewRNG(1, 0, "noise")
			energy := Energy(bound.Marginal)
			if c.joint {
				h, err := models.NewEncoder(models.EncoderConfig{Channels: 1, Stem: "medium", Widths: []int{4, 8}, Blocks: []int{1, 1}, HeadDim: 8, LatentDim: 4},
					models.Range{Low: -1, High: 1}, 1)
				require.NoError(t, err)
				defer nn.Close(h)
				energy = Joint(bound, h.Frozen().Latent)
			}
			var results []torch.Tensor
			ops, err := torch.Profile(func(part func(name string)) error {
				for _, step := range []struct {
					name  string
					scale float64
				}{{"first", 1}, {"second", 1}, {"zeros", 0}, {"huge", 1e6}} {
					x := torch.NewRNG(2, 0, step.name).Normal(3, 1, 8, 8).MulScalar(step.scale).Leaf()
					eps := noise.NormalLike(x)
					part(step.name)
					results = append(results, c.transition(energy, x, eps))
					part("between")
				}
				return nil
			})
			require.NoError(t, err)
			type work struct {
				calls        int
				flops, bytes float64
			}
			steps := map[string]map[string]work{}
			for _, op := range ops {
				if op.Part == "between" || op.Part == "" {
					continue
				}
				if steps[op.Part] == nil {
					steps[op.Part] = map[string]work{}
				}
				steps[op.Part][op.Op] = work{op.Calls, op.FLOPs, op.Bytes}
				assert.NotContains(t, readers, op.Op)
			}
			require.Len(t, steps, 4)
			require.Contains(t, steps["first"], "aten::conv2d")
			for name, step := range steps {
				assert.Equal(t, steps["first"], step, name)
			}
			x := torch.NewRNG(2, 0, "first").Normal(3, 1, 8, 8).Leaf()
			torchtest.InDelta(t, results[0], c.Step(energy, x, torch.NewRNG(1, 0, "noise")), 0)
		})
	}
}
