//go:build long

package train

import (
	"context"
	"maps"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// onGPUs yields the variants, and what else makes a step use its device otherwise.
func onGPUs(yield func(string, []string) bool) {
	more := map[string][]string{
		"spectral norm": {"energy.spectral_norm=true", "chain.delta2=200"},
		"bfloat16":      {"precision=bfloat16"},
		"tf32":          {"tf32=true"},
		"em soon":       {"target=ejm", "em_after=2"},
	}
	maps.Copy(more, variants)
	maps.All(more)(yield)
}

// Every variant, pretraining and use on a device that is not the CPU: what stayed behind would be
// refused, and the numbers must be those of the CPU.
func TestEverythingRunsOnItsGPU(t *testing.T) {
	torchtest.OnGPU(t, func(gpu torch.Device) {
		for name, settings := range onGPUs {
			t.Run(name, func(t *testing.T) {
				cfg := withSettings(t, settings)
				cfg.ReplaceProb = 0.5
				there, here := stepsOn(t, cfg, gpu), stepsOn(t, cfg, torch.Device{})
				if cfg.Precision == "float32" && !cfg.TF32 {
					for i, v := range here.values() {
						assert.InDelta(t, *v, *there.values()[i], 1e-3*(1+max(*v, -*v)), "loss %d", i)
					}
				}
			})
		}
		for _, target := range []string{SimCLR, BYOL, WMSE} {
			t.Run(target, func(t *testing.T) {
				cfg := tinySSL()
				cfg.Target, cfg.Whiten, cfg.Batch, cfg.Encoder.Channels, cfg.Views = target, 12, 24, 3, data.SimCLRViews()
				cfg.Encoder.Mean, cfg.Encoder.Std = []float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25}
				require.NoError(t, Pretrain(t.Context(), cfg, bars(t).RGB(), Options{Out: filepath.Join(t.TempDir(), "encoder"), Device: gpu}))
			})
		}
		usesOn(t, gpu)
	})
}

// A step asks a GPU for its losses once, at its end, and is not held up before.
func TestAStepWaitsForItsGPUOnce(t *testing.T) {
	torchtest.OnIdleGPUs(t, func(counts func() torchtest.IdleCounts) {
		for name, settings := range onGPUs {
			t.Run(name, func(t *testing.T) {
				cfg := withSettings(t, settings)
				h, err := models.NewEncoder(tinySSL().Encoder, cfg.Data.Range, 1)
				require.NoError(t, err)
				tr, err := NewTrainer(cfg, h, torch.Device{Type: torch.CUDA, Index: 1})
				require.NoError(t, err)
				defer tr.Close()
				const warm, steps = 3, 4
				var before torchtest.IdleCounts
				for i := range warm + steps {
					if i == warm {
						before = counts()
					}
					require.NoError(t, torch.Do(func() error {
						_, err := tr.Step(torch.NewRNG(1, i, "x").Uniform(0, 1, cfg.Batch, 1, 8, 8))
						return err
					}))
				}
				after := counts()
				assert.EqualValues(t, steps, after.ToHost-before.ToHost, "copies from the GPU")
				assert.EqualValues(t, steps, after.Waits-before.Waits, "waits for the GPU")
				assert.Greater(t, after.Kernels-before.Kernels, int64(100*steps))
				assert.Zero(t, after.FromPageable, "copies from memory that is not pinned")
				assert.Zero(t, after.Uses[0], "uses of another GPU")
			})
		}
	})
}

// stepsOn makes three steps on a device and returns what the first measured: later ones would compare how
// Adam enlarges rounding.
func stepsOn(t *testing.T, cfg Config, d torch.Device) (first Losses) {
	h, err := models.NewEncoder(tinySSL().Encoder, cfg.Data.Range, 1)
	require.NoError(t, err)
	tr, err := NewTrainer(cfg, h, d)
	require.NoError(t, err)
	defer tr.Close()
	for i := range 3 {
		require.NoError(t, torch.Do(func() error {
			l, err := tr.Step(torch.NewRNG(1, i, "x").Uniform(0, 1, cfg.Batch, 1, 8, 8))
			if i == 0 {
				first = l
			}
			return err
		}))
	}
	return first
}

// usesOn trains a model on a device, resumes it and puts it to every use.
func usesOn(t *testing.T, d torch.Device) {
	cfg, dir := withSettings(t, []string{"target=erm", "steps=4"}), filepath.Join(t.TempDir(), "run")
	ctx, watch := stopAfter(t, 2)
	require.ErrorIs(t, Run(ctx, cfg, bars(t), encoder(t), Options{Out: dir, Device: d, Watch: watch}), context.Canceled)
	cfg, err := ReadConfig(dir)
	require.NoError(t, err)
	require.NoError(t, Run(t.Context(), cfg, bars(t), "", Options{Out: dir, Device: d, Resume: true}))
	m, err := LoadModel(dir, d)
	require.NoError(t, err)
	defer m.Close()
	for name, use := range usesOf(t, m, d) {
		assert.NoError(t, use(t.Context()), name)
	}
}
