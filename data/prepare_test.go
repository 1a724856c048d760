package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// album is a folder of n solid images 8×8 in two classes; image i has the value i.
func album(t testing.TB, n int) string {
	t.Helper()
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("%c/%05d.png", 'a'+2*i/n, i)] = solid(t, 8, 8, byte(i), true)
	}
	return folder(t, files)
}

func mustPrepare(t testing.TB, source, out string, o PrepareOptions) Report {
	t.Helper()
	report, err := Prepare(t.Context(), source, out, o)
	require.NoError(t, err)
	return report
}

func TestPrepareImages(t *testing.T) {
	dir, out := album(t, 600), filepath.Join(t.TempDir(), "album.liebm")
	report := mustPrepare(t, dir, out, PrepareOptions{Options: Options{Size: 4}})
	assert.Equal(t, Shape{600, 4, 4, 3}, report.Shape)
	assert.False(t, report.Done)

	set := mustOpen(t, out, Options{})
	require.Equal(t, report.Shape, set.Shape)
	for i := range set.N {
		require.Equal(t, byte(i), set.Image(i)[7])
		require.Equal(t, 2*i/600, set.Label(i))
		require.Equal(t, fmt.Sprintf("%c/%05d.png", 'a'+2*i/600, i), set.Origin(i))
	}
	assert.Equal(t, []string{"a", "b"}, set.Classes)
	assert.Equal(t, "resize", set.Prepared().Fit)
	sum := sha256.Sum256(set.Pixels())
	assert.Equal(t, hex.EncodeToString(sum[:]), set.SHA256())
	assert.Equal(t, set.SHA256(), report.Pixels)
	require.NoError(t, VerifyPrepared(out))
	left, err := filepath.Glob(out + ".*")
	require.NoError(t, err)
	assert.Empty(t, left, "no journal stays")

	t.Run("the pixels are those of Open", func(t *testing.T) {
		assert.Equal(t, mustOpen(t, dir, Options{Size: 4}).SHA256(), set.SHA256())
	})
	t.Run("twice does nothing", func(t *testing.T) {
		before, err := os.Stat(out)
		require.NoError(t, err)
		again := mustPrepare(t, dir, out, PrepareOptions{Options: Options{Size: 4}})
		after, err := os.Stat(out)
		require.NoError(t, err)
		assert.True(t, again.Done)
		assert.Equal(t, report.Pixels, again.Pixels)
		assert.True(t, os.SameFile(before, after))
	})
	t.Run("other options or files make another", func(t *testing.T) {
		assert.False(t, mustPrepare(t, dir, out, PrepareOptions{Options: Options{Size: 5}}).Done)
		require.NoError(t, os.Remove(filepath.Join(dir, "a/00000.png")))
		changed := mustPrepare(t, dir, out, PrepareOptions{Options: Options{Size: 5}})
		assert.False(t, changed.Done)
		assert.Equal(t, 599, changed.N)
	})
	t.Run("another source does not replace it", func(t *testing.T) {
		other := album(t, 3)
		_, err := Prepare(context.Background(), other, out, PrepareOptions{})
		assert.EqualError(t, err, "data: "+out+" was made from "+dir+": give another name, or delete it first")
		assert.Equal(t, 599, mustOpen(t, out, Options{}).N)
		mine := filepath.Join(t.TempDir(), "mine.liebm")
		require.NoError(t, os.WriteFile(mine, []byte{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4}, 0o666)) // an IDX file
		_, err = Prepare(context.Background(), other, mine, PrepareOptions{})
		assert.EqualError(t, err, "data: "+mine+" is no prepared file: give another name, or delete it first")
	})
	t.Run("gray among colours becomes RGB, wherever it stands", func(t *testing.T) {
		gray, colour := solid(t, 8, 8, 1, false), solid(t, 8, 8, 9, true)
		for name, first := range map[string][]byte{"gray": gray, "colour": colour} {
			mixed := folder(t, map[string][]byte{"a.png": first, "b.png": gray, "c.png": colour})
			report := mustPrepare(t, mixed, filepath.Join(t.TempDir(), "x.liebm"), PrepareOptions{})
			assert.Equal(t, Shape{3, 8, 8, 3}, report.Shape, name)
			assert.True(t, report.RGB, name)
		}
		plain := folder(t, map[string][]byte{"a.png": gray, "b.png": gray})
		assert.Equal(t, 1, mustPrepare(t, plain, filepath.Join(t.TempDir(), "x.liebm"), PrepareOptions{}).C)
	})
	t.Run("a file behind a link that changed makes another", func(t *testing.T) {
		links := t.TempDir()
		require.NoError(t, os.Symlink(album(t, 4), filepath.Join(links, "whole")))
		require.NoError(t, os.Mkdir(filepath.Join(links, "part"), 0o777))
		require.NoError(t, os.Symlink(album(t, 4), filepath.Join(links, "part", "classes")))
		for link, image := range map[string]string{"whole": "a/00001.png", "part": "classes/a/00001.png"} {
			source, out := filepath.Join(links, link), filepath.Join(t.TempDir(), "x.liebm")
			mustPrepare(t, source, out, PrepareOptions{})
			require.True(t, mustPrepare(t, source, out, PrepareOptions{}).Done)
			require.NoError(t, os.WriteFile(filepath.Join(source, image), solid(t, 8, 8, 99, true), 0o666))
			assert.False(t, mustPrepare(t, source, out, PrepareOptions{}).Done, link)
		}
	})
}

