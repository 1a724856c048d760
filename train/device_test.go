package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// Every variant, pretraining and use on a device that is not the CPU: what stayed behind would be
// refused, and the numbers must be those of the CPU.
func TestEverythingRunsOnItsDevice(t *testing.T) {
	torchtest.OnStandInGPU(t, func() {
		gpu := torch.Device{Type: torch.CUDA, Index: 1}
		for name, settings := range map[string][]string{
			"em": nil, "ejm": {"target=ejm"}, "ejm then em": {"target=ejm", "em_after=2"}, "erm": {"target=erm"},
			"spectral norm": {"energy.spectral_norm=true", "chain.delta2=200"}, "gaussian": {"energy.posterior=gaussian"},
			"cebm": {"energy.posterior=cebm"}, "no latents": {"energy.posterior=none"}, "joint encoder": {"encoder=joint"},
			"noise": {"views.noise=true"}, "linear F": {"energy.linear_f=true"}, "bfloat16": {"precision=bfloat16"},
		} {
			t.Run(name, func(t *testing.T) {
				cfg := withSettings(t, settings)
				cfg.ReplaceProb = 0.5
				there, here := stepsOn(t, cfg, gpu), stepsOn(t, cfg, torch.Device{})
				if cfg.Precision == "float32" {
					for i, v := range here.values() {
						assert.InDelta(t, *v, *there.values()[i], 1e-3*(1+max(*v, -*v)), "loss %d", i)
					}
				}
			})
		}
		for _, target := range []string{SimCLR, BYOL, WMSE} {
			t.Run(target, func(t *testing.T) {
				cfg := tinySSL()
				cfg.Target, cfg.Whiten, cfg.Batch, cfg.Encoder.Channels, cfg.Views = target, 6, 12, 3, data.SimCLRViews()
				cfg.Encoder.Mean, cfg.Encoder.Std = []float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25}
				require.NoError(t, Pretrain(t.Context(), cfg, bars(t).RGB(), Options{Out: filepath.Join(t.TempDir(), "encoder"), Device: gpu}))
			})
		}
		usesOn(t, gpu)
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
			l, err := tr.Step(torch.NewRNG(1, i, "x").Uniform(-1, 1, cfg.Batch, 1, 8, 8))
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
