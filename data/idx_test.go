package data

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	trainImages, trainLabels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	testImages, testLabels   = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
)

func TestOpenIDX(t *testing.T) {
	pixels, other := ramp(5*4*3), ramp(2*4*3)
	images, labels := idx(pixels, 5, 4, 3), idx([]byte{3, 1, 4, 1, 5}, 5)
	files := map[string][]byte{
		trainImages: images, trainLabels: labels,
		testImages: idx(other, 2, 4, 3), testLabels: idx([]byte{2, 7}, 2),
	}
	packed := map[string][]byte{}
	for name, b := range files {
		packed[name+".gz"] = gzipped(t, b)
	}
	plain, gz := folder(t, files), folder(t, packed)
	for name, path := range map[string]string{
		"plain folder":         plain,
		"gzipped folder":       gz,
		"plain image file":     filepath.Join(plain, trainImages),
		"gzipped image file":   filepath.Join(gz, trainImages+".gz"),
		"tar.gz":               filepath.Join(folder(t, map[string][]byte{"x.tar.gz": gzipped(t, tarred(t, plain))}), "x.tar.gz"),
		"tar of gzipped files": filepath.Join(folder(t, map[string][]byte{"x": tarred(t, gz)}), "x"),
		"both forms in a folder, as torchvision leaves them": folder(t, map[string][]byte{
			"MNIST/raw/" + trainImages: images, "MNIST/raw/" + trainImages + ".gz": []byte("unread"),
			"MNIST/raw/" + trainLabels: labels, "MNIST/raw/" + trainLabels + ".gz": []byte("unread"),
		}),
		"a folder with only an archive":     folder(t, map[string][]byte{"x.tar.gz": gzipped(t, tarred(t, plain))}),
		"an archive beside its loose files": folder(t, map[string][]byte{"x.tar.gz": []byte("unread"), trainImages: images, trainLabels: labels}),
		"a file of another name":            folder(t, map[string][]byte{"train.dat": images, "train.lab": labels, "README": []byte("hello")}),
	} {
		t.Run(name, func(t *testing.T) {
			set := mustOpen(t, path, Options{})
			assert.Equal(t, Shape{5, 4, 3, 1}, set.Shape)
			assert.Equal(t, Train, set.Split)
			assert.Equal(t, pixels, set.Pixels())
			assert.Equal(t, []int32{3, 1, 4, 1, 5}, set.Labels)
			assert.Len(t, set.Files, 2)
		})
	}
	t.Run("test split", func(t *testing.T) {
		set := mustOpen(t, gz, Options{Split: Test})
		assert.Equal(t, other, set.Pixels())
		assert.Equal(t, []int32{2, 7}, set.Labels)
		assert.Equal(t, Test, set.Split)
	})
	t.Run("a plain file is mapped, a padded one is not", func(t *testing.T) {
		assert.NotNil(t, mustOpen(t, plain, Options{}).unmap)
		assert.Nil(t, mustOpen(t, plain, Options{Size: 8}).unmap)
	})
	t.Run("images without labels", func(t *testing.T) {
		set := mustOpen(t, folder(t, map[string][]byte{trainImages: images}), Options{})
		assert.Nil(t, set.Labels)
		assert.Equal(t, -1, set.Label(0))
	})
}

