package main

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
)

// trainedWithQ is a run of target=erm, a few steps long.
func trainedWithQ(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	_, err := run(t, append([]string{"train", "--preset", "fmnist-em", "--encoder", pretrained(t), "--out", out, "--steps", "2",
		"--set", "target=erm", "--set", "inference.stem=4", "--set", "inference.widths=[4,4,4]"}, small...)...)
	require.NoError(t, err)
	return out
}

// checkFolder looks at what a use left: a grid of rows × cols pictures of 28×28, and n images.
func checkFolder(t *testing.T, dir string, rows, cols, n int) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "grid.png"))
	require.NoError(t, err)
	defer f.Close()
	grid, err := png.DecodeConfig(f)
	require.NoError(t, err)
	assert.Equal(t, []int{cols*30 + 2, rows*30 + 2}, []int{grid.Width, grid.Height})
	images, err := eval.Open(filepath.Join(dir, "images.npz"), false)
	require.NoError(t, err)
	assert.Equal(t, n, images.Images.N)
	_, err = os.Stat(filepath.Join(dir, "result.json"))
	assert.NoError(t, err)
}

func TestReconstructCommand(t *testing.T) {
	dir, out := trainedWithQ(t), filepath.Join(t.TempDir(), "out")
	r := record(t, "reconstruct", "--run", dir, "--n", "20", "--l", "2", "--out", out)
	assert.InDelta(t, r.Values["mse"]/4, r.Values["mse_unit"], 1e-12)
	assert.Greater(t, r.Values["psnr"], 0.0)
	assert.Contains(t, r.Values, "ssim")
	assert.Equal(t, "2", r.Settings["l"])
	assert.Equal(t, 20, r.Inputs[0].N)
	checkFolder(t, out, 2, 16, 20)
	kept, err := eval.ReadRecords(filepath.Join(dir, resultsFile))
	require.NoError(t, err)
	assert.Equal(t, r.Values, kept[0].Values)

	text, err := run(t, "reconstruct", "--run", dir, "--n", "3", "--images", filepath.Join(out, "images.npz"), "--out", out)
	require.NoError(t, err)
	assert.Contains(t, text, "PSNR")
	checkFolder(t, out, 2, 3, 3)
}
