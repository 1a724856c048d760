package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

	large := chunk{n: 256, label: func(int) int32 { return -1 }, origin: func(int) string { return "a.png" },
		frame: func(int) (frame, []byte, error) { return frame{nil, 4096, 4096, 3}, nil, nil }}
	_, err = large.decode(context.Background(), shaper{}, false, new(Shape), nil)
	assert.ErrorContains(t, err, "a.png: 256 images of 4096×4096: more than 2 GiB of pixels")

	var picture bytes.Buffer
	require.NoError(t, jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	_, err = DecodePicture(append(picture.Bytes(), bytes.Repeat([]byte{0xff, 0xda}, 100)...))
	assert.ErrorContains(t, err, "a JPEG of 101 scans, where 100 are the most that is read")
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
