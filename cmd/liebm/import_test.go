package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestImportedRunsAreSampledAndExported(t *testing.T) {
	const file = "../../models/testdata/dualmcmc.cifar10.pth"
	out, folder := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "weights")
	_, err := run(t, "import", "--out", out, file)
	assert.ErrorContains(t, err, "--from is missing")
	_, err = run(t, "import", "--from", "gan", "--out", out, file)
	assert.ErrorContains(t, err, "the only known layout is dual-mcmc")

	text, err := run(t, "import", "--from", "dual-mcmc", file, "--out", out, "--set", "chain.steps=1")
	require.NoError(t, err)
	assert.Contains(t, text, "32×32 images, E of widths [8 8 8 8]")
	text, err = run(t, "sample", "--run", out, "--n", "3", "--out", filepath.Join(t.TempDir(), "x.npz"))
	require.NoError(t, err)
	assert.Contains(t, text, "3 images of 32×32×3")
	text, err = run(t, "export", "--run", out, "--out", folder)
	require.NoError(t, err)
	assert.Contains(t, text, filepath.Join(folder, "inference.safetensors"))
	assert.Contains(t, text, filepath.Join(folder, "energy.pt"))
	assert.NotContains(t, text, "encoder", "there is none")
	card, err := os.ReadFile(filepath.Join(folder, "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(card), "dual-mcmc, epoch 7")
	assert.NotContains(t, string(card), "datasets", "nobody knows what it was trained on")
	_, err = run(t, "metrics", "probe", "--run", out)
	assert.ErrorContains(t, err, "no encoder h: use the features of f")
	_, err = run(t, "import", "--from", "dual-mcmc", file, "--out", out)
	assert.ErrorContains(t, err, "already holds a run")
}
