package train

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// operations are those of a call of step, as the profiler counts them.
func operations(t *testing.T, images *data.Set, step func(x torch.Tensor) ([]Metric, error)) (flops float64) {
	t.Helper()
	require.NoError(t, torch.Do(func() error {
		x := images.Floats()
		ops, err := torch.Profile(func(func(string)) error {
			_, err := step(x)
			return err
		})
		for _, op := range ops {
			flops += op.FLOPs
		}
		return err
	}))
	return flops
}

// The counts leave out losses, and a first layer has no gradient in its input.
const counted = 0.2

func TestTheCostOfPretrainingIsWhatAStepComputes(t *testing.T) {
	for _, target := range []string{SimCLR, BYOL, WMSE} {
		cfg := tinySSL()
		cfg.Target, cfg.Batch, cfg.Whiten = target, 8, 8
		cfg.Encoder.Widths, cfg.Encoder.HeadDim = []int{16, 32}, 512 // BYOL's predictor counts beside them
		s, err := newSSL(cfg, torch.Device{})
		require.NoError(t, err)
		c, err := CountPretrainingCost(cfg)
		require.NoError(t, err)
		assert.InEpsilon(t, operations(t, bars(t).Head(cfg.Batch), s.Step), c.FLOPsPerIteration, counted, target)
		s.close()
	}
	cfg := tinySSL()
	cfg.Target = "sinclr"
	_, err := CountPretrainingCost(cfg)
	assert.ErrorContains(t, err, "give simclr, byol or wmse")
}

func TestTheTimeAndMemoryOfPretrainingAreMeasured(t *testing.T) {
	for _, target := range []string{SimCLR, BYOL, WMSE} {
		cfg := tinySSL()
		cfg.Target, cfg.Batch, cfg.Whiten, cfg.Steps = target, 64, 16, 1000
		c, err := MeasurePretrainingCost(t.Context(), cfg, torch.Device{})
		require.NoError(t, err)
		assert.Positive(t, c.SecondsPerStep, target)
		assert.InEpsilon(t, c.SecondsPerStep*1000/3600, c.Hours, 1e-9)
		assert.Greater(t, c.MemoryBytes, 50e6, "libtorch alone has as much")
		assert.Less(t, c.MemoryBytes, 8e9)
	}
}

func TestTheCostOfQIsWhatAStepComputes(t *testing.T) {
	slow(t)
	em := filepath.Join(t.TempDir(), "em")
	require.NoError(t, Run(t.Context(), tiny(), bars(t), encoder(t), Options{Out: em}))
	m, err := LoadModel(em, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	cfg := m.Config
	cfg.Batch = 8
	trainer, err := newInferenceTrainer(m, cfg, torch.Device{})
	require.NoError(t, err)
	defer trainer.close()
	c, err := CountInferenceCost(cfg, m.H.Config)
	require.NoError(t, err)
	assert.InEpsilon(t, operations(t, bars(t).Head(cfg.Batch), trainer.Step), c.FLOPsPerIteration, counted)
}

func TestAModelThatReadsNoEncoderDoesNotPayForIt(t *testing.T) {
	small, large := EncoderFor(FashionMNIST()), EncoderFor(CIFAR10())
	for name, c := range map[string]struct {
		set   []string
		reads bool
	}{
		"EM": {nil, true}, "ERM": {[]string{"target=erm"}, true}, "no latents, ERM with ρ": {[]string{"energy.posterior=none", "target=erm"}, true},
		"no latents": {[]string{"energy.posterior=none"}, false}, "a VAE": {[]string{"energy.posterior=none", "target=erm", "rho=0", "omega1=0"}, false},
	} {
		cfg, err := Sources{Preset: "fmnist-em", Set: c.set}.Resolve()
		require.NoError(t, err, name)
		assert.Equal(t, c.reads, cfg.flops(small) < cfg.flops(large), name)
	}
}
