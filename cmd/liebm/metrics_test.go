package main

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models/modelstest"
)

func record(t *testing.T, args ...string) (r eval.Record) {
	t.Helper()
	text, err := run(t, append(args, "--json")...)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	assert.NotEmpty(t, r.Versions["libtorch"])
	assert.False(t, r.Time.IsZero())
	return r
}

func TestMetricsOfARun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Inception, a minute")
	}
	dir, weights := trained(t), modelstest.InceptionFile(t)

	r := record(t, "metrics", "is", dir, "--weights", weights, "--n", "6", "--splits", "2", "--seed", "3")
	assert.GreaterOrEqual(t, r.Values["mean"], 1.0)
	require.Len(t, r.Inputs, 1)
	in := r.Inputs[0]
	assert.Equal(t, []int{32, 32, 1}, in.Size)
	assert.Equal(t, 6, in.N)
	assert.Equal(t, uint64(3), *in.Seed)
	assert.Equal(t, 6, in.NFE)
	assert.Len(t, in.SHA256, 64)
	assert.Len(t, in.WeightsSHA256, 64)
	assert.Equal(t, "tf", r.Mode)
	assert.Contains(t, r.Warnings[0], "not the published")

	npz := filepath.Join(t.TempDir(), "x.npz")
	_, err := run(t, "sample", "--run", dir, "--n", "20", "--out", npz)
	require.NoError(t, err)
	r = record(t, "metrics", "ood", "--run", dir, "--inliers", npz, npz, "constant", "--resamples", "20")
	for _, key := range []string{"auroc/constant", "fpr95_in_energy/constant", "aupr_out_cosine/constant/low"} {
		require.Contains(t, r.Values, key)
		assert.True(t, r.Values[key] >= 0 && r.Values[key] <= 1)
	}
	assert.Equal(t, 0.5, r.Values["auroc/x"], "a set against itself")
	assert.NotContains(t, r.Values, "auroc_z/x")
	text, err := run(t, "metrics", "ood", "--run", dir, "--inliers", npz, npz, "--resamples", "0", "--standardize")
	require.NoError(t, err)
	assert.Regexp(t, `AUROC +x\n(  .* 0\.500\n){3}  both, standardized +0\.500\n`, text)
	assert.Equal(t, []int{20, 20, 120}, []int{r.Inputs[0].N, r.Inputs[1].N, r.Inputs[2].N})

	gray := grayFolder(t) // pictures are read as the run's channels and size ask
	_, err = run(t, "metrics", "ood", "--run", dir, "--inliers", npz, gray)
	require.ErrorContains(t, err, "x.png: empty file; mend or remove it, or leave out such files with --skip-unreadable")
	r = record(t, "metrics", "ood", "--run", dir, "--inliers", npz, gray, "--resamples", "20", "--skip-unreadable")
	assert.Equal(t, []int{32, 32, 1}, r.Inputs[1].Size)
	assert.Len(t, r.Inputs[1].Skipped, 1)
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "fitted to 32×32 pixels (resize)")
	_, err = run(t, "metrics", "ood", "--run", dir, "--inliers", npz, badFolder(t, "colour", func(string) {}))
	require.ErrorContains(t, err, "images of 3 channels, where the run's networks read 1")
	_, err = run(t, "metrics", "ood", "--run", dir, "--inliers", npz, dir)
	require.ErrorContains(t, err, "draw its samples first")

	plot := filepath.Join(t.TempDir(), "tsne.png")
	r = record(t, "metrics", "tsne", "--run", dir, "--n", "120", "--on", "both", "--probe", "300", "--epochs", "2", "--plot", plot)
	for _, key := range []string{"divergence_h", "divergence_f", "knn5_h", "linear_f"} {
		assert.Greater(t, r.Values[key], 0.0, key)
	}
	assert.Equal(t, []int{120, 300, 120}, []int{r.Inputs[0].N, r.Inputs[1].N, r.Inputs[2].N})
	info, err := os.Stat(plot)
	require.NoError(t, err)
	assert.Greater(t, info.Size(), int64(1000))

	r = record(t, "metrics", "time", "--run", dir, "--n", "20")
	assert.Equal(t, 1.0, r.Values["nfe_no_mcmc"])
	assert.Greater(t, r.Values["seconds"], 0.0)

	_, err = run(t, "report", "--run", dir)
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	for _, want := range []string{"IS: mean", "outlier detection", "t-SNE", "time per sample", "not the published"} {
		assert.Contains(t, string(page), want)
	}
}

// grayFolder has three gray pictures and a file that cannot be read, x.png.
func grayFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gray")
	require.NoError(t, os.Mkdir(dir, 0o777))
	for i := range 3 {
		writePicture(t, filepath.Join(dir, string(rune('a'+i))+".png"), &image.Gray{Pix: make([]byte, 12*12), Stride: 12, Rect: image.Rect(0, 0, 12, 12)})
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.png"), nil, 0o666))
	return dir
}

func writePicture(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, png.Encode(f, img))
}

