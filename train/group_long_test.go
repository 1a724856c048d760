//go:build long

package train

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestALostPeerLeavesARunToResume(t *testing.T) {
	dir, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		ctx := t.Context()
		if o.Rank == 1 {
			ctx = dying{ctx, new(int)}
		}
		err := inGroup(t, o, tiny(), ctx, Options{})
		require.ErrorIs(t, err, torch.ErrPeerLost)
		assert.ErrorContains(t, err, "stopped after step 6 of 12: ")
		assert.ErrorContains(t, err, "rank 1 of 2 processes no longer answers rank 0")
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Equal(t, -1, ended[1].Code, "killed: %s", ended[1].Output)
	shared := filepath.Join(dir, "shared")
	assert.NotEmpty(t, checkpointBytes(t, shared, 6), "it lies between two regular ones")
	cfg, err := ReadConfig(shared)
	require.NoError(t, err)
	var log bytes.Buffer
	require.NoError(t, Run(t.Context(), cfg, bars(t), "", Options{Out: shared, Resume: true, Log: &log}))
	assert.Contains(t, log.String(), "resuming from step 6")
	assert.NotEmpty(t, checkpointBytes(t, shared, 12), "one process goes on")
}

func TestAPeerLostInAStepLeavesTheStateBefore(t *testing.T) {
	for name, settings := range sharedVariants {
		t.Run(name, func(t *testing.T) { aPeerIsLostInAStep(t, sharingWith(t, settings)) })
	}
}

func aPeerIsLostInAStep(t *testing.T, cfg Config) {
	_, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		trainer, err := loadTrainer(cfg, filepath.Join(os.Getenv("LIEBM_TEST_DIR"), encoderFile), nil, torch.Device{})
		require.NoError(t, err)
		defer trainer.Close()
		trainer.group = g
		join(g, trainer.trained())
		step := func() error {
			return torch.Do(func() error {
				_, err := trainer.Step(newBatches(bars(t), 1, trainer.cfg.Batch, false, g).at(trainer.step))
				return err
			})
		}
		require.NoError(t, step())
		var before, after bytes.Buffer
		require.NoError(t, trainer.Save(&before))
		if o.Rank == 1 {
			trainer.optE = nil // dies after the other networks have moved on both
		}
		require.ErrorIs(t, step(), torch.ErrPeerLost)
		require.NoError(t, trainer.Save(&after))
		assert.True(t, bytes.Equal(before.Bytes(), after.Bytes()))
		for _, p := range trainer.trained() {
			assert.Equal(t, 1, (*p.opt).Steps())
		}
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Contains(t, ended[1].Output, "nil pointer")
}

func TestAPeerLostInAStepOfPretrainingLeavesTheStateBefore(t *testing.T) {
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		cfg := tinySSL()
		cfg.Target = BYOL
		s, err := newSSL(cfg, torch.Device{})
		require.NoError(t, err)
		defer s.close()
		s.group = g
		join(g, s.parts())
		step := func() error {
			return torch.Do(func() error {
				_, err := s.Step(newBatches(bars(t), 1, cfg.Batch, false, g).at(s.step))
				return err
			})
		}
		save := func() string {
			var b bytes.Buffer
			require.NoError(t, writeCheckpoint(&b, sslFormat, s.step, entriesOf(s.parts()), nil))
			return b.String()
		}
		require.NoError(t, step())
		before := save()
		if o.Rank == 1 {
			s.opt = nil // dies after the batch norms have moved on both
		}
		require.ErrorIs(t, step(), torch.ErrPeerLost)
		assert.True(t, before == save())
		assert.Equal(t, 1, s.step)
	})
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Contains(t, ended[1].Output, "nil pointer")
}

// dying is a context that kills its process at the seventh step.
type dying struct {
	context.Context
	asked *int
}

func (d dying) Err() error {
	*d.asked++
	if *d.asked == 7 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return d.Context.Err()
}

func TestStoppingOneProcessStopsAllAtOneStep(t *testing.T) {
	dir, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		ctx := context.Context(t.Context())
		if o.Rank == 1 {
			ctx = told{t.Context(), new(int)}
		}
		err := inGroup(t, o, tiny(), ctx, Options{})
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "stopped after step 5 of 12")
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended)
	assert.NotEmpty(t, checkpointBytes(t, filepath.Join(dir, "shared"), 5))
}

// told is a context that ends once it was asked five times.
type told struct {
	context.Context
	asked *int
}

func (c told) Err() error {
	if *c.asked++; *c.asked > 5 {
		return context.Canceled
	}
	return nil
}

func TestTheFailureOfRankZeroIsThatOfAll(t *testing.T) {
	dir, env := folder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "shared", "something"), 0o777))
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		err := inGroup(t, o, tiny(), t.Context(), Options{})
		if o.Rank == 0 {
			assert.ErrorContains(t, err, "is not empty")
		} else {
			assert.ErrorIs(t, err, torch.ErrPeerFailed)
		}
	}, env)
	torchtest.Succeeded(t, ended)
}

