package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPackedRunHasACardAndIsUsedAsAnyRun(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	out := filepath.Join(t.TempDir(), "small")
	text, err := run(t, "pack", "--run", trained(t), "--out", out, "--license", "mit")
	require.NoError(t, err)
	assert.Contains(t, text, "packed")
	card, err := os.ReadFile(filepath.Join(out, "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(card), "license: mit")
	text, err = run(t, "sample", "--run", out, "--n", "2", "--out", filepath.Join(t.TempDir(), "x.npz"))
	require.NoError(t, err)
	assert.Contains(t, text, "2 images of 32×32×1")
	_, err = run(t, "train", "--out", out, "--resume")
	assert.ErrorContains(t, err, "is missing")
}

func TestNamesOfRunsThatComeWithLiebmAreFolders(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	args, err := runFolders([]string{"liebm", "score", "--run", "pretrained:fmnist", "--run=pretrained:fmnist", "x"})
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(args[3], "config.yaml"))
	assert.Equal(t, "--run="+args[3], args[4])
	assert.Equal(t, "x", args[5])
	_, err = runFolders([]string{"pretrained:cifar"})
	assert.ErrorContains(t, err, "use pretrained:fmnist")
}
