package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
)

func TestNetworksHaveThePublishedNumberOfParameters(t *testing.T) {
	for name, want := range map[string]map[string]int{ // Table 12; h is ResNet-18 with its head
		"cifar10-em-published":     {"E": 4_923_968, "G": 4_276_739, "q": 15_208_064, "h": 11_761_792},
		"imagenet32-em-published":  {"E": 17_645_632, "G": 16_024_579, "q": 15_208_064},
		"celeba64-em-published":    {"E": 20_651_456, "G": 12_220_675, "q": 15_210_752, "h": 11_761_792},
		"celebahq256-em-published": {"G": 34_326_211, "q": 8_064_512, "h": 11_769_472},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := Preset(name)
			require.NoError(t, err)
			p, err := CountCost(cfg, EncoderFor(cfg))
			require.NoError(t, err)
			for network, n := range want {
				assert.Equal(t, n, p.Params[network], network)
			}
			if name == "celebahq256-em-published" {
				assert.InDelta(t, 40.65e6, p.Params["E"], 0.005e6, "published as 40.65 M")
			}
		})
	}
}

func TestPresetsAreWholeAndValid(t *testing.T) {
	for _, name := range Presets() {
		cfg, err := Preset(name)
		require.NoError(t, err)
		assert.Equal(t, name, cfg.Preset)
		assert.True(t, strings.HasSuffix(strings.TrimSuffix(name, "-published"), "-"+cfg.Target), name)
		assert.NoError(t, cfg.Validate(), name)
		var back Config
		text, err := YAML(cfg)
		require.NoError(t, err)
		require.NoError(t, config.Decode([]byte(text), &back))
		assert.Equal(t, cfg, back, "a config survives its file")
		ssl, err := SSLPreset(EncoderPreset(cfg, SimCLR))
		require.NoError(t, err, "every data set has an encoder to pretrain")
		assert.NoError(t, ssl.Validate(), ssl.Preset)
		assert.Equal(t, cfg.Energy.LatentDim, ssl.Encoder.LatentDim)
		cfg.Data.Range = ssl.Data.Range // h reads images in any range
		assert.Equal(t, cfg.Data, ssl.Data)
		if !presetOf(name).bySize {
			assert.Contains(t, data.Names(), cfg.Data.Name, "a preset's data can be opened by name")
		}
	}
}

func TestPresetsTrainForThePublishedEpochs(t *testing.T) {
	for name, want := range map[string]struct{ epochs, steps int }{
		"cifar10-em": {500, 97_500}, "imagenet32-em": {100, 500_400}, "celeba64-em": {300, 190_500}, "celebahq256-em": {300, 63_000},
	} {
		cfg, err := Preset(name)
		require.NoError(t, err)
		assert.Equal(t, want.steps, cfg.Steps, name)
		assert.InDelta(t, want.epochs, cfg.Epochs(), 0.005*float64(want.epochs), "%s, in whole batches", name)
		assert.Equal(t, 10_000, cfg.Log.Measured, "FID-10k in the course of training")
	}
	assert.Zero(t, FashionMNIST().Log.Measured)
}

func TestPretrainingHasTheBatchOfTwoViews(t *testing.T) {
	for name, want := range map[string]struct{ batch, steps int }{
		"cifar10-wmse": {512, 97_000}, "cifar10-simclr": {512, 97_000}, "cifar10-byol": {512, 97_000}, "fmnist-wmse": {128, 800},
	} {
		c, err := SSLPreset(name)
		require.NoError(t, err)
		assert.Equal(t, want.batch, c.Batch, name)
		assert.Equal(t, want.steps, c.Steps, name)
	}
}

func TestAPresetOfTheOtherKindIsNamedAsSuch(t *testing.T) {
	_, err := Preset("fmnist-byol")
	assert.ErrorContains(t, err, "fmnist-byol is a preset of pretraining, which this command does not use: use one of")
	_, err = SSLPreset("fmnist-em")
	assert.ErrorContains(t, err, "fmnist-em is a preset of training, which this command does not use: use one of")
}

func TestTheTrapOfTheZeroImageIsWarnedOf(t *testing.T) {
	assert.Len(t, cifar10().Warnings(), 1, "quadratic F, no bias, 0 in [0, 1]")
	assert.Empty(t, CIFAR10().Warnings(), "has biases")
	assert.Empty(t, FashionMNIST().Warnings(), "has biases")
	assert.Empty(t, celebA64().Warnings(), "has a linear F")
	assert.Empty(t, CelebA64().Warnings(), "has biases")
}

func TestValidateNamesEverySettingThatIsWrong(t *testing.T) {
	c := FashionMNIST()
	c.Target, c.Batch, c.ReplaceProb, c.EMA, c.Precision = "me", 1, 2, 1, "float8"
	c.Energy.Gamma, c.Chain.Steps, c.OptE.LR = math.NaN(), -1, 0
	err := c.Validate()
	for _, name := range []string{"target", "batch", "replace_prob", "ema", "precision", "energy.gamma", "chain.steps", "opt_e.lr"} {
		assert.ErrorContains(t, err, name)
	}
}

func TestCostScalesWithTheWork(t *testing.T) {
	c := tiny()
	c.Batch, c.BatchSplit = 20, 2 // 8 and 16 images are measured
	p, err := MeasureCost(context.Background(), c, tinySSL().Encoder, torch.Device{})
	require.NoError(t, err)
	assert.Positive(t, p.Hours)
	assert.Greater(t, p.MemoryBytes, 50e6, "libtorch alone has as much")
	assert.Less(t, p.MemoryBytes, 8e9)
	twice := c
	twice.Chain.Steps *= 2
	assert.Greater(t, twice.flops(tinySSL().Encoder), c.flops(tinySSL().Encoder))
	assert.InEpsilon(t, p.SecondsPerStep*float64(c.Steps)/3600, p.Hours, 1e-9)
}
