package train

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

func TestQLearnsOverAFrozenGeneratorAndResumes(t *testing.T) {
	slow(t)
	before := torch.Live()
	em := filepath.Join(t.TempDir(), "em")
	require.NoError(t, Run(t.Context(), tiny(), bars(t), encoder(t), Options{Out: em}))
	m, err := LoadModel(em, torch.Device{})
	require.NoError(t, err)
	cfg := m.Config
	cfg.Batch, cfg.Steps, cfg.LRQ = 16, 40, 3e-3
	before26 := generatorSum(t, m)
	whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	require.NoError(t, TrainInference(t.Context(), cfg, m, bars(t), Options{Out: whole}))
	ctx, watch := stopAfter(t, 5)
	require.Error(t, TrainInference(ctx, cfg, m, bars(t), Options{Out: parts, Watch: watch}))
	require.NoError(t, TrainInference(t.Context(), cfg, m, bars(t), Options{Out: parts, Resume: true}))
	assert.Equal(t, checkpointBytes(t, whole, cfg.Steps), checkpointBytes(t, parts, cfg.Steps))
	assert.Equal(t, before26, generatorSum(t, m), "only α moves")

	records, err := ReadMetrics(filepath.Join(whole, metricsFile))
	require.NoError(t, err)
	assert.Less(t, records[len(records)-1].Values["loss_q"], records[0].Values["loss_q"]-5, "a step's loss differs by 2 from batch to batch")

	require.NoError(t, m.LoadInference(whole, torch.Device{}))
	assert.NotNil(t, m.Q)
	sumOfQ := func(lr, lrQ float64) float64 {
		cfg, out := cfg, filepath.Join(t.TempDir(), "rate")
		cfg.Steps, cfg.OptQ.LR, cfg.LRQ = 2, lr, lrQ
		require.NoError(t, TrainInference(t.Context(), cfg, m, bars(t), Options{Out: out}))
		require.NoError(t, m.LoadInference(out, torch.Device{}))
		return sum(t, m.Q)
	}
	assert.Equal(t, sumOfQ(1e-2, 0), sumOfQ(1e-3, 1e-2), "lr_q comes before opt_q.lr")
	assert.NotEqual(t, sumOfQ(1e-3, 0), sumOfQ(1e-3, 1e-2))
	m.SHA256 = "another"
	assert.ErrorContains(t, m.LoadInference(whole, torch.Device{}), "train q again")
	cfg.Inference.Widths = nil
	assert.ErrorContains(t, TrainInference(t.Context(), cfg, m, bars(t), Options{Out: filepath.Join(t.TempDir(), "q")}), "inference.widths is empty: give q's channels, one width per halving down to 4×4 pixels; target=erm and liebm train-q need them")
	m.Close()
	assert.Equal(t, before, torch.Live())
}

func sum(t *testing.T, module any) (sum float64) {
	t.Helper()
	require.NoError(t, torch.Do(func() error {
		for _, p := range nn.Params(module) {
			sum += p.Detach().Square().Sum().Item()
		}
		return nil
	}))
	return sum
}

func generatorSum(t *testing.T, m *Model) (sum []float64) {
	t.Helper()
	require.NoError(t, torch.Do(func() error { sum = m.G.In.Weight.Detach().Float64s(); return nil }))
	return sum
}