func TestPrepareGoesOnAfterAnInterruption(t *testing.T) {
	dir, tmp := album(t, 1100), t.TempDir()
	whole := mustPrepare(t, dir, filepath.Join(tmp, "whole.liebm"), PrepareOptions{})
	for name, damage := range map[string]func(t *testing.T, out string) (resumed int){
		"stopped": func(*testing.T, string) int { return 512 },
		"journal cut within a line": func(t *testing.T, out string) int {
			info, err := os.Stat(out + ".journal")
			require.NoError(t, err)
			require.NoError(t, os.Truncate(out+".journal", info.Size()-9))
			return 256
		},
		"pixels lost": func(t *testing.T, out string) int {
			require.NoError(t, os.Truncate(out+".partial", preparedStart+300*192))
			return 256
		},
		"pixels damaged": func(t *testing.T, out string) int {
			f, err := os.OpenFile(out+".partial", os.O_WRONLY, 0)
			require.NoError(t, err)
			defer f.Close()
			_, err = f.WriteAt([]byte{255}, preparedStart)
			require.NoError(t, err)
			return 0
		},
		"pixels without a line": func(t *testing.T, out string) int {
			f, err := os.OpenFile(out+".partial", os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(t, err)
			defer f.Close()
			_, err = f.Write(make([]byte, 1000))
			require.NoError(t, err)
			return 512
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "x.liebm")
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Prepare(ctx, dir, out, PrepareOptions{Watch: func(done, total int) {
				assert.Equal(t, 1100, total)
				if done == 512 {
					cancel()
				}
			}})
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "stopped after 512 images")
			require.NoFileExists(t, out)
			want := damage(t, out)
			report := mustPrepare(t, dir, out, PrepareOptions{})
			assert.Equal(t, want, report.Resumed)
			assert.Equal(t, whole.Pixels, report.Pixels)
			assert.Equal(t, whole.SHA256, report.SHA256)
			require.NoError(t, VerifyPrepared(out))
		})
	}
}

// heapOf is by how many bytes what is held on the heap grew at most, as seen whenever f calls watch.
func heapOf(f func(watch func(done, total int))) (peak uint64) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f(func(int, int) {
		runtime.GC() // garbage that happens to wait for a collection is not held
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
	})
	return peak
}

func TestPreparingTakesNoMoreMemoryForMoreImages(t *testing.T) {
	if testing.Short() {
		t.Skip("prepares 2,500 images")
	}
	const side = 128 // 49 KB an image, so that a lot has 12 MB
	img := solid(t, side, side, 9, true)
	peak := func(n int) uint64 {
		files := map[string][]byte{}
		for i := range n {
			files[fmt.Sprintf("%05d.png", i)] = img
		}
		dir, out := folder(t, files), filepath.Join(t.TempDir(), "x.liebm")
		return heapOf(func(watch func(done, total int)) { mustPrepare(t, dir, out, PrepareOptions{Watch: watch}) })
	}
	few, many := peak(2*chunkSize), peak(8*chunkSize)
	t.Logf("%.1f MB for %d images, %.1f MB for %d", float64(few)/(1<<20), 2*chunkSize, float64(many)/(1<<20), 8*chunkSize)
	assert.Less(t, many, few+3*chunkSize*side*side, "all pixels would be 75 MB more")
}

