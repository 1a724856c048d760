package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// checkFolder looks at what a use left: a grid of rows × cols pictures of 32×32, and n images.
func checkFolder(t *testing.T, dir string, rows, cols, n int) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "grid.png"))
	require.NoError(t, err)
	defer f.Close()
	grid, err := png.DecodeConfig(f)
	require.NoError(t, err)
	assert.Equal(t, rows*34+2, grid.Height)
	assert.Greater(t, grid.Width, cols*34+2, "labels stand left of the pictures")
	images, err := eval.Open(filepath.Join(dir, "images.npz"), eval.OpenOptions{})
	require.NoError(t, err)
	assert.Equal(t, n, images.Images.N)
	_, err = os.Stat(filepath.Join(dir, "result.json"))
	assert.NoError(t, err)
}

func TestUsesOfARun(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model with q")
	}
	dir := trained(t)
	for name, test := range map[string]func(*testing.T, string){"reconstruct": reconstructs, "restore": restores,
		"conditional": samplesClasses, "interpolate": interpolates, "score": scores} {
		t.Run(name, func(t *testing.T) { test(t, dir) })
	}
}

func reconstructs(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "out")
	r := record(t, "reconstruct", "--run", dir, "--n", "20", "--l", "2", "--out", out)
	assert.InDelta(t, r.Values["mse"]/4, r.Values["mse_unit"], 1e-12)
	assert.Greater(t, r.Values["psnr"], 0.0)
	assert.Contains(t, r.Values, "ssim")
	assert.Equal(t, "2", r.Settings["l"])
	assert.Equal(t, 20, r.Inputs[0].N)
	checkFolder(t, out, 2, 16, 20)
	kept, err := eval.ReadRecords(filepath.Join(dir, study.ResultsFile))
	require.NoError(t, err)
	assert.Equal(t, r.Values, kept[len(kept)-1].Values)

	text, err := run(t, "reconstruct", "--run", dir, "--n", "3", "--images", filepath.Join(out, "images.npz"), "--out", out)
	require.NoError(t, err)
	assert.Contains(t, text, "PSNR")
	checkFolder(t, out, 2, 3, 3)

	gray := grayFolder(t)
	_, err = run(t, "reconstruct", "--run", dir, "--images", gray, "--out", out)
	assert.ErrorContains(t, err, "x.png: empty file")
	r = record(t, "reconstruct", "--run", dir, "--images", gray, "--out", out, "--skip-unreadable")
	assert.Equal(t, []string{"a.png", "b.png", "c.png"}, r.Inputs[0].Files)
	assert.Len(t, r.Inputs[0].Skipped, 1)
}

func restores(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"restore", "--run", dir, "--out", out, "--n", "4", "--m-steps", "3", "--y-steps", "3"}
	r := record(t, append(args, "--task", "sr8")...)
	assert.Equal(t, "sr8", r.Settings["task"])
	for _, key := range []string{"psnr/sr8/degraded", "psnr/sr8/start", "ssim/sr8/refined", "ssim/sr8/restored"} {
		assert.Contains(t, r.Values, key)
	}
	checkFolder(t, out, 9, 4, 4)

	m, err := train.LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	set, err := m.Config.Open(data.HeldOut)
	require.NoError(t, err)
	o := train.RestoreDefaults(m.Config)
	o.Latent.Steps, o.Image.Steps = 3, 3
	a, err := study.Task("sr8", m.Config, nil)
	require.NoError(t, err)
	_, same, err := study.AssessRestoration(t.Context(), m, set.Slice(set.N-4, set.N), "sr8", a, o, study.Setup{})
	require.NoError(t, err)
	assert.Equal(t, same.Values, r.Values, "a study measures the same")
	text, err := run(t, append(args, "--task", "inpaint", "--mask", "3,4,10,12")...)
	require.NoError(t, err)
	assert.Contains(t, text, "G(m) + Y")
}

