package eval

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/liebm/liebm/data"
)

func save(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, png.Encode(f, img))
}

func TestAFolderIsReadInOrderWithoutAlpha(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "000000"), 0o777))
	const n = 70 // more than are decoded at once
	for i := range n {
		img := image.NewNRGBA(image.Rect(0, 0, 3, 2))
		for x := range 3 {
			for y := range 2 {
				img.SetNRGBA(x, y, color.NRGBA{byte(i), byte(10 * x), byte(100 * y), byte(i)}) // transparent, too
			}
		}
		save(t, filepath.Join(dir, "000000", string([]byte{'0' + byte(i/10), '0' + byte(i%10)})+".png"), img)
	}
	images, err := OpenFolder(dir, OpenOptions{})
	require.NoError(t, err)
	set, input, err := images.Set(t.Context())
	require.NoError(t, err)
	assert.Equal(t, data.Shape{N: n, H: 2, W: 3, C: 3}, set.Shape)
	for i := range n {
		b := byte(i)
		require.Equal(t, []byte{b, 0, 0, b, 10, 0, b, 20, 0, b, 0, 100, b, 10, 100, b, 20, 100}, set.Image(i))
	}
	assert.Equal(t, "70 of 70 images are transparent: their alpha is dropped, as in pytorch-fid; data.Open refuses such images", input.Notes[0])
	assert.Equal(t, set.SHA256(), input.SHA256, "the same pixels have the same hash, however they are kept")

	path := filepath.Join(t.TempDir(), "x.npz")
	require.NoError(t, data.WriteNPZ(path, set))
	source, err := Open(path, OpenOptions{})
	require.NoError(t, err)
	batches := 0
	same, err := source.Images.Each(t.Context(), 16, func(shape data.Shape, pixels []byte) error { batches++; return nil })
	require.NoError(t, err)
	assert.Equal(t, input.SHA256, same.SHA256)
	assert.Equal(t, 5, batches)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, s := range []*Images{images, source.Images, FromSet(set)} {
		_, err = s.Each(ctx, 16, func(data.Shape, []byte) error { cancel(); return nil })
		assert.ErrorIs(t, err, context.Canceled, s.Kind)
	}
}

func TestUnreadableFilesAreSkippedOnRequest(t *testing.T) {
	dir := t.TempDir()
	save(t, filepath.Join(dir, "a.png"), image.NewRGBA(image.Rect(0, 0, 2, 2)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.png"), nil, 0o666))
	images, err := OpenFolder(dir, OpenOptions{Skip: true})
	require.NoError(t, err)
	_, input, err := images.Set(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, input.N)
	assert.Len(t, input.Skipped, 1)
	assert.Contains(t, input.Notes[0], "1 of 2 files could not be read and are left out:\n  "+filepath.Join(dir, "b.png"))
	input.leaveOut(make([]string, 12), 20)
	note := input.Notes[len(input.Notes)-1]
	assert.Equal(t, 12, strings.Count(note, "\n")+1, "ten files, and how many more")
	assert.Contains(t, note, "and 2 more")
}

func TestStatisticsSurviveTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.npz")
	want := &Stats{Features: "f", N: 9, Mean: []float64{1, 2}, Cov: [][]float64{{3, 0.5}, {0.5, 4}}}
	require.NoError(t, WriteStats(path, want, Input{Name: "A"}))
	source, err := Open(path, OpenOptions{})
	require.NoError(t, err)
	assert.Equal(t, want, source.Stats)
	assert.Equal(t, "statistics of A", source.Input.Kind)

	for name, c := range map[string]struct {
		arrays map[string]any
		want   string
	}{
		"ADM's":           {map[string]any{"mu.npy": []float32{1, 2}, "sigma.npy": mat.NewDense(2, 2, []float64{1, 0, 0, 1}), "mu_s.npy": []float64{1}}, ""},
		"NaN":             {map[string]any{"mu.npy": []float64{1, math.NaN()}, "sigma.npy": mat.NewDense(2, 2, nil)}, "not finite"},
		"another size":    {map[string]any{"mu.npy": []float64{1}, "sigma.npy": mat.NewDense(2, 2, nil)}, "not [d] and [d,d]"},
		"no covariance":   {map[string]any{"mu.npy": []float64{1, 2}, "sigma.npy": mat.NewDense(2, 2, []float64{1, 0.5, 0, 1})}, "not symmetric at (1,0)"},
		"whole numbers":   {map[string]any{"mu.npy": []int64{1, 2}, "sigma.npy": mat.NewDense(2, 2, nil)}, "dtype <i8"},
		"samples besides": {map[string]any{"mu.npy": []float64{1, 2}, "sigma.npy": mat.NewDense(2, 2, []float64{1, 0, 0, 1}), "arr_0.npy": []uint8{1}}, ""},
	} {
		require.NoError(t, npz.Write(path, c.arrays), name)
		source, err := Open(path, OpenOptions{})
		if c.want == "" {
			require.NoError(t, err, name)
			assert.Equal(t, []float64{1, 2}, source.Stats.Mean)
			assert.Contains(t, source.Input.Notes[0], "does not name")
			continue
		}
		assert.ErrorContains(t, err, c.want, name)
	}
}

// blackSamples is a file of five images of 2×3 pixels, and what is in it.
func blackSamples(t testing.TB) (path string, file []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.npz")
	set, err := data.New(data.Shape{N: 5, H: 2, W: 3, C: 3}, make([]byte, 90), nil)
	require.NoError(t, err)
	require.NoError(t, data.WriteNPZ(path, set))
	file, err = os.ReadFile(path)
	require.NoError(t, err)
	return path, file
}

func TestSamplesAreReadToTheLastByte(t *testing.T) {
	path, good := blackSamples(t)
	flipped := bytes.Clone(good)
	flipped[bytes.Index(good, []byte("}"))+90] ^= 1
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"a flipped byte":        {flipped, "arr_0 is damaged: zip: checksum error"},
		"cut":                   {good[:100], "not a readable .npz"},
		"another array":         {npzFile(t, map[string]any{"x.npy": []uint8{1}}), "holds x: use an .npz with arr_0"},
		"empty":                 {hostileNPZ(t, "arr_0", "|u1", "(0, 4, 4, 3)"), "arr_0 is [0 4 4 3]"},
		"planes":                {hostileNPZ(t, "arr_0", "|u1", "(1, 3, 4, 4)"), "channels last"},
		"less than it declares": {hostileNPZ(t, "arr_0", "|u1", "(2, 4, 4, 3)"), "arr_0 is [2 4 4 3]: more than its 7"},
		"more than can be":      {hostileNPZ(t, "arr_0", "|u1", "(1, 1073741824, 1073741824, 3)"), "cut short or damaged"},
	} {
		require.NoError(t, os.WriteFile(path, c.file, 0o666))
		source, err := Open(path, OpenOptions{})
		if err == nil {
			_, _, err = source.Images.Set(t.Context())
		}
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, path, name)
	}
}

