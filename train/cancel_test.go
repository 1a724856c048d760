package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestAJobEndsWhereverItIsCancelled(t *testing.T) {
	slow(t)
	jobs := usesOf(t, tinyModel(t, "target=erm"), torch.Device{})
	jobs["pretrain"] = func(ctx context.Context) error {
		return Pretrain(ctx, tinySSL(), bars(t), Options{Out: filepath.Join(t.TempDir(), "run")})
	}
	jobs["measure a step"] = func(ctx context.Context) error {
		_, err := MeasureStep(ctx, tiny(), tinySSL().Encoder, torch.Device{}, 2)
		return err
	}
	jobs["profile"] = func(ctx context.Context) error {
		_, err := MeasureProfile(ctx, tiny(), tinySSL().Encoder, 2, nil)
		return err
	}
	for name, job := range jobs {
		t.Run(name, func(t *testing.T) { torchtest.Cancels(t, job) })
	}
}

func TestARunResumesWhereverItWasCancelled(t *testing.T) {
	slow(t)
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
		_, err := openRun(o.Out)
		o.Resume = err == nil // else it ended before there was a folder
		require.NoError(t, Run(t.Context(), cfg, bars(t), h, o))
		require.Equal(t, want, checkpointBytes(t, o.Out, cfg.Steps))
		return ended
	})
}

func TestARunThatIsCancelledWhileItMeasuresLosesNothing(t *testing.T) {
	h, cfg := encoder(t), tiny()
	cfg.Steps, cfg.Log = 4, LogConfig{Metrics: 2, Samples: 2, Checkpoint: 100, Keep: 2}
	measure := func(context.Context, *data.Set) ([]Metric, error) { return []Metric{{Name: "fd_h", Value: 1}}, nil }
	whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: whole, Evaluate: measure}))
	for _, step := range []int{2, 4} {
		ctx, cancel := context.WithCancel(t.Context())
		err := Run(ctx, cfg, bars(t), h, Options{Out: parts, Resume: step > 2, Evaluate: func(ctx context.Context, set *data.Set) ([]Metric, error) {
			if lines, err := ReadMetrics(filepath.Join(parts, metricsFile)); err != nil || lines[len(lines)-1].Step < step {
				return measure(ctx, set) // of the step before, which the resumed run makes first
			}
			cancel()
			return nil, ctx.Err()
		}})
		require.ErrorIs(t, err, context.Canceled)
		require.FileExists(t, filepath.Join(parts, checkpointFile(step)))
	}
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: parts, Resume: true, Evaluate: measure}))
	assert.Equal(t, checkpointBytes(t, whole, cfg.Steps), checkpointBytes(t, parts, cfg.Steps))
	assert.Equal(t, measured(t, whole), measured(t, parts))
}
