package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// stepSplit makes a step of cfg on ten images in parts, and returns its losses, the gradients of E's loss before it, and
// all weights and moments after it.
func stepSplit(t *testing.T, cfg Config, parts int) (loss Losses, grads, after map[string][]float64) {
	t.Helper()
	cfg.Batch, cfg.BatchSplit = 10, parts
	trainer, err := loadTrainer(cfg, encoder(t), nil, torch.Device{})
	require.NoError(t, err)
	defer trainer.Close()
	grads, after = map[string][]float64{}, map[string][]float64{}
	require.NoError(t, torch.Do(func() error {
		rng := torch.NewRNG(1, 0, "test")
		x, neg := rng.Uniform(0, 1, 10, 1, 8, 8), rng.Uniform(-0.2, 0.2, 10, 1, 8, 8) // else the two terms cancel
		z := rng.Normal(10, cfg.Energy.LatentDim).Normalize()
		lossE, _ := trainer.energyLoss(x, neg, z)
		for i, g := range torch.Grads(lossE, nn.Params(trainer.E), torch.GradOptions{}) {
			if g.Defined() {
				grads[fmt.Sprint("gradient.", i)] = g.Float64s()
			}
		}
		before := torch.Live()
		if loss, err = trainer.Step(x); err != nil {
			return err
		}
		assert.Equal(t, before, torch.Live(), "a step keeps nothing")
		for _, e := range entriesOf(trainer.trained()) {
			after[e.Name] = e.Tensor.Float64s()
		}
		return nil
	}))
	return loss, grads, after
}

func TestABatchInPartsIsTheWholeBatch(t *testing.T) {
	for name, settings := range map[string][]string{
		"em": nil, "ejm": {"target=ejm"}, "erm": {"target=erm"}, "encoder trained along": {"encoder=joint"},
		"no latent": {"energy.posterior=none"}, "linear F": {"energy.linear_f=true", "chain.delta2=1"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sharingWith(t, settings)
			whole, grads, weights := stepSplit(t, cfg, 1)
			for _, parts := range []int{2, 4, 10} { // 4 parts have 2 or 3 images
				loss, g, w := stepSplit(t, cfg, parts)
				for i, want := range whole.values() {
					// Energies are sums of float32 over a part in another order, at the end of a chain with δ²/2 = 100.
					assert.InDelta(t, *want, *loss.values()[i], 1e-5*max(1, math.Abs(*want)), "%s in %d parts", lossNames[i], parts)
				}
				near(t, grads, g, 1e-6)   // a sum of ten rows in another order: some ulps of 6e-8
				near(t, weights, w, 1e-5) // the chains amplify these. Adam's mean squares show the gradients of all networks
			}
		})
	}
}

// near asserts that tensors differ by at most tolerance, as a share of the largest element of those whose names begin alike:
// opt_g, say. The largest is that of all, since biases before a batch norm have gradients of rounding errors only.
func near(t *testing.T, want, got map[string][]float64, tolerance float64) {
	t.Helper()
	require.Len(t, got, len(want))
	largest, off := map[string]float64{}, map[string]float64{}
	for name, values := range want {
		part, _, _ := strings.Cut(name, ".")
		for i, v := range values {
			largest[part], off[part] = max(largest[part], math.Abs(v)), max(off[part], math.Abs(got[name][i]-v))
		}
	}
	for part := range largest {
		assert.LessOrEqual(t, off[part], tolerance*largest[part], part)
	}
}

func TestOneImageMayBeAPart(t *testing.T) {
	cfg := tiny()
	cfg.BatchSplit = cfg.Batch + 1
	assert.ErrorContains(t, cfg.Validate(), "batch_split is 5, batch 4: use 1 to 4 parts")
	assert.Equal(t, []rows{{0, 3, 10}, {3, 3, 10}, {6, 4, 10}}, Config{BatchSplit: 3}.split(10))
	assert.Len(t, Config{BatchSplit: 4}.split(2), 2, "a process's share may have fewer images than parts")
}
