package train

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// scoreGamma is γ of exported scores: so large that the cosine counts.
const scoreGamma = 3

// exported is a trained model with all four networks, and the folder it was exported to.
func exported(t *testing.T) (*Model, string) {
	t.Helper()
	cfg := tiny()
	cfg.Target, cfg.Energy.SpectralNorm, cfg.Energy.LinearF, cfg.Steps = ERM, true, true, 6
	cfg.Data.Range = models.Range{Low: -1, High: 1}
	run, folder := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "weights")
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: run}))
	m, err := LoadModel(run, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	paths, err := m.Export(folder, scoreGamma, map[string]string{"liebm": "test"})
	require.NoError(t, err)
	assert.Len(t, paths, 9)
	return m, folder
}

// untrained is a model of E, G and, for a latent term, h with weights drawn at random.
func untrained(t *testing.T, cfg Config, h models.EncoderConfig) *Model {
	t.Helper()
	m := &Model{Config: cfg}
	t.Cleanup(m.Close)
	var err error
	m.E, err = models.NewEnergy(cfg.Energy, 1)
	require.NoError(t, err)
	m.G, err = models.NewGenerator(cfg.Generator, cfg.Data.Range, 1)
	require.NoError(t, err)
	if m.E.Head1 != nil {
		m.H, err = models.NewEncoder(h, cfg.Data.Range, 1)
		require.NoError(t, err)
		require.NoError(t, torch.Do(func() error { // moves the running statistics
			m.H.Forward(torch.NewRNG(1, 0, "statistics").Normal(8, h.Channels, cfg.Data.Size, cfg.Data.Size), nn.Train)
			return nil
		}))
	}
	return m
}

// outputs are what the networks of m make of a few inputs, which come first.
func outputs(t *testing.T, m *Model) []torch.Entry {
	t.Helper()
	rng, c := torch.NewRNG(1, 0, "inputs"), m.Config
	size, inner := c.Data.Size, c.ImageSize()
	images := data.Bytes(rng.Uniform(0, 1, 5, c.Energy.Channels, inner, inner))
	pictures, err := data.New(data.Shape{N: 5, H: inner, W: inner, C: c.Energy.Channels}, images, nil)
	require.NoError(t, err)
	padded, err := pictures.Pad(size)
	require.NoError(t, err)
	score, energy, cosine, err := m.Scores(t.Context(), padded, scoreGamma)
	require.NoError(t, err)
	latent := rng.Normal(5, c.Generator.LatentDim)
	x := c.Data.Range.FromUnit(padded.Floats())
	e := m.E.Bind()
	leaf := x.Leaf()
	gradient := torch.Grad(e.Marginal(leaf).Sum(), leaf, false)
	all := []torch.Entry{{Name: "m", Tensor: latent}, {Name: "x", Tensor: x}, {Name: "images", Tensor: pictures.Floats()},
		{Name: "g", Tensor: m.G.Forward(latent, nn.Eval)}, {Name: "marginal", Tensor: e.Marginal(x)}, {Name: "gradient", Tensor: gradient}}
	for i, values := range [][]float64{score, energy, cosine} {
		all = append(all, torch.Entry{Name: []string{"score", "energy", "cosine"}[i], Tensor: torch.FromSlice(values, 5).To(torch.Float32)})
	}
	if m.H != nil {
		z := rng.Normal(5, c.Energy.LatentDim).Normalize()
		all = append(all, torch.Entry{Name: "z", Tensor: z}, torch.Entry{Name: "joint", Tensor: e.Joint(x, z)}, torch.Entry{Name: "latent", Tensor: m.H.Latent(x)})
	}
	if m.Q != nil {
		mean, logVar := m.Q.Forward(x)
		all = append(all, torch.Entry{Name: "mean", Tensor: mean}, torch.Entry{Name: "log_var", Tensor: logVar})
	}
	return all
}

