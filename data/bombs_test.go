package data

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/internal/npz"
)

func TestSmallFilesThatWouldFillTheMemoryAreRefused(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for _, word := range []uint32{0x803, 500_000, 128, 128} { // 8 GB, if it went on
		require.NoError(t, binary.Write(z, binary.BigEndian, word))
	}
	require.NoError(t, z.Close())
	path := filepath.Join(t.TempDir(), "train-images-idx3-ubyte.gz")
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o666))
	_, err := Open(path, Options{})
	assert.ErrorContains(t, err, "its header declares 8192000016 bytes: more than 2 GiB of pixels")

	large := entry{path: "a.png", label: -1, load: func() (frame, []byte, error) { return frame{nil, 4096, 4096, 3}, nil, nil }}
	err = new(decoded).add(context.Background(), slices.Repeat([]entry{large}, 256), Options{})
	assert.ErrorContains(t, err, "a.png: 256 images of 4096×4096: more than 2 GiB of pixels")

	var zeros bytes.Buffer // a .mat of 3 MB can hold 3 GB
	w, err := zlib.NewWriterLevel(&zeros, zlib.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(binary.LittleEndian.AppendUint32([]byte{miMATRIX, 0, 0, 0}, 3_000_000_000))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, _, err = matInflate(zeros.Bytes(), 4_000_000_000)
	assert.ErrorContains(t, err, "an element of 3000000000 bytes: more than 2 GiB of pixels")

	var picture bytes.Buffer
	require.NoError(t, jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	_, err = DecodePicture(append(picture.Bytes(), bytes.Repeat([]byte{0xff, 0xda}, 100)...))
	assert.ErrorContains(t, err, "a JPEG with 101 scans, and at most 100 are read")
}

// declaring is an .npz of empty arrays that declare to have size bytes. With alike, each has nearly all bytes of the file as its
// own, compressed.
func declaring(t *testing.T, size uint64, alike bool, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		_, err := z.CreateRaw(&zip.FileHeader{Name: name + ".npy", Method: zip.Deflate, CompressedSize64: 0, UncompressedSize64: size})
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	file := b.Bytes()
	if !alike {
		return file
	}
	for at := range file {
		if bytes.HasPrefix(file[at:], []byte("PK\x01\x02")) { // an entry of the table of contents
			binary.LittleEndian.PutUint32(file[at+20:], uint32(at)) // its compressed size
			binary.LittleEndian.PutUint32(file[at+42:], 0)          // where it starts
		}
	}
	return file
}

func TestArraysThatWouldFillTheMemoryAreRefused(t *testing.T) {
	_, err := parseNPZ(declaring(t, 3<<30, false, "data", "labels"))
	assert.ErrorContains(t, err, `array "data" has 3221225472 bytes: the most that is read are 2147483648: more than 2 GiB of pixels`)
	assert.ErrorIs(t, err, ErrTooBig)
	_, err = parseNPZ(declaring(t, 2<<30, false, "arr_0", "a", "b", "c"))
	assert.ErrorContains(t, err, "its header declares 2147483648 bytes, more than its 0 bytes can hold")
	var names []string
	for i := range maxArrays {
		names = append(names, string(rune('a'+i)))
	}
	_, err = parseNPZ(declaring(t, 1<<20, true, names...))
	assert.ErrorContains(t, err, "occurs twice, or is longer than the file")
}

func TestTheBoundOfMemoryCanBeMoved(t *testing.T) {
	images := newSet(Shape{100, 8, 8, 1}, make([]byte, 6400), nil)
	path, stored := filepath.Join(t.TempDir(), "a.npz"), filepath.Join(t.TempDir(), "b.npz")
	var packed bytes.Buffer
	archive := npz.NewWriter(&packed, zip.Deflate)
	require.NoError(t, archive.Write("arr_0", npz.Header{Type: "|u1", Shape: []int{100, 8, 8, 1}}, images.Pixels()))
	require.NoError(t, archive.Close())
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o666))
	require.NoError(t, WriteNPZ(stored, images))
	t.Setenv(MaxMemory, "0.000001")
	_, err := Open(path, Options{})
	assert.ErrorIs(t, err, ErrTooBig)
	assert.Equal(t, 100, mustOpen(t, stored, Options{}).N, "a view of a mapped file is not in memory")
	t.Setenv(MaxMemory, "0.001")
	set, err := Open(path, Options{})
	require.NoError(t, err)
	require.NoError(t, set.Close())
}

func TestADamagedPreparedFileIsFoundWhenItIsVerified(t *testing.T) {
	dir := t.TempDir()
	images := newSet(Shape{4, 8, 8, 1}, bytes.Repeat([]byte{7}, 4*64), []int32{0, 1, 0, 1})
	source, out := filepath.Join(dir, "a.npz"), filepath.Join(dir, "a.liebm")
	require.NoError(t, WriteNPZ(source, images))
	_, err := Prepare(t.Context(), source, out, PrepareOptions{})
	require.NoError(t, err)
	b, err := os.ReadFile(out)
	require.NoError(t, err)
	b[preparedStart+5] ^= 1
	require.NoError(t, os.WriteFile(out, b, 0o666))
	set, err := Open(out, Options{})
	require.NoError(t, err)
	assert.ErrorContains(t, set.RGB().Verify(), "damaged; prepare it again")
	require.NoError(t, set.Close())
}