func TestADivergenceInAGroupGoesBackOnAll(t *testing.T) {
	_, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		cfg := tiny()
		cfg.OptE.LR = 3 // E's weights fly apart at once
		cfg.Log.Checkpoint = 1
		var log bytes.Buffer
		var diverged *Diverged
		require.ErrorAs(t, inGroup(t, o, cfg, t.Context(), Options{Log: &log}), &diverged)
		if o.Rank == 0 {
			assert.Contains(t, log.String(), "(3 of 3)")
		}
	}, env)
	torchtest.Succeeded(t, ended)
}

func TestAGroupSettlesTheStepsOfABudget(t *testing.T) {
	const many = 1_000_000 // no machine makes so many in a second
	dir, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		cfg := tiny()
		cfg.Steps, cfg.Log.Checkpoint = many, 1000
		require.NoError(t, inGroup(t, o, cfg, t.Context(), Options{Minutes: 1.0 / 60}))
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended)
	saved, err := ReadConfig(filepath.Join(dir, "shared"))
	require.NoError(t, err)
	assert.Less(t, saved.Steps, many)
	assert.NotEmpty(t, checkpointBytes(t, filepath.Join(dir, "shared"), saved.Steps))
}

// The loss of SimCLR and W-MSE compares all images of the batch, whose outputs come from both processes.
func TestTwoProcessesPretrainToTheWeightsOfOne(t *testing.T) {
	for _, target := range []string{SimCLR, BYOL, WMSE} {
		t.Run(target, func(t *testing.T) {
			cfg := tinySSL()
			cfg.Target, cfg.Whiten, cfg.Batch, cfg.Steps, cfg.Optim.Eps = target, 12, 24, 3, 1e-3 // see sharing
			cfg.Data.Flip, cfg.Log.Metrics = true, 1
			dir, env := folder(t)
			ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
				g, err := torch.JoinGroup(t.Context(), o)
				require.NoError(t, err)
				defer g.Close()
				probed := 0
				require.NoError(t, Pretrain(t.Context(), cfg, bars(t), Options{Out: filepath.Join(os.Getenv("LIEBM_TEST_DIR"), "shared"), Group: g,
					Probe: func(context.Context, *models.Encoder) ([]Metric, error) { probed++; return nil, nil }}))
				assert.Equal(t, 1-g.Rank(), probed, "rank 0 alone probes")
			}, env)
			if ended == nil {
				return
			}
			torchtest.Succeeded(t, ended)
			alone, shared := filepath.Join(dir, "alone"), filepath.Join(dir, "shared")
			require.NoError(t, Pretrain(t.Context(), cfg, bars(t), Options{Out: alone}))
			one, two := checkpoint(t, alone, 3), checkpoint(t, shared, 3)
			require.Len(t, two, len(one))
			for name, values := range one {
				for i, want := range values {
					// Sums of shares round differently: 1e-7 of each gradient. Whitening and the batch norms of a few rows divide
					// by small deviations: 5e-5 of some moments. After more steps a ReLU may change sides, and the gradient jumps.
					assert.InDelta(t, want, two[name][i], 2e-4*max(1, math.Abs(want)), "%s[%d]", name, i)
				}
			}
			sameMetrics(t, alone, shared)
			assert.FileExists(t, filepath.Join(shared, encoderFile))
		})
	}
}

func TestPretrainingInAGroupResumesBitForBit(t *testing.T) {
	dir, env := folder(t)
	whole, parts := filepath.Join(dir, "whole"), filepath.Join(dir, "parts")
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		cfg := tinySSL()
		cfg.Steps, cfg.Log.Checkpoint = 8, 8
		pretrain := func(ctx context.Context, out string, resume bool) error {
			return Pretrain(ctx, cfg, bars(t), Options{Out: filepath.Join(os.Getenv("LIEBM_TEST_DIR"), out), Group: g, Resume: resume})
		}
		require.NoError(t, pretrain(t.Context(), "whole", false))
		ctx := context.Context(t.Context())
		if o.Rank == 1 {
			ctx = told{t.Context(), new(int)}
		}
		require.ErrorIs(t, pretrain(ctx, "parts", false), context.Canceled)
		require.NoError(t, pretrain(t.Context(), "parts", true))
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended)
	assert.NoFileExists(t, filepath.Join(whole, "checkpoint-00000005.safetensors"))
	assert.FileExists(t, filepath.Join(parts, "checkpoint-00000005.safetensors"), "it stopped between two regular checkpoints")
	assert.Equal(t, checkpointBytes(t, whole, 8), checkpointBytes(t, parts, 8))
}
