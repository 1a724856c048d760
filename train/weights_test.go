package train

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// exported is a trained model with all four networks, and the folder it was exported to.
func exported(t *testing.T) (*Model, string) {
	t.Helper()
	cfg := tiny()
	cfg.Target, cfg.Energy.SpectralNorm, cfg.Energy.LinearF, cfg.Steps = ERM, true, true, 6
	run, folder := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "weights")
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: run}))
	m, err := LoadModel(run, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	paths, err := m.Export(folder, map[string]string{"liebm": "test"})
	require.NoError(t, err)
	assert.Len(t, paths, 6)
	return m, folder
}

// outputs are what the networks of m make of a few inputs, which come first.
func outputs(m *Model) []torch.Entry {
	rng, c := torch.NewRNG(1, 0, "inputs"), m.Config
	latent := rng.Normal(5, c.Generator.LatentDim)
	x := rng.Uniform(c.Data.Range.Low, c.Data.Range.High, 5, c.Energy.Channels, c.Data.Size, c.Data.Size)
	z := rng.Normal(5, c.Energy.LatentDim).Normalize()
	e := m.E.Bind()
	mean, logVar := m.Q.Forward(x)
	leaf := x.Leaf()
	gradient := torch.Grad(e.Marginal(leaf).Sum(), leaf, false)
	return []torch.Entry{{Name: "m", Tensor: latent}, {Name: "x", Tensor: x}, {Name: "z", Tensor: z},
		{Name: "g", Tensor: m.G.Forward(latent, nn.Eval)}, {Name: "marginal", Tensor: e.Marginal(x)}, {Name: "gradient", Tensor: gradient}, {Name: "joint", Tensor: e.Joint(x, z)},
		{Name: "mean", Tensor: mean}, {Name: "log_var", Tensor: logVar}, {Name: "latent", Tensor: m.H.Latent(x)}}
}

func TestExportedNetworksAreTheSameBitForBit(t *testing.T) {
	m, folder := exported(t)
	back := &Model{Config: m.Config}
	var err error
	back.E, err = LoadEnergy(filepath.Join(folder, "energy.safetensors"))
	require.NoError(t, err)
	back.G, err = LoadGenerator(filepath.Join(folder, "generator.safetensors"))
	require.NoError(t, err)
	back.Q, err = LoadInference(filepath.Join(folder, "inference.safetensors"))
	require.NoError(t, err)
	back.H, err = LoadEncoder(EncoderPath(folder), m.Config.Data.Range)
	require.NoError(t, err)
	defer back.Close()
	assert.Equal(t, m.E.Config, back.E.Config)
	assert.Equal(t, m.G.Range, back.G.Range)
	torchtest.Scope(t, func() {
		got := outputs(back)
		for i, want := range outputs(m) {
			assert.True(t, want.Tensor.Equal(got[i].Tensor), want.Name)
		}
	})
}

func TestExportsSayWhereTheyComeFrom(t *testing.T) {
	m, folder := exported(t)
	tensors, meta, err := torch.ReadSafetensors(filepath.Join(folder, "generator.safetensors"))
	require.NoError(t, err)
	closeAll(tensors)
	var run struct {
		Chain struct{ Delta2 float64 }
		Data  struct{ Range models.Range }
	}
	require.NoError(t, json.Unmarshal([]byte(meta["run"]), &run))
	assert.Equal(t, m.Config.Chain.Delta2, run.Chain.Delta2)
	assert.Equal(t, m.Config.Data.Range, run.Data.Range)
	assert.Equal(t, "6", meta["step"])
	assert.Equal(t, "1", meta["seed"])
	assert.Equal(t, m.SHA256, meta["checkpoint_sha256"])
	assert.JSONEq(t, `{"channels":1,"latent_dim":6,"widths":[4,4]}`, meta["generator"])
	assert.Contains(t, meta["versions"], `"liebm":"test"`)

	before := torch.Live()
	_, err = LoadEnergy(filepath.Join(folder, "generator.safetensors"))
	assert.ErrorContains(t, err, "no energy of liebm")
	assert.Equal(t, before, torch.Live())
}

func TestPyTorchComputesTheSameFromAnExport(t *testing.T) {
	slow(t)
	m, folder := exported(t)
	inPyTorch(t, m, folder, "_load_weights.py")
	inPyTorch(t, m, folder, "_load_torchscript.py")
}

// inPyTorch runs a script of testdata on an export, with what our networks make of a few inputs beside it.
func inPyTorch(t *testing.T, m *Model, folder, script string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/python3/dist-packages/torch"); err != nil {
		t.Skip("no PyTorch to compare with: apt install python3-torch")
	}
	file, err := os.Create(filepath.Join(folder, "reference.npz"))
	require.NoError(t, err)
	require.NoError(t, torch.Do(func() error { return torch.WriteNPZ(file, outputs(m)) }))
	require.NoError(t, file.Close())
	out, err := exec.Command("/usr/bin/python3", filepath.Join("testdata", script), folder).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("%s", out)
}
