package data

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGrid(t *testing.T) {
	for name, c := range map[string]struct {
		shape Shape
		cols  int
		size  image.Point
		at    image.Point // of the last image's first pixel
	}{
		"gray":                      {Shape{5, 4, 3, 1}, 3, image.Pt(3*5+2, 2*6+2), image.Pt(2+5, 2+6)},
		"colour":                    {Shape{5, 4, 3, 3}, 3, image.Pt(3*5+2, 2*6+2), image.Pt(2+5, 2+6)},
		"square by default":         {Shape{5, 4, 3, 3}, 0, image.Pt(3*5+2, 2*6+2), image.Pt(2+5, 2+6)},
		"no more columns than used": {Shape{2, 4, 3, 1}, 9, image.Pt(2*5+2, 6+2), image.Pt(2+5, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			pixels := ramp(c.shape.N * c.shape.ImageBytes())
			img, err := Grid(pixels, c.shape, c.cols)
			require.NoError(t, err)
			assert.Equal(t, c.size, img.Bounds().Size())

			path := filepath.Join(t.TempDir(), "grid.png")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
			require.NoError(t, WritePNG(path, img))
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			back, err := png.Decode(f)
			require.NoError(t, err)
			p := pixels[(c.shape.N-1)*c.shape.ImageBytes():]
			want := color.RGBA{p[0], p[0], p[0], 255}
			if c.shape.C == 3 {
				want = color.RGBA{p[0], p[1], p[2], 255}
			}
			assert.Equal(t, want, color.RGBAModel.Convert(back.At(c.at.X, c.at.Y)))
			assert.Equal(t, color.RGBA{A: 255}, color.RGBAModel.Convert(back.At(0, 0)))
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			assert.Len(t, entries, 1, "no temporary file stays")
		})
	}
}

func TestGridRefuses(t *testing.T) {
	_, err := Grid(ramp(5), Shape{1, 2, 3, 1}, 0)
	require.ErrorContains(t, err, "5 bytes for images of 1×2×3×1")
	_, err = Grid(ramp(12), Shape{1, 2, 3, 2}, 0)
	require.ErrorContains(t, err, "2 channels, not 1 or 3")
	_, err = Grid(nil, Shape{}, 0)
	require.Error(t, err)
	err = WritePNG(filepath.Join(t.TempDir(), "missing", "grid.png"), image.NewGray(image.Rect(0, 0, 1, 1)))
	require.ErrorIs(t, err, os.ErrNotExist)

	dir := t.TempDir()
	require.Error(t, WritePNG(filepath.Join(dir, "empty.png"), image.NewGray(image.Rectangle{})))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "a failure leaves nothing")
}

func TestLabelRowsKeepsThePictures(t *testing.T) {
	set := numbered(t, Shape{6, 14, 14, 1})
	grid, err := Grid(set.Pixels(), set.Shape, 3)
	require.NoError(t, err)
	out := LabelRows(grid, []string{"images", "a longer label"})
	left := out.Bounds().Dx() - grid.Bounds().Dx()
	assert.Equal(t, 14*7+8, left, "14 letters of 7 pixels, and margins")
	assert.Equal(t, grid.Bounds().Dy(), out.Bounds().Dy())
	ink := [2]int{}
	for y := range out.Bounds().Dy() {
		for x := range out.Bounds().Dx() {
			r, g, b, _ := out.At(x, y).RGBA()
			if x >= left {
				want, _, _, _ := grid.At(x-left, y).RGBA()
				require.Equal(t, want, r)
			} else if r+g+b > 0 {
				ink[2*y/out.Bounds().Dy()]++
			}
		}
	}
	assert.Positive(t, ink[0])
	assert.Greater(t, ink[1], ink[0], "the longer text lies beside the second row")
}