func TestOpenRefuses(t *testing.T) {
	images, labels := idx(ramp(60), 5, 4, 3), idx(ramp(5), 5)
	zeros := make([]byte, 1<<20)
	changed := func(b []byte, at int, v byte) []byte {
		c := append([]byte(nil), b...)
		c[at] = v
		return c
	}
	huge := idx(nil, 1<<31, 1<<13, 1<<13)
	damagedGzip := gzipped(t, images)
	damagedGzip[len(damagedGzip)-5] ^= 1 // in the checksum
	for name, c := range map[string]struct {
		files map[string][]byte
		file  string // open this one instead of the folder
		split Split
		want  []string
	}{
		"missing":                   {file: "nowhere", want: []string{"no file or folder", "nowhere", "fmnist"}},
		"empty folder":              {want: []string{"no train images"}},
		"truncated":                 {files: map[string][]byte{trainImages: images[:70]}, want: []string{trainImages, "70 bytes", "declares 76", "fetch it again"}},
		"trailing bytes":            {files: map[string][]byte{trainImages: append(images, 1)}, want: []string{"77 bytes", "declares 76"}},
		"wrong magic":               {files: map[string][]byte{trainImages: changed(images, 2, 0x77)}, want: []string{trainImages, "starts with 00 00 77 03", "00 00 08 03"}},
		"wrong type":                {files: map[string][]byte{trainImages: changed(images, 2, 0x0d)}, want: []string{"type 0x0d", "0x08"}},
		"wrong dimensions":          {files: map[string][]byte{trainImages: changed(images, 3, 2)}, want: []string{"2 dimensions"}},
		"cut in the header":         {files: map[string][]byte{trainImages: images[:9]}, want: []string{"ends after 9 bytes"}},
		"zero images":               {files: map[string][]byte{trainImages: idx(nil, 0, 4, 3)}, want: []string{"0 items", "nothing to read"}},
		"zero height":               {files: map[string][]byte{trainImages: idx(nil, 5, 0, 3)}, want: []string{"5 items of 0×3"}},
		"empty file":                {files: map[string][]byte{trainImages: {}}, want: []string{trainImages, "empty file"}},
		"empty file of any name":    {files: map[string][]byte{"x": {}}, file: "x", want: []string{"empty file"}},
		"hostile size":              {files: map[string][]byte{trainImages: huge}, want: []string{"16 bytes", "declares"}},
		"hostile size, gzipped":     {files: map[string][]byte{trainImages + ".gz": gzipped(t, huge)}, want: []string{"declares", "more than 2 GiB"}},
		"far less than declared":    {files: map[string][]byte{trainImages + ".gz": gzipped(t, idx(nil, 1<<10, 1<<10, 1<<10))}, want: []string{"more than its", "can hold"}},
		"impossible side":           {files: map[string][]byte{trainImages: idx(nil, 1, 1<<31, 1<<31)}, want: []string{"a side has at most 16384 pixels"}},
		"gzip cut short":            {files: map[string][]byte{trainImages + ".gz": gzipped(t, images)[:30]}, want: []string{trainImages + ".gz", "cut short", "fetch it again"}},
		"gzip cut in the checksum":  {files: map[string][]byte{trainImages + ".gz": gzipped(t, images)[:len(gzipped(t, images))-2]}, want: []string{"cut short"}},
		"gzip with wrong checksum":  {files: map[string][]byte{trainImages + ".gz": damagedGzip}, want: []string{"damaged", "checksum"}},
		"gzip longer than declared": {files: map[string][]byte{trainImages + ".gz": gzipped(t, append(images, zeros...))}, want: []string{"goes on after the 76 bytes"}},
		"gzip shorter":              {files: map[string][]byte{trainImages + ".gz": gzipped(t, images[:70])}, want: []string{"ends after 70 of 76 bytes"}},
		"gzip of something else":    {files: map[string][]byte{trainImages + ".gz": gzipped(t, []byte("<html>"))}, want: []string{"starts with 3c 68 74 6d"}},
		"gzip name, no gzip":        {files: map[string][]byte{trainImages + ".gz": []byte("<html>")}, want: []string{"starts with 3c 68 74 6d"}},
		"fewer labels than images":  {files: map[string][]byte{trainImages: images, trainLabels: idx(ramp(4), 4)}, want: []string{trainLabels, "4 labels", "5 images", "fetch both"}},
		"labels only":               {files: map[string][]byte{trainLabels: labels}, want: []string{"no train images", "labels only"}},
		"the other split":           {files: map[string][]byte{testImages: images}, want: []string{"no train images", testImages + " (test)"}},
		"a file of the other split": {files: map[string][]byte{testImages: images}, file: testImages, split: Train, want: []string{"no train images", "(test)"}},
		"two files of images":       {files: map[string][]byte{"a-train": images, "b-train": images}, want: []string{"both", "a-train", "b-train", "one of them"}},
		"two files of labels":       {files: map[string][]byte{trainImages: images, "a-train": labels, "b-train": labels}, want: []string{"both", "a-train"}},
		"something else":            {files: map[string][]byte{"notes.txt": []byte("hello")}, file: "notes.txt", want: []string{"no images", "starts with 68 65 6c 6c"}},
		"unknown split":             {split: "val", want: []string{`split "val"`, "train", "test"}},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := Open(filepath.Join(folder(t, c.files), c.file), Options{Split: c.split})
			require.Error(t, err)
			require.Nil(t, set)
			for _, want := range append(c.want, "data: ") {
				assert.Contains(t, err.Error(), want)
			}
			assert.NotContains(t, err.Error(), "\n", "an error is one line")
		})
	}
	t.Run("padding below the size", func(t *testing.T) {
		_, err := Open(folder(t, map[string][]byte{trainImages: images}), Options{Size: 2})
		require.ErrorContains(t, err, "cannot pad 4×3 images to 2×2")
	})
	t.Run("not a regular file", func(t *testing.T) {
		_, err := Open(os.DevNull, Options{})
		require.ErrorContains(t, err, "not a regular file")
	})
}

// A header that declares much must not be believed before the bytes are there.
func TestHostileSizesAllocateLittle(t *testing.T) {
	images := idx(make([]byte, 1000), 60000, 28, 28) // 47 MB declared, within what 1032:1 allows
	path := filepath.Join(folder(t, map[string][]byte{trainImages + ".gz": append(gzipped(t, images), make([]byte, 50000)...)}), trainImages+".gz")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Open(path, Options{})
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3<<20)) // one buffer of 1 MB, and inflate's own
}

func FuzzIDX(f *testing.F) {
	f.Add(idx(ramp(60), 5, 4, 3))
	f.Add(idx(ramp(5), 5))
	f.Add(gzipped(f, idx(ramp(60), 5, 4, 3)))
	f.Add(idx(nil, 1<<31, 1<<13, 1<<13))
	f.Add(tarred(f, folder(f, map[string][]byte{"x.gz": gzipped(f, idx(ramp(60), 5, 4, 3)), "y": idx(ramp(5), 5)})))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := reader{single: true}
		if r.content("x-ubyte", b) != nil {
			return
		}
		for _, p := range r.parts {
			switch p.kind {
			case idxImages:
				require.Len(t, p.pixels, p.N*p.ImageBytes())
			case idxLabels:
				require.Len(t, p.Labels, p.N)
			}
		}
		if isIDX(b) {
			require.EqualValues(t, binary.BigEndian.Uint32(b[4:]), r.parts[0].N)
		}
	})
}

func TestAFileOfAnyNameIsReadOnce(t *testing.T) {
	t.Chdir(folder(t, map[string][]byte{"digits": idx(ramp(60), 5, 4, 3)}))
	for _, path := range []string{"digits", "./digits"} {
		assert.Equal(t, 5, mustOpen(t, path, Options{}).N, path)
	}
}