func TestPrepareNamesBadImages(t *testing.T) {
	dir := album(t, 20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/00003.png"), []byte("<html>"), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b/00012.png"), photo(t, "gray16.png"), 0o666))
	out := filepath.Join(t.TempDir(), "x.liebm")
	_, err := Prepare(t.Context(), dir, out, PrepareOptions{})
	require.ErrorContains(t, err, "a/00003.png: starts with 3c 68 74 6d")
	require.ErrorContains(t, err, "b/00012.png: 16 bits")
	require.ErrorIs(t, err, ErrBadImage)

	report := mustPrepare(t, dir, out, PrepareOptions{Options: Options{Skip: true}})
	assert.Equal(t, 18, report.N)
	require.Len(t, report.Skipped, 2)
	assert.Contains(t, report.Skipped[1], "b/00012.png: 16 bits")
	set := mustOpen(t, out, Options{})
	assert.Equal(t, byte(4), set.Image(3)[0])
	assert.Equal(t, "a/00004.png", set.Origin(3))
}

func TestPrepareArrays(t *testing.T) {
	for source, name := range map[string]string{"cifar-10-batches-py": "cifar10", "photos/train_32x32.mat": "svhn", "photos/train_data_batch_1": "imagenet32"} {
		t.Run(name, func(t *testing.T) {
			path, out := filepath.Join("testdata", source), filepath.Join(t.TempDir(), "x.liebm")
			mustPrepare(t, path, out, PrepareOptions{})
			want, got := mustOpen(t, path, Options{Split: Train}), mustOpen(t, out, Options{})
			assert.Equal(t, want.SHA256(), got.SHA256())
			assert.Equal(t, want.Labels, got.Labels)
			assert.Equal(t, want.Classes, got.Classes)
			assert.Equal(t, name, got.Name)
			assert.Contains(t, got.Origin(got.N-1), filepath.Base(source))
		})
	}
	t.Run("a file at a time", func(t *testing.T) {
		npz := photo(t, "train_data_batch_1.npz")
		dir := folder(t, map[string][]byte{"train_data_batch_1.npz": npz, "train_data_batch_2.npz": npz, "val_data.npz": npz})
		n := 0
		require.NoError(t, eachBatch(dir, Train, "imagenet32", func(chunk []entry) error { n += len(chunk); return nil }))
		assert.Equal(t, 6, n)
	})
	t.Run("Fashion-MNIST, padded and resized", func(t *testing.T) {
		dir := folder(t, map[string][]byte{trainImages: idx(ramp(5*28*28), 5, 28, 28), trainLabels: idx(ramp(5), 5)})
		for _, scale := range []bool{false, true} {
			o, out := Options{Size: 32, Scale: scale, RGB: true}, filepath.Join(t.TempDir(), "x.liebm")
			mustPrepare(t, dir, out, PrepareOptions{Options: o})
			assert.Equal(t, mustOpen(t, dir, o).SHA256(), mustOpen(t, out, Options{}).SHA256())
		}
	})
}

func TestAFolderOfPreparedFiles(t *testing.T) {
	dir := folder(t, map[string][]byte{"raw/train/1.png": solid(t, 8, 8, 1, true), "raw/test/1.png": solid(t, 8, 8, 2, true)})
	raw := filepath.Join(dir, "raw")
	for _, size := range []int{4, 8} {
		for _, split := range []Split{Train, Test} {
			out := filepath.Join(raw, fmt.Sprintf("%s-%d.liebm", split, size))
			mustPrepare(t, raw, out, PrepareOptions{Options: Options{Split: split, Size: size}})
			assert.True(t, mustPrepare(t, raw, out, PrepareOptions{Options: Options{Split: split, Size: size}}).Done, "its neighbours are no source")
		}
	}
	set := mustOpen(t, raw, Options{Split: Test, Size: 4})
	assert.Equal(t, Shape{1, 4, 4, 3}, set.Shape)
	assert.Equal(t, byte(2), set.Image(0)[0])
	assert.NotNil(t, set.Prepared())
	_, err := Open(raw, Options{})
	require.ErrorContains(t, err, "both")
	_, err = Open(raw, Options{Size: 4, Crop: "center"})
	require.ErrorContains(t, err, `prepared with crop "", not "center"`)
}