func TestTasksOfRestore(t *testing.T) {
	cfg := train.FashionMNIST() // 28×28 images, padded to 32×32
	white, mask := image.NewGray(image.Rect(0, 0, 28, 28)), filepath.Join(t.TempDir(), "mask.png")
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	writePicture(t, mask, white)
	for _, c := range []struct{ task, mask, want string }{
		{"colorize", "", "has no colour to find"}, {"sr16", "", "use colorize, sr8, sr4"}, {"sr8", "1,1,2,2", "--mask is for"},
		{"inpaint", "1,1,2", "give X,Y,WIDTH,HEIGHT"}, {"inpaint", mask, "leaves 1024 of 1024 pixels known"},
	} {
		_, err := operator(c.task, c.mask, cfg)
		assert.ErrorContains(t, err, c.want)
	}
	white.SetGray(3, 4, color.Gray{})
	writePicture(t, mask, white)
	for _, c := range []struct {
		mask    string
		unknown []int
	}{{"3,4,1,2", []int{6*32 + 5, 7*32 + 5}}, {mask, []int{6*32 + 5}}} {
		a, err := operator("inpaint", c.mask, cfg)
		require.NoError(t, err)
		var unknown []int
		for i, known := range a.(mcmc.Inpainting).Known {
			if !known {
				unknown = append(unknown, i)
			}
		}
		assert.Equal(t, c.unknown, unknown, "2 pixels further in than without the padding")
	}
	_, err := operator("colorize", "", train.CIFAR10())
	assert.NoError(t, err)
}

func samplesClasses(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"conditional", "--run", dir, "--out", out, "--n", "3", "--over", "200", "--rounds", "2"}
	r := record(t, args...)
	assert.Equal(t, 10.0, r.Values["classes"])
	assert.Equal(t, 200, r.Inputs[0].N)
	checkFolder(t, out, 10, 4, 30)
	_, err := os.Stat(filepath.Join(out, "steps.png"))
	assert.NoError(t, err)
}

func interpolates(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "out")
	r := record(t, "interpolate", "--run", dir, "--out", out, "--n", "3", "--frames", "5", "--refine")
	assert.Equal(t, 3.0, r.Values["paths"])
	checkFolder(t, out, 3, 5, 15)
	record(t, "interpolate", "--run", dir, "--out", out, "--n", "2", "--frames", "5", "--images", "fmnist:test")
	checkFolder(t, out, 2, 7, 10)
}

func scores(t *testing.T, dir string) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	_, err := run(t, "score", "--run", dir, "--n", "7", "--out", out, "fmnist:test", "mnist:none")
	assert.Error(t, err)
	_, err = run(t, "score", "--run", dir, "--n", "7", "--out", out, "fmnist:test", "fmnist:train")
	require.NoError(t, err)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Len(t, lines, 15)
	assert.Equal(t, "set,image,file,score,energy,cosine", lines[0])
	assert.True(t, strings.HasPrefix(lines[14], "fmnist:train,6,,"), lines[14])
	var got struct {
		Scores   []study.ImageScore
		Inputs   []eval.Input
		Warnings []string
		Settings map[string]string
	}
	gray := grayFolder(t)
	printed, err := run(t, "score", "--run", dir, gray, "--skip-unreadable", "--json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(printed), &got))
	assert.Equal(t, []string{"a.png", "b.png", "c.png"}, []string{got.Scores[0].File, got.Scores[1].File, got.Scores[2].File})
	bad := filepath.Join(gray, "x.png") + ": empty file"
	assert.Equal(t, []string{bad}, got.Inputs[0].Skipped)
	assert.Equal(t, []string{gray + ": 1 of 4 files could not be read and are left out:\n  " + bad}, got.Warnings)
	printed, err = run(t, "score", "--run", dir, gray, "--skip-unreadable")
	require.NoError(t, err)
	assert.Contains(t, printed, gray+",1,b.png,")
	printed, err = run(t, "score", "--run", dir, "--n", "2", "fmnist:test", "--gamma", "2", "--json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(printed), &got))
	require.Len(t, got.Scores, 2)
	assert.InDelta(t, got.Scores[1].Energy+2*got.Scores[1].Cosine, got.Scores[1].Score, 1e-9)
	assert.Equal(t, "2", got.Settings["gamma"])
}