func TestOnlyFIDsFeaturesMakeAnFID(t *testing.T) {
	fid, foreign := &Stats{Features: "inception-v3 6726825d pytorch"}, &Stats{}
	assert.Equal(t, "FID", DistanceName(fid, fid))
	assert.Equal(t, "FID", DistanceName(foreign, fid))
	assert.Equal(t, "Fréchet distance", DistanceName(foreign, foreign))
	assert.Equal(t, "Fréchet distance", DistanceName(&Stats{Features: "fashion-cnn 6726825d"}, foreign))
	negative := &Stats{Mean: []float64{0, 0}, Cov: [][]float64{{1, 0}, {0, -1}}}
	_, err := Frechet(negative, &Stats{Mean: []float64{0, 0}, Cov: [][]float64{{1, 0}, {0, 1}}})
	assert.ErrorContains(t, err, "eigenvalue of -1")
}

func TestRecordsSurviveTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	none, err := ReadRecords(path)
	require.NoError(t, err)
	assert.Empty(t, none)
	r := NewRecord("PSNR", map[string]string{"liebm": "test"})
	r.Values["psnr"], r.Values["mse"] = math.Inf(1), 0
	r.Of(Input{Name: "a", N: 1, Size: []int{1, 2, 3}, Notes: []string{"odd"}}, Input{Name: "b", N: 1, Size: []int{4, 5, 3}})
	assert.Equal(t, "a: odd", r.Warnings[0])
	assert.Contains(t, r.Warnings[1], "a has images of 1×2×3")
	assert.Contains(t, differ(Input{Size: []int{1, 2, 3}}, Input{Size: []int{1, 2, 1}}), "gray is repeated")
	require.NoError(t, r.Append(path))
	require.NoError(t, r.Append(path))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"metric":"cut o`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	read, err := ReadRecords(path)
	require.NoError(t, err)
	assert.Equal(t, []Record{*r, *r}, read)
	require.NoError(t, r.Append(path))
	read, err = ReadRecords(path)
	require.NoError(t, err)
	assert.Equal(t, []Record{*r, *r, *r}, read, "what was cut off is gone")
	require.NoError(t, os.WriteFile(path, []byte("{}\n\n{}\n"), 0o666))
	read, err = ReadRecords(path)
	require.NoError(t, err)
	assert.Len(t, read, 2, "an empty line ends nothing")
	require.NoError(t, os.WriteFile(path, []byte("{}\nnonsense\n{}\n"), 0o666))
	_, err = ReadRecords(path)
	assert.ErrorContains(t, err, "results.jsonl:2")
}

