package main

import (
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

// discs is a folder of n pictures of coloured discs, and a copy of each tenth.
func discs(t *testing.T, n, size int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, size, size))
		for y := range size {
			for x := range size {
				c := color.RGBA{uint8(40 + x), uint8(40 + y), uint8(i), 255}
				if dx, dy := x-size/2+i%5, y-size/2-i%3; dx*dx+dy*dy < size*size/12 {
					c = color.RGBA{uint8(37 * i), uint8(91 * i), uint8(53 * i), 255}
				}
				img.SetRGBA(x, y, c)
			}
		}
		require.NoError(t, data.WritePNG(filepath.Join(dir, fmt.Sprintf("%03d.png", i)), img))
		if i%10 == 0 {
			require.NoError(t, data.WritePNG(filepath.Join(dir, fmt.Sprintf("copy%03d.png", i)), img))
		}
	}
	return dir
}

func hashes(set *data.Set) map[[sha256.Size]byte]bool {
	all := map[[sha256.Size]byte]bool{}
	for i := range set.N {
		all[sha256.Sum256(set.Image(i))] = true
	}
	return all
}

// fromFolder makes a model of the pictures in a folder by three commands, and checks that no record of a test split
// has seen a training image.
func fromFolder(t *testing.T, size int, preset string) {
	photos, out := discs(t, 60, size), t.TempDir()
	h, em := filepath.Join(out, "h"), filepath.Join(out, "em")
	_, err := run(t, "train", "--data", photos, "--out", em)
	assert.ErrorContains(t, err, "liebm pretrain --data "+photos)
	for _, args := range [][]string{
		{"pretrain", "--data", photos, "--out", h, "--steps", "2"},
		{"train", "--data", photos, "--encoder", h, "--out", em, "--steps", "2"},
		{"eval", "--run", em, "--n", "20", "--checkpoint", "best"},
	} {
		_, err := run(t, args...)
		require.NoError(t, err, args)
	}
	cfg, err := train.ReadConfig(em)
	require.NoError(t, err)
	assert.Equal(t, []any{preset, size, 3}, []any{cfg.Preset, cfg.Data.Size, cfg.Energy.Channels})

	known, err := cfg.Open(data.Train)
	require.NoError(t, err)
	defer known.Close()
	unseen, err := cfg.Open(data.HeldOut)
	require.NoError(t, err)
	defer unseen.Close()
	require.Equal(t, 66, known.N+unseen.N)
	seen := hashes(known)
	for image := range hashes(unseen) {
		assert.NotContains(t, seen, image)
	}
	for _, dir := range []string{h, em} {
		info, err := train.ReadInfo(dir)
		require.NoError(t, err)
		assert.Equal(t, unseen.Division, info.HeldOut)
		assert.Equal(t, known.SHA256(), info.Data[known.Name])
	}
	records, err := eval.ReadRecords(filepath.Join(em, study.ResultsFile))
	require.NoError(t, err)
	tests := 0
	for _, r := range records {
		for _, input := range r.Inputs {
			if strings.HasSuffix(input.Name, ":test") {
				tests++
				assert.Equal(t, unseen.SHA256(), input.SHA256, r.Metric)
			}
			assert.NotEqual(t, known.Name, input.Name, "every record says which split it is of")
		}
	}
	assert.GreaterOrEqual(t, tests, 2, "the distance and the outliers")
	assert.Contains(t, study.Summarize(pointers(records)).Values, "fd_h")
}

func pointers(records []eval.Record) (all []*eval.Record) {
	for i := range records {
		all = append(all, &records[i])
	}
	return all
}

func TestThreeCommandsTrainOnAFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("pretrains and trains")
	}
	fromFolder(t, 32, "small-em")
}