// badFolder has good pictures and one file more.
func badFolder(t *testing.T, name string, add func(path string)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(dir, 0o777))
	for i := range 3 {
		img := image.NewRGBA(image.Rect(0, 0, 12, 12))
		for j := range img.Pix {
			img.Pix[j] = byte(j*(i+3)) | byte(j%4/3*255) // opaque
		}
		writePicture(t, filepath.Join(dir, string(rune('a'+i))+".png"), img)
	}
	add(filepath.Join(dir, "x.png"))
	return dir
}

func TestBadImagesGetOneLineEach(t *testing.T) {
	good := badFolder(t, "good", func(string) {})
	cut := badFolder(t, "cut", func(path string) { require.NoError(t, os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n"), 0o666)) })
	deep := badFolder(t, "deep", func(path string) { writePicture(t, path, image.NewGray16(image.Rect(0, 0, 12, 12))) })
	wide := badFolder(t, "wide", func(path string) { writePicture(t, path, image.NewGray(image.Rect(0, 0, 13, 12))) })
	mixed := badFolder(t, "mixed", func(path string) { writePicture(t, path, image.NewGray(image.Rect(0, 0, 12, 12))) })
	empty := t.TempDir()
	zipped := func(folder string) string {
		path := folder + ".zip"
		f, err := os.Create(path)
		require.NoError(t, err)
		w := zip.NewWriter(f)
		require.NoError(t, errors.Join(w.AddFS(os.DirFS(folder)), w.Close(), f.Close()))
		return path
	}
	floats := filepath.Join(empty, "floats.npz")
	require.NoError(t, npz.Write(floats, map[string]any{"arr_0.npy": []float32{1, 2}}))
	other := filepath.Join(empty, "other.npz")
	require.NoError(t, npz.Write(other, map[string]any{"x.npy": []float32{1, 2}}))

	for _, c := range []struct{ a, want string }{
		{cut, "x.png: cut short or damaged"}, {deep, "x.png: 16 bits a channel"}, {wide, "x.png is 13×12 and"},
		{empty, "no pictures there"}, {floats, "arr_0 has dtype <f4: use uint8"}, {other, "holds x: use an .npz with arr_0"},
		{filepath.Join(empty, "none"), "is no file or folder"},
		{zipped(cut), "x.png: cut short or damaged"}, {zipped(deep), "x.png: 16 bits a channel"}, {zipped(mixed), "x.png: gray, where the images before it are RGB"},
	} {
		_, err := run(t, "metrics", "psnr", c.a, good)
		require.Error(t, err, c.a)
		assert.Contains(t, err.Error(), c.want)
		assert.NotContains(t, err.Error(), "\n")
	}
	_, err := run(t, "metrics", "psnr", good, cut)
	assert.ErrorContains(t, err, "mend or remove it, or leave out such files with --skip-unreadable")
	_, err = run(t, "metrics", "psnr", good, cut, "--skip-unreadable")
	assert.ErrorContains(t, err, "so the pairs do not match")
	r := record(t, "metrics", "psnr", good, zipped(good))
	assert.True(t, math.IsInf(r.Values["psnr"], 1), "a zip is read as its folder")
	r = record(t, "metrics", "ssim", mixed, mixed)
	assert.InDelta(t, 1, r.Values["ssim"], 1e-12)
	assert.Contains(t, r.Warnings[0], "1 of 4 images are gray")
	r = record(t, "metrics", "psnr", good, good)
	assert.True(t, math.IsInf(r.Values["psnr"], 1), "equal images")
}

func TestOnlyFIDReadsStatistics(t *testing.T) {
	stats := filepath.Join(t.TempDir(), "stats.npz")
	require.NoError(t, eval.WriteStats(stats, &eval.Stats{Mean: []float64{0}, Cov: [][]float64{{1}}}, eval.Input{}))
	for metric, name := range map[string]string{"kid": "KID", "pr": "precision and recall", "psnr": "PSNR"} {
		_, err := run(t, "metrics", metric, stats, stats)
		assert.EqualError(t, err, stats+" holds statistics: "+name+" needs the images themselves")
	}
}

func TestStatisticsAreCheckedBeforeImagesAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Inception")
	}
	good, weights, dir := badFolder(t, "good", func(string) {}), modelstest.InceptionFile(t), t.TempDir()
	other, own := filepath.Join(dir, "other.npz"), filepath.Join(dir, "own.npz")
	require.NoError(t, eval.WriteStats(other, &eval.Stats{Mean: []float64{0}, Cov: [][]float64{{1}}}, eval.Input{}))
	_, err := run(t, "metrics", "fid", filepath.Join(badFolder(t, "cut", func(path string) {
		require.NoError(t, os.WriteFile(path, nil, 0o666))
	})), other, "--weights", weights)
	assert.ErrorContains(t, err, "1 of unnamed features and 2048 of inception-v3", "not the unreadable image, which comes later")
	home, cache := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TORCH_HOME", "")
	t.Setenv("LIEBM_DATA", "")
	_, err = run(t, "metrics", "fid", good, other)
	assert.ErrorContains(t, err, "fetch the weights of Inception by liebm data fetch inception, or give the path of "+
		"pt_inception-2015-12-05-6726825d.pth, which is not in "+home+"/.cache/torch/hub/checkpoints: file does not exist")
	t.Setenv("TORCH_HOME", cache)
	put := filepath.Join(cache, "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth")
	require.NoError(t, os.MkdirAll(filepath.Dir(put), 0o777))
	require.NoError(t, os.WriteFile(put, []byte("of pytorch-fid"), 0o666))
	_, err = run(t, "metrics", "fid", good, other)
	assert.ErrorContains(t, err, put, "found, and read")
	t.Setenv("LIEBM_DATA", home)
	mine := filepath.Join(home, "inception/pt_inception-2015-12-05-6726825d.pth")
	require.NoError(t, os.MkdirAll(filepath.Dir(mine), 0o777))
	require.NoError(t, os.WriteFile(mine, []byte("of liebm"), 0o666))
	_, err = run(t, "metrics", "fid", good, other, "--weights", "auto")
	assert.ErrorContains(t, err, mine, "liebm's comes first")

	r := record(t, "metrics", "fid", good, "--weights", weights, "--stats-out", own)
	assert.Equal(t, "statistics", r.Metric)
	assert.Contains(t, r.Warnings[1], "rank-deficient")
	r = record(t, "metrics", "fid", own, good, "--weights", weights)
	assert.Equal(t, "Fréchet distance", r.Metric)
	assert.InDelta(t, 0, r.Values["value"], 1e-6)
}

func TestDetectionOfScoresInFiles(t *testing.T) {
	dir := files(t, map[string]string{"in.txt": "3\n2\n1\n", "out.txt": "0\n2\n\n-1\n", "bad.txt": "1\nmany\n", "none.txt": "\n", "nan.txt": "1\nNaN\n", "a_b.txt": "2\n"})
	path := func(name string) string { return filepath.Join(dir, name) }
	r := record(t, "metrics", "ood", path("out.txt"), "--scores", path("in.txt"), "--out", path("records.jsonl"))
	assert.InDelta(t, 7.5/9, r.Values["auroc/out"], 1e-12)
	kept, err := eval.ReadRecords(path("records.jsonl"))
	require.NoError(t, err)
	assert.Equal(t, r.Values, kept[0].Values)
	text, err := run(t, "metrics", "ood", path("out.txt"), "--scores", path("in.txt"))
	require.NoError(t, err)
	assert.Regexp(t, `AUROC +out\n  scores +0\.833 \[`, text)
	for format, want := range map[string]string{
		"csv":   "metric,score,set,value,low,high\nauroc,scores,out,0.8333333333333334,,\nauroc,scores,a_b,0.5,,\n",
		"md":    "| AUROC | out | a_b |\n|---|---|---|\n| scores | 0.833 | 0.500 |\n\n| AUPR, inliers positive | out |",
		"latex": "\\begin{tabular}{lcc}\n\\toprule\nAUROC & out & a\\_b \\\\\n\\midrule\nscores & 0.833 & 0.500 \\\\\n\\midrule\nAUPR",
	} {
		text, err := run(t, "metrics", "ood", path("out.txt"), path("a_b.txt"), "--scores", path("in.txt"), "--resamples", "0", "--format", format)
		require.NoError(t, err)
		assert.Contains(t, text, want)
	}
	_, err = run(t, "metrics", "ood", path("out.txt"), "--scores", path("in.txt"), "--standardize")
	assert.ErrorContains(t, err, "--standardize is for --run")
	_, err = run(t, "metrics", "ood", path("bad.txt"), "--scores", path("in.txt"))
	assert.ErrorContains(t, err, `bad.txt:2: "many" is no number`)
	_, err = run(t, "metrics", "ood", path("none.txt"), "--scores", path("in.txt"))
	assert.ErrorContains(t, err, "none.txt has no score: write one score in each line")
	_, err = run(t, "metrics", "ood", path("nan.txt"), "--scores", path("in.txt"))
	assert.ErrorContains(t, err, "nan.txt:2: the score is NaN")
}

func TestFlagsMayFollowArguments(t *testing.T) {
	for in, want := range map[string]string{
		"metrics fid A B --weights W --json":        "metrics fid --weights W --json A B",
		"--threads 2 metrics fid A --mode=tf B":     "--threads 2 metrics fid --mode=tf A B",
		"data info fmnist --json":                   "data info --json fmnist",
		"metrics ood -- --odd --run":                "metrics ood -- --odd --run",
		"metrics fid A --weights":                   "metrics fid --weights A",
		"train --preset fmnist-em --set energy.x=1": "train --preset fmnist-em --set energy.x=1",
	} {
		got := flagsFirst(app(), append([]string{"liebm"}, strings.Fields(in)...))
		assert.Equal(t, strings.Fields(want), got[1:], in)
	}
}