// npzFile is an .npz of these arrays.
func npzFile(t testing.TB, arrays map[string]any) []byte {
	path := filepath.Join(t.TempDir(), "x.npz")
	require.NoError(t, npz.Write(path, arrays))
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	return file
}

// hostileNPZ is an .npz of one array with a head of this shape, and nothing after it.
func hostileNPZ(t testing.TB, key, dtype, shape string) []byte {
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", dtype, shape)
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	w, err := archive.Create(key + ".npy")
	require.NoError(t, err)
	_, err = fmt.Fprintf(w, "\x93NUMPY\x01\x00%c%c%s", len(head), 0, head)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	return b.Bytes()
}

func FuzzRecords(f *testing.F) {
	r := NewRecord("PSNR", nil)
	r.Values["psnr"], r.Values["mse"] = math.Inf(1), 0.5
	r.Of(Input{Name: "a", N: 1, Size: []int{1, 2, 3}, Notes: []string{"odd"}})
	path := filepath.Join(f.TempDir(), "results.jsonl")
	require.NoError(f, r.Append(path))
	text, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte("{\"values\":{\"x\":\"NaN\"}}\n\n{\"values\":null}\n{\"metric\":\"cut"))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := parseRecords("r", text)
		if err != nil {
			return
		}
		var again []byte // as Append writes them
		for _, r := range records {
			line, err := json.Marshal(r)
			require.NoError(t, err)
			again = append(append(again, line...), '\n')
		}
		back, err := parseRecords("r", again)
		require.NoError(t, err)
		require.Len(t, back, len(records))
	})
}

func FuzzStatistics(f *testing.F) {
	path := filepath.Join(f.TempDir(), "s.npz")
	require.NoError(f, WriteStats(path, &Stats{Mean: []float64{1, 2}, Cov: [][]float64{{3, 0}, {0, 4}}}, Input{}))
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(whole)
	f.Add(whole[:40])
	identity := mat.NewDense(2, 2, []float64{1, 0, 0, 1})
	f.Add(npzFile(f, map[string]any{"mu.npy": []float64{1, 2}, "sigma.npy": identity})) // EDM's
	f.Add(npzFile(f, map[string]any{"mu.npy": []float32{1, 2}, "sigma.npy": identity, "mu_s.npy": []float32{1}, "sigma_s.npy": identity,
		"arr_0.npy": []uint8{1, 2, 3}})) // ADM's
	f.Add(hostileNPZ(f, "mu", "<f8", "(1<<60,)"))
	f.Fuzz(func(t *testing.T, file []byte) {
		stats, _, err := parseStats(file)
		if err == nil && len(stats.Cov) != len(stats.Mean) {
			t.Fatalf("%d rows for %d features", len(stats.Cov), len(stats.Mean))
		}
	})
}

func FuzzSamples(f *testing.F) {
	path, stored := blackSamples(f)
	f.Add(stored)
	f.Add(npzFile(f, map[string]any{"arr_0.npy": [2][3][4]uint8{{{1}}, {{2}}}}))
	f.Add(npzFile(f, map[string]any{"arr_0.npy": [2][1][1][3]uint8{}, "arr_1.npy": []int64{3, 4}})) // ADM's, with labels
	f.Add(hostileNPZ(f, "arr_0", "|u1", "(4294967296, 2147483648, 2147483648, 3)"))
	f.Add(hostileNPZ(f, "arr_0", "|u1", "(1, 1073741824, 1073741824, 3)"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<16 {
			return
		}
		require.NoError(t, os.WriteFile(path, file, 0o666))
		source, err := Open(path, OpenOptions{})
		if err != nil || source.Images == nil {
			return
		}
		n := 0
		input, err := source.Images.Each(t.Context(), 3, func(shape data.Shape, pixels []byte) error {
			n += shape.N
			require.Len(t, pixels, shape.N*shape.ImageBytes())
			return nil
		})
		if err == nil {
			require.Equal(t, []int{n, n}, []int{source.Images.N, input.N})
		}
	})
}

func TestRecordsOfSeveralWritersAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	const writers, each = 8, 10
	ended := make(chan error, writers)
	for range writers {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, NewRecord("PSNR", nil).Append(path))
			}
			ended <- err
		}()
	}
	for range writers {
		require.NoError(t, <-ended)
	}
	records, err := ReadRecords(path)
	require.NoError(t, err)
	assert.Len(t, records, writers*each)
}
