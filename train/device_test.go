package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
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
	restore := RestoreDefaults(m.Config)
	restore.Latent.Steps, restore.Image.Steps = 2, 2
	known := make([]bool, 64)
	known[0] = true
	for name, use := range map[string]func() error{
		"sample": func() error { _, err := m.Sample(t.Context(), 4, SampleOptions{}); return err },
		"score":  func() error { _, _, _, err := m.Scores(t.Context(), bars(t), 0.1); return err },
		"reconstruct": func() error {
			_, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{L: 2, Sigma: 0.1})
			return err
		},
		"super-resolution": func() error {
			_, err := m.Restore(t.Context(), bars(t), mcmc.SuperResolution{Factor: 2}, restore)
			return err
		},
		"inpainting": func() error {
			_, err := m.Restore(t.Context(), bars(t), mcmc.Inpainting{Height: 8, Width: 8, Known: known}, restore)
			return err
		},
		"conditional": func() error { _, err := m.Conditional(t.Context(), labelled(t), ConditionalOptions{N: 2}); return err },
		"interpolate": func() error {
			_, err := m.Interpolate(t.Context(), 2, InterpolateOptions{Frames: 3, Refine: true})
			return err
		},
		"interpolate images": func() error {
			_, err := m.InterpolateImages(t.Context(), bars(t).Head(2), bars(t).Head(2), InterpolateOptions{Frames: 3})
			return err
		},
		"train q": func() error {
			c := m.Config
			c.Batch = 4
			return TrainInference(t.Context(), c, m, bars(t), Options{Out: filepath.Join(t.TempDir(), "q"), Device: d})
		},
	} {
		assert.NoError(t, use(), name)
	}
}