func TestPreparedFilesThatAreDamaged(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.liebm")
	mustPrepare(t, album(t, 10), out, PrepareOptions{})
	good, err := os.ReadFile(out)
	require.NoError(t, err)
	edit := func(at int, v byte) []byte {
		b := append([]byte{}, good...)
		b[at] ^= v
		return b
	}
	for name, c := range map[string]struct {
		b            []byte
		open, verify string
	}{
		"a pixel":       {edit(preparedStart+5, 1), "", "SHA-256 of its contents"},
		"the record":    {edit(len(good)-1, 1), "record is damaged", "SHA-256 of its contents"},
		"the header":    {edit(20, 1), "header is damaged", "header is damaged"},
		"its padding":   {edit(2000, 1), "header is damaged", "header is damaged"},
		"cut short":     {good[:len(good)-1], "cut short", "cut short"},
		"only a header": {good[:100], "cut short", "cut short"},
		"longer":        {append(append([]byte{}, good...), 1), "its header declares", "its header declares"},
		"version":       {edit(8, 2), "another version", "another version"},
		"another file":  {[]byte("<html>"), "not a prepared file", "not a prepared file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t, map[string][]byte{"x.liebm": c.b}), "x.liebm")
			set, err := Open(path, Options{})
			if c.open == "" {
				require.NoError(t, err)
				require.NoError(t, set.Close())
			} else {
				require.ErrorContains(t, err, c.open)
			}
			err = VerifyPrepared(path)
			require.ErrorContains(t, err, c.verify)
			require.ErrorContains(t, err, "prepare it again")
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	dir := album(t, 2)
	for name, c := range map[string]struct {
		source, out string
		o           PrepareOptions
		want        string
	}{
		"an ending":     {dir, "x.bin", PrepareOptions{}, "ends in .liebm"},
		"a crop":        {dir, "x.liebm", PrepareOptions{Options: Options{Crop: "big"}}, `crop "big": use one of 148`},
		"nothing":       {"nowhere", "x.liebm", PrepareOptions{}, "nowhere"},
		"another set":   {"cifar10", "x.liebm", PrepareOptions{Options: Options{Path: dir}}, "2 train images, but CIFAR-10 has 50000"},
		"negative size": {dir, "x.liebm", PrepareOptions{Options: Options{Size: -1}}, "size -1"},
		"no such split": {"cifar10", "x.liebm", PrepareOptions{Options: Options{Split: Valid}}, "CIFAR-10 has no valid images; its splits are [train test]"},
		"a bad image":   {folder(t, map[string][]byte{"a.png": []byte("<html>")}), "x.liebm", PrepareOptions{}, "not a picture"},
	} {
		t.Run(name, func(t *testing.T) {
			to := t.TempDir()
			_, err := Prepare(t.Context(), c.source, filepath.Join(to, c.out), c.o)
			require.ErrorContains(t, err, c.want)
			left, err := os.ReadDir(to)
			require.NoError(t, err)
			assert.Empty(t, left, "nothing half-written")
		})
	}
	t.Run("two at once", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "x.liebm")
		w, err := openWriter(out, Provenance{})
		require.NoError(t, err)
		defer w.close()
		_, err = Prepare(t.Context(), dir, out, PrepareOptions{})
		require.ErrorContains(t, err, "another process is preparing it")
	})
}

func FuzzPrepared(f *testing.F) {
	out := filepath.Join(f.TempDir(), "x.liebm")
	mustPrepare(f, album(f, 2), out, PrepareOptions{Options: Options{Size: 1}})
	b, err := os.ReadFile(out)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePrepared(b)
		if err != nil {
			return
		}
		for i := range min(p.N, 10) {
			_ = p.Origin(i)
		}
		require.Equal(t, binary.LittleEndian.Uint64(b[16:]), uint64(p.N))
	})
}

