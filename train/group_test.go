package train

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// inGroup runs a tiny config in this process's place of a group, in the folder the parent named.
func inGroup(t *testing.T, o torch.GroupOptions, cfg Config, ctx context.Context, options Options) error {
	g, err := torch.JoinGroup(t.Context(), o)
	require.NoError(t, err)
	defer g.Close()
	options.Out, options.Group = filepath.Join(os.Getenv("LIEBM_TEST_DIR"), "shared"), g
	return Run(ctx, cfg, bars(t), filepath.Join(os.Getenv("LIEBM_TEST_DIR"), encoderFile), options)
}

// folder is where the processes of a test meet: an encoder lies in it.
func folder(t *testing.T) (dir, env string) {
	dir = t.TempDir()
	if os.Getenv("LIEBM_TEST_PROCESS") == "" {
		file, err := os.ReadFile(encoder(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, encoderFile), file, 0o666))
	}
	return dir, "LIEBM_TEST_DIR=" + dir
}

func checkpoint(t *testing.T, dir string, step int) map[string][]float64 {
	path := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, os.WriteFile(path, checkpointBytes(t, dir, step), 0o666))
	tensors, _, err := torch.ReadSafetensors(path)
	require.NoError(t, err)
	defer closeAll(tensors)
	out := map[string][]float64{}
	require.NoError(t, torch.Do(func() error {
		for name, x := range tensors {
			out[name] = x.Float64s()
		}
		return nil
	}))
	return out
}

// sharing is tiny with the kinds of draws and layers whose shares could differ.
func sharing() Config {
	cfg := tiny()
	cfg.Steps, cfg.Log.Checkpoint, cfg.Log.Metrics, cfg.ReplaceProb = 5, 5, 1, 0.5
	cfg.Energy.SpectralNorm, cfg.Chain.Delta2 = true, 200
	cfg.Views.JitterProb, cfg.Views.Jitter = 0.8, [4]float64{0.4, 0.4, 0.4, 0.1}
	// Adam divides by the root of the mean square: where a gradient is rounding noise, its sign is
	// the noise's, and the weight moves by the whole rate. A larger eps leaves such weights alone.
	cfg.OptE.Eps, cfg.OptG.Eps, cfg.OptQ.Eps = 1e-3, 1e-3, 1e-3
	cfg.OptH.Eps = 1e-2 // batch norm of the few images of one view amplifies the noise in the biases before it, which it cancels
	return cfg
}

func sharingWith(t *testing.T, settings []string) Config {
	t.Helper()
	cfg, err := sharing().Change(settings)
	require.NoError(t, err)
	return cfg
}

// sharedVariants train one network each that the others do not.
var sharedVariants = map[string][]string{
	"em":                    nil,
	"erm":                   {"target=erm"},
	"encoder trained along": {"encoder=joint"},
	"in parts":              {"batch_split=2"},
}

func TestTwoProcessesTrainToTheWeightsOfOne(t *testing.T) {
	slow(t)
	for name, settings := range sharedVariants {
		t.Run(name, func(t *testing.T) { twoProcessesAreOne(t, sharingWith(t, settings)) })
	}
}

