package train

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/data/datatest"
)

// writeGray writes the pixels of a square gray image as a PNG.
func writeGray(t *testing.T, path string, pixels []byte, side int) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, png.Encode(f, &image.Gray{Pix: pixels, Stride: side, Rect: image.Rect(0, 0, side, side)}))
}

func TestAnImageIsFittedAlikeAsAFileAndInAnArray(t *testing.T) {
	source, dir, cfg := datatest.FashionMNIST(t, 30, 5), t.TempDir(), FashionMNIST()
	raw, err := data.Open(filepath.Join(source, "t10k-images-idx3-ubyte"), data.Options{})
	require.NoError(t, err)
	defer raw.Close()
	writeGray(t, filepath.Join(dir, "as-in-training.png"), raw.Image(0), 28)
	writeGray(t, filepath.Join(dir, "larger.png"), make([]byte, 56*56), 56)
	array, err := cfg.OpenImages(filepath.Join(source, "t10k-images-idx3-ubyte"), data.Options{})
	require.NoError(t, err)
	defer array.Close()
	files, err := cfg.OpenImages(dir, data.Options{})
	require.NoError(t, err)
	defer files.Close()
	assert.Equal(t, array.Image(0), files.Image(0), "padded to 32×32, as in training")
	assert.Equal(t, make([]byte, 32*32), files.Image(1), "resized")
	assert.Equal(t, "resize", files.Fit)
}
