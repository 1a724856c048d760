package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestAJobEndsWhereverItIsCancelled(t *testing.T) {
	images, classes := bars(t), labelled(t)
	m := tinyModel(t, "target=erm")
	out := func() Options { return Options{Out: filepath.Join(t.TempDir(), "run")} }
	restore := RestoreDefaults(m.Config)
	restore.Latent.Steps, restore.Image.Steps = 3, 3
	for name, job := range map[string]func(ctx context.Context) error{
		"pretrain": func(ctx context.Context) error { return Pretrain(ctx, tinySSL(), images, out()) },
		"train q": func(ctx context.Context) error {
			cfg := m.Config
			cfg.Batch, cfg.Steps = 4, 5
			return TrainInference(ctx, cfg, m, images, out())
		},
		"sample": func(ctx context.Context) error { _, err := m.Sample(ctx, 4, SampleOptions{}); return err },
		"score":  func(ctx context.Context) error { _, _, _, err := m.Scores(ctx, images, 0.1); return err },
		"reconstruct": func(ctx context.Context) error {
			_, err := m.Reconstruct(ctx, images, ReconstructOptions{L: 3, Delta2: 0.01})
			return err
		},
		"restore": func(ctx context.Context) error {
			_, err := m.Restore(ctx, images, mcmc.SuperResolution{Factor: 2}, restore)
			return err
		},
		"conditional": func(ctx context.Context) error {
			_, err := m.Conditional(ctx, classes, ConditionalOptions{N: 2, Rounds: 2})
			return err
		},
		"interpolate": func(ctx context.Context) error {
			_, err := m.Interpolate(ctx, 2, InterpolateOptions{Frames: 3, Refine: true})
			return err
		},
		"interpolate images": func(ctx context.Context) error {
			_, err := m.InterpolateImages(ctx, images.Head(2), images.Head(2), InterpolateOptions{Frames: 3, Refine: true})
			return err
		},
		"measure a step": func(ctx context.Context) error {
			_, err := MeasureStep(ctx, tiny(), tinySSL().Encoder, torch.Device{}, 2)
			return err
		},
		"profile": func(ctx context.Context) error {
			_, err := MeasureProfile(ctx, tiny(), tinySSL().Encoder, 2, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { torchtest.Cancels(t, job) })
	}
}

func TestARunResumesWhereverItWasCancelled(t *testing.T) {
	h, cfg := encoder(t), tiny()
	cfg.Steps = 6
	whole := filepath.Join(t.TempDir(), "whole")
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: whole}))
	want := checkpointBytes(t, whole, cfg.Steps)
	torchtest.Cancels(t, func(ctx context.Context) error {
		o := Options{Out: filepath.Join(t.TempDir(), "parts")}
		ended := Run(ctx, cfg, bars(t), h, o)
		if ended == nil {
			return nil
		}
		_, err := OpenRun(o.Out)
		o.Resume = err == nil // else it ended before there was a folder
		require.NoError(t, Run(t.Context(), cfg, bars(t), h, o))
		require.Equal(t, want, checkpointBytes(t, o.Out, cfg.Steps))
		return ended
	})
}