func twoProcessesAreOne(t *testing.T, cfg Config) {
	dir, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		var log bytes.Buffer
		watched := 0
		require.NoError(t, inGroup(t, o, cfg, t.Context(), Options{Log: &log, Watch: func(Progress) { watched++ }}))
		if o.Rank == 0 {
			assert.Equal(t, 5, watched)
		} else {
			assert.Zero(t, watched+log.Len(), "rank 0 alone reports")
		}
	}, env)
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended)
	require.NoError(t, Run(t.Context(), cfg, bars(t), filepath.Join(dir, encoderFile), Options{Out: filepath.Join(dir, "alone")}))

	trainer, err := loadTrainer(cfg, filepath.Join(dir, encoderFile), nil, torch.Device{})
	require.NoError(t, err)
	defer trainer.Close()
	moved := map[string]float64{}
	alone, shared := checkpoint(t, filepath.Join(dir, "alone"), 5), checkpoint(t, filepath.Join(dir, "shared"), 5)
	require.Len(t, shared, len(alone))
	for _, e := range entriesOf(trainer.trained()) {
		require.NoError(t, torch.Do(func() error {
			part, _, _ := strings.Cut(e.Name, ".")
			for i, v := range e.Tensor.Float64s() {
				want := alone[e.Name][i]
				moved[part] = max(moved[part], math.Abs(want-v))
				// Sums of shares round differently: 1e-7 of each gradient, over five steps of chains with δ²/2 = 100.
				assert.InDelta(t, want, shared[e.Name][i], 1e-5*max(1, math.Abs(want)), "%s[%d]", e.Name, i)
			}
			return nil
		}))
	}
	for part, by := range moved {
		assert.Greater(t, by, 1e-6, "training moved %s", part)
	}
	sameMetrics(t, filepath.Join(dir, "alone"), filepath.Join(dir, "shared"))
}

func sameMetrics(t *testing.T, alone, shared string) {
	t.Helper()
	one, err := ReadMetrics(filepath.Join(alone, metricsFile))
	require.NoError(t, err)
	two, err := ReadMetrics(filepath.Join(shared, metricsFile))
	require.NoError(t, err)
	require.Len(t, two, len(one), "it is logged once")
	for i := range one {
		for name, want := range one[i].Values {
			if name != "steps_per_second" {
				assert.InDelta(t, want, two[i].Values[name], 1e-4*max(1, math.Abs(want)), "%s at step %d", name, i+1)
			}
		}
	}
}

func TestABatchThatDoesNotDivideIsRefused(t *testing.T) {
	slow(t)
	_, env := folder(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		cfg := tiny()
		cfg.Batch = 5
		err := inGroup(t, o, cfg, t.Context(), Options{})
		assert.EqualError(t, err, "batch is 5, which 2 processes cannot share evenly: set batch=6, or start a number of processes that divides 5")
	}, env)
	torchtest.Succeeded(t, ended)
}

func TestProcessesThatWereStartedDifferentlyAreRefused(t *testing.T) {
	slow(t)
	_, env := folder(t)
	type start struct {
		cfg     Config
		set     *data.Set
		encoder string
		Options
	}
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		dir := os.Getenv("LIEBM_TEST_DIR")
		for _, c := range []struct {
			says  string
			other func(s *start) // what rank 1 has otherwise
		}{
			{"seed is 1 and 2", func(s *start) { s.cfg.Seed = 2 }},
			{"energy.widths is [4, 4] and [4, 8]", func(s *start) { s.cfg.Energy.Widths = []int{4, 8} }},
			{"batch is 4 and 3", func(s *start) { s.cfg.Batch = 3 }},
			{"SHA-256 of the images is ", func(s *start) { s.set.Pixels()[0] ^= 1 }},
			{"SHA-256 of the encoder is ", func(s *start) {
				s.encoder = filepath.Join(dir, "other")
				require.NoError(t, os.WriteFile(s.encoder, nil, 0o666))
			}},
			{"version of liebm is none and v0", func(s *start) { s.Version = map[string]string{"liebm": "v0"} }},
			{"minutes is 0 and 1", func(s *start) { s.Minutes = 1 }},
		} {
			s := start{tiny(), bars(t), filepath.Join(dir, encoderFile), Options{Out: filepath.Join(dir, "shared"), Group: g}}
			if o.Rank == 1 {
				c.other(&s)
			}
			assert.ErrorContains(t, Run(t.Context(), s.cfg, s.set, s.encoder, s.Options), "rank 0 and rank 1 of 2 were started differently: "+c.says)
			assert.NoDirExists(t, s.Out)
		}
	}, env)
	torchtest.Succeeded(t, ended)
}
