package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// fewImages is a folder with the first images of Fashion-MNIST's splits, on which probes and t-SNE take
// no time.
func fewImages(t *testing.T, trainN, testN int) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []struct {
		split  data.Split
		prefix string
		n      int
	}{{data.Train, "train", trainN}, {data.Test, "t10k", testN}} {
		set, err := data.Open("fmnist", data.Options{Split: part.split})
		require.NoError(t, err)
		few := set.Head(part.n)
		labels := make([]byte, few.N)
		for i, class := range few.Labels {
			labels[i] = byte(class)
		}
		writeIDX(t, filepath.Join(dir, part.prefix+"-images-idx3-ubyte"), few.Pixels(), few.N, few.H, few.W)
		writeIDX(t, filepath.Join(dir, part.prefix+"-labels-idx1-ubyte"), labels, few.N)
		require.NoError(t, set.Close())
	}
	return dir
}

func writeIDX(t *testing.T, path string, contents []byte, dims ...int) {
	t.Helper()
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	require.NoError(t, os.WriteFile(path, append(b, contents...), 0o666))
}

func pictureSize(t *testing.T, path string) image.Point {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	c, err := png.DecodeConfig(f)
	require.NoError(t, err)
	return image.Pt(c.Width, c.Height)
}

func readStudy(t *testing.T, dir, name string) (r studyResult) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}

func TestReproduceStopsInTimeGoesOnAndDrawsPictures(t *testing.T) {
	out, few, before := t.TempDir(), fewImages(t, 300, 95), torch.Live()
	dir := filepath.Join(out, "mini")
	tiny := tinyReproduction{flags: []string{"--out", out}, seeds: []uint64{1}, change: func(sc *scale) {
		sc.set = append(sc.set, "data.name="+few, "steps=60", "log.samples=60", "log.checkpoint=60", "chain.steps=1")
		sc.setSSL, sc.restored = append(sc.setSSL, "data.name="+few), 4
	}}

	tiny.cells = []string{"erm"}
	require.NoError(t, tiny.run(t, "table8"))
	restorations := readStudy(t, dir, "table8")
	assert.Equal(t, []string{"4× SR PSNR", "4× SR SSIM", "8× SR PSNR", "8× SR SSIM"}, restorations.Columns, "gray images have no colours to restore")
	for _, line := range restorations.Rows {
		for _, column := range restorations.Columns {
			require.Len(t, line.Ours[column], 1, "%s, %s", line.Label, column)
			assert.NotZero(t, line.Ours[column][0])
		}
	}
	assert.NotEqual(t, restorations.Rows[0].Ours["8× SR PSNR"], restorations.Rows[1].Ours["8× SR PSNR"], "the chain on m does something")

	tiny.cells = []string{"em"}
	em, stopped := filepath.Join(dir, "fmnist", "em-seed1"), 0
	for minutes := 2e-4; stopped == 0; minutes *= 1.25 { // until it is enough for some steps, and not for all
		tiny.flags = []string{"--out", out, "--minutes", fmt.Sprint(minutes)}
		err := tiny.run(t, "fig7")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, " minutes are over: em, seed 1: ")
		require.ErrorContains(t, err, "\n  what is done is kept: the same liebm reproduce command goes on")
		require.NotContains(t, err.Error(), "--resume", "one way to go on is enough")
		if saved, _ := filepath.Glob(filepath.Join(em, "checkpoint-*")); len(saved) > 0 {
			_, scanErr := fmt.Sscanf(filepath.Base(saved[0]), "checkpoint-%d", &stopped)
			require.NoError(t, scanErr)
		}
	}
	require.Less(t, stopped, 60)
	assert.NoFileExists(t, filepath.Join(em, "cell.json"))
	tiny.flags = []string{"--out", out}
	other := tiny
	other.change = func(sc *scale) { tiny.change(sc); sc.set = append(sc.set, "steps=50") }
	err := other.run(t, "fig7")
	assert.ErrorContains(t, err, "em-seed1 holds an unfinished run of other settings: name another --out")
	assert.NotContains(t, err.Error(), "goes on")

	tiny.cells = []string{"em", "em-q", "erm"}
	require.NoError(t, tiny.run(t, "fig7", "fig9"))
	var info train.RunInfo
	text, err := os.ReadFile(filepath.Join(em, "run.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &info))
	require.NotEmpty(t, info.Resumed)
	assert.Equal(t, stopped, info.Resumed[len(info.Resumed)-1].Step, "it went on where it stopped")

	for _, line := range readStudy(t, dir, "fig7").Rows {
		if line.Label != "h, pretrained" && line.Label != "f, EM" {
			assert.Empty(t, line.Ours["linear probe"], "%s: was not trained", line.Label)
			continue
		}
		require.Len(t, line.Ours["linear probe"], 1, line.Label)
		assert.Greater(t, line.Ours["5-NN"][0], 0.1, "%s: better than chance", line.Label)
	}
	clouds := pictureSize(t, filepath.Join(dir, "fig7.png"))
	assert.Equal(t, 2*clouds.Y, clouds.X, "a square for each of the two that are there")
	page, err := os.ReadFile(filepath.Join(dir, "fig7.md"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "](fig7.png)")
	reconstructions := pictureSize(t, filepath.Join(dir, "fig9.png"))
	assert.Equal(t, image.Pt(16*34+2, 3*34+2), reconstructions, "images, Eq. 26, ELBO")
	for _, line := range readStudy(t, dir, "fig9").Rows {
		require.Len(t, line.Ours["MSE"], 1, line.Label)
		assert.InDelta(t, line.Ours["MSE"][0].(float64)/4, line.Ours["MSE in [0, 1]"][0], 1e-9, "pixels in [−1, 1] and in [0, 1]")
	}
	assert.Equal(t, before, torch.Live())
}