func TestExportedNetworksAreTheSameBitForBit(t *testing.T) {
	m, folder := exported(t)
	back := &Model{Config: m.Config}
	var err error
	back.E, err = LoadEnergy(filepath.Join(folder, "energy.safetensors"))
	require.NoError(t, err)
	back.G, err = LoadGenerator(filepath.Join(folder, "generator.safetensors"))
	require.NoError(t, err)
	kept := filepath.Join(folder, "kept.safetensors")
	require.NoError(t, m.keepGenerator(m.G, kept))
	_, err = LoadGenerator(kept)
	assert.ErrorContains(t, err, "does not say in which range G draws pixels")
	back.Q, err = LoadInference(filepath.Join(folder, "inference.safetensors"))
	require.NoError(t, err)
	back.H, err = LoadEncoder(EncoderPath(folder), m.Config.Data.Range)
	require.NoError(t, err)
	defer back.Close()
	assert.Equal(t, m.E.Config, back.E.Config)
	assert.Equal(t, m.G.Range, back.G.Range)
	torchtest.Scope(t, func() {
		got := outputs(t, back)
		for i, want := range outputs(t, m) {
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
	text, err := os.ReadFile(filepath.Join(folder, "config.json"))
	require.NoError(t, err)
	assert.JSONEq(t, meta["run"], string(text))
	again, err := Sources{File: filepath.Join(folder, "config.json")}.Resolve()
	require.NoError(t, err, "it trains the same model again")
	assert.Equal(t, m.Config, again)
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
	reference(t, m, folder)
	inPyTorch(t, "_load_weights.py", folder)
	folders := []string{folder}
	for name, c := range map[string]struct {
		change  func(c *Config)
		encoder models.EncoderConfig
	}{
		"padded gray images, Gaussian posterior": {func(c *Config) {
			c.Data.Name, c.Data.Size, c.Generator.Widths, c.Energy.Posterior = "fmnist", 32, []int{4, 4, 4, 4}, models.Gaussian
		}, models.EncoderConfig{Channels: 1, Stem: "medium", Widths: []int{4, 8}, Blocks: []int{2, 1}, HeadDim: 8, LatentDim: 4}},
		"color images, CEBM": {func(c *Config) {
			c.Energy.Channels, c.Generator.Channels, c.Energy.Posterior, c.Data.Range = 3, 3, models.CEBM, models.Range{Low: -1, High: 1}
		}, models.EncoderConfig{Channels: 3, Stem: "large", Widths: []int{4, 8}, Blocks: []int{1, 2}, HeadDim: 8, LatentDim: 4,
			Mean: []float64{0.4, 0.5, 0.6}, Std: []float64{0.2, 0.25, 0.3}}},
		"no latent term": {func(c *Config) { c.Energy.Posterior = models.NoLatent }, models.EncoderConfig{}},
	} {
		cfg := tiny()
		c.change(&cfg)
		m, folder := untrained(t, cfg, c.encoder), filepath.Join(t.TempDir(), name)
		_, err := m.Export(folder, scoreGamma, nil)
		require.NoError(t, err)
		reference(t, m, folder)
		folders = append(folders, folder)
	}
	inPyTorch(t, "_load_torchscript.py", folders...)
}

// reference puts the networks' outputs for a few inputs beside an export of m.
func reference(t *testing.T, m *Model, folder string) {
	t.Helper()
	file, err := os.Create(filepath.Join(folder, "reference.npz"))
	require.NoError(t, err)
	require.NoError(t, torch.Do(func() error { return torch.WriteNPZ(file, outputs(t, m)) }))
	require.NoError(t, file.Close())
}

// inPyTorch runs a script of testdata on exports with their references.
func inPyTorch(t *testing.T, script string, folders ...string) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/python3/dist-packages/torch"); err != nil {
		t.Skip("no PyTorch to compare with: apt install python3-torch")
	}
	python := exec.Command("/usr/bin/python3", append([]string{filepath.Join("testdata", script)}, folders...)...)
	python.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1") // or it starts a thread for each core, beside ours
	out, err := python.CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("%s", out)
}