func TestDownload(t *testing.T) {
	contents := ramp(100_000)
	sum := sha256.Sum256(contents)
	var ranges []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		if strings.HasSuffix(r.URL.Path, "gone.bin") {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(string(contents)))
	}))
	defer server.Close()
	d := Download{URL: server.URL + "/x.bin", Size: 100_000, SHA256: hex.EncodeToString(sum[:])}
	fetch := func(d Download, dir string) error { return d.Fetch(t.Context(), server.Client(), dir, nil) }

	t.Run("whole, and then not again", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, fetch(d, dir))
		got, err := os.ReadFile(filepath.Join(dir, "x.bin"))
		require.NoError(t, err)
		assert.Equal(t, contents, got)
		before := len(ranges)
		require.NoError(t, fetch(d, dir))
		assert.Len(t, ranges, before)
	})
	t.Run("goes on", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"x.bin.part": contents[:40_000]})
		require.NoError(t, fetch(d, dir))
		assert.Equal(t, "bytes=40000-", ranges[len(ranges)-1])
		require.NoFileExists(t, filepath.Join(dir, "x.bin.part"))
	})
	t.Run("another beginning is found by its checksum, and removed", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"x.bin.part": make([]byte, 40_000)})
		require.ErrorContains(t, fetch(d, dir), "should be "+d.SHA256)
		require.NoError(t, fetch(d, dir))
	})
	t.Run("another size", func(t *testing.T) {
		short := d
		short.Size = 99_000
		require.ErrorContains(t, fetch(short, t.TempDir()), "99001 bytes, should be 99000")
	})
	t.Run("a file that is there but wrong", func(t *testing.T) {
		require.ErrorContains(t, fetch(d, folder(t, map[string][]byte{"x.bin": []byte("x")})), "should be "+d.SHA256)
	})
	t.Run("not there", func(t *testing.T) {
		gone := d
		gone.URL = server.URL + "/gone.bin"
		require.ErrorContains(t, fetch(gone, t.TempDir()), "404 Not Found")
	})
	t.Run("by hand", func(t *testing.T) {
		require.ErrorContains(t, fetch(Download{URL: "https://x/y.zip", Login: true}, "dir"), "needs a browser: download it there, and save it as dir/y.zip")
	})
	t.Run("command", func(t *testing.T) {
		assert.Equal(t, "curl -fL -C - --create-dirs -o 'dir/x.bin' '"+d.URL+"'\necho '"+d.SHA256+"  dir/x.bin' | sha256sum -c", d.Command("dir"))
	})
}

// Reading a batch of 128 images of 64×64×3 from a prepared file, in random order. The CelebA preset's iteration runs
// two chains of 15 steps through convolutions of 64×64, tens of milliseconds on the fastest GPU.
func BenchmarkGatherPrepared(b *testing.B) {
	pixels := ramp(8192 * 64 * 64 * 3) // 100 MB
	set, err := New(Shape{8192, 64, 64, 3}, pixels, nil)
	require.NoError(b, err)
	out := filepath.Join(b.TempDir(), "x.liebm")
	npy := filepath.Join(b.TempDir(), "x.npz")
	require.NoError(b, WriteNPZ(npy, set))
	mustPrepare(b, npy, out, PrepareOptions{})
	opened := mustOpen(b, out, Options{})
	order := NewSampler(1, opened.N)
	batch := make([]byte, 128*opened.ImageBytes())
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	step := 0
	for b.Loop() {
		opened.Gather(batch, order.Batch(step, 128))
		step++
	}
}

// BenchmarkPrepare decodes, crops and resizes CelebA's JPEGs.
func BenchmarkPrepare(b *testing.B) {
	files := map[string][]byte{}
	for i := range 512 {
		files[fmt.Sprintf("%06d.jpg", i)] = photo(b, "celeba.jpg")
	}
	dir, tmp := folder(b, files), b.TempDir()
	i := 0
	for b.Loop() {
		mustPrepare(b, dir, filepath.Join(tmp, fmt.Sprintf("%d.liebm", i)), PrepareOptions{Options: Options{Crop: "148", Size: 64}})
		i++
	}
	b.ReportMetric(float64(512*i)/b.Elapsed().Seconds(), "images/s")
}
