package train

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

const dualCIFAR10 = "../models/testdata/dualmcmc.cifar10.pth"

func TestImportedRunsKeepTheFilesOutputs(t *testing.T) {
	golden := torchtest.Load(t, "../models/testdata/dualmcmc.npz")
	for name, want := range map[string]struct {
		preset string
		delta2 float64
	}{"cifar10": {"cifar10-em-published", 0.25}, "celeba64": {"celeba64-em-published", 0.09}} {
		torchtest.Run(t, name, func(t *testing.T) {
			file, dir := "../models/testdata/dualmcmc."+name+".pth", filepath.Join(t.TempDir(), "run")
			cfg, err := ImportDualMCMC(file, ImportOptions{Out: dir, Set: []string{"chain.steps=1"}})
			require.NoError(t, err)
			assert.Equal(t, want.preset, cfg.Preset)
			assert.Equal(t, want.delta2, cfg.Chain.Delta2)
			run, err := openRun(dir)
			require.NoError(t, err)
			info, err := run.Info()
			require.NoError(t, err)
			sum, err := data.FileSHA256(file)
			require.NoError(t, err)
			assert.Equal(t, sum, info.Imported.SHA256)
			assert.Equal(t, 7, info.Imported.Epoch)

			m, err := LoadModel(dir, torch.Device{})
			require.NoError(t, err)
			defer m.Close()
			check := func(key string, got torch.Tensor) {
				t.Helper()
				torchtest.InDelta(t, golden.Tensor(name+"."+key), got, 1e-5)
			}
			x := m.G.Forward(golden.Tensor(name+".m"), nn.Eval)
			check("g", x)
			mean, _ := m.Q.Forward(golden.Tensor(name + ".x"))
			check("mean", mean)
			chain := m.Config.Chain
			chain.Steps, chain.Delta2, chain.Sigma = 10, golden.Item(name+".delta2"), 0
			check("xT", chain.Run(m.E.Frozen(torch.Float32).Marginal, x, torch.NewRNG(0, 0, "no noise")))

			set, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 1})
			require.NoError(t, err)
			assert.Equal(t, data.Shape{N: 3, H: cfg.Data.Size, W: cfg.Data.Size, C: 3}, set.Shape)
		})
	}
}

func TestImportedRunsTrainOn(t *testing.T) {
	before, dir := torch.Live(), filepath.Join(t.TempDir(), "run")
	cfg, err := ImportDualMCMC(dualCIFAR10, ImportOptions{Out: dir, Set: []string{"steps=2", "batch=4", "chain.steps=2"}})
	require.NoError(t, err)
	set, err := data.New(data.Shape{N: 8, H: 32, W: 32, C: 3}, make([]byte, 8*32*32*3), nil)
	require.NoError(t, err)
	set.Name = "black"
	require.NoError(t, Run(t.Context(), cfg, set, "", Options{Out: dir, Resume: true}))
	require.NoError(t, Run(t.Context(), cfg, set, "", Options{Out: dir, Resume: true}), "the data are known now")
	set.Name = "others"
	assert.ErrorContains(t, Run(t.Context(), cfg, set, "", Options{Out: dir, Resume: true}), "the data changed")
	assert.Equal(t, before, torch.Live())
}

func TestImportRecalibratesOnRequest(t *testing.T) {
	slow(t)
	golden, dir := torchtest.Load(t, "../models/testdata/dualmcmc.npz"), filepath.Join(t.TempDir(), "run")
	_, err := ImportDualMCMC(dualCIFAR10, ImportOptions{Out: dir, Recalibrate: true})
	require.NoError(t, err)
	torchtest.Scope(t, func() {
		m, err := LoadModel(dir, torch.Device{})
		require.NoError(t, err)
		defer m.Close()
		latents := torch.NewRNG(1, 0, "m").Normal(500, 6)
		file, batch := m.G.Forward(golden.Tensor("cifar10.m"), nn.Eval), m.G.Forward(latents, nn.BatchStats)
		assert.Greater(t, file.Sub(golden.Tensor("cifar10.g")).Abs().Max().Item(), 0.01, "other statistics than the file's")
		assert.Less(t, m.G.Forward(latents, nn.Eval).Sub(batch).Abs().Mean().Item(), 0.03, "statistics of 500 latents against those of 10,000")
	})
}

func TestImportsThatFailLeaveNoRun(t *testing.T) {
	before, dir := torch.Live(), filepath.Join(t.TempDir(), "run")
	_, err := ImportDualMCMC("../torch/testdata/checkpoint.zip.pth", ImportOptions{Out: dir})
	assert.ErrorContains(t, err, "netE.conv_1.conv1.weight_orig is missing")
	_, err = ImportDualMCMC(dualCIFAR10, ImportOptions{Out: dir, Preset: "cifar"})
	assert.ErrorContains(t, err, "no preset is called")
	_, err = ImportDualMCMC(dualCIFAR10, ImportOptions{Out: dir, Set: []string{"chain.step=1"}})
	assert.ErrorContains(t, err, "chain.steps")
	assert.NoDirExists(t, dir)
	assert.Equal(t, before, torch.Live())
}
