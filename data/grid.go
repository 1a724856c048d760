package data

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

// gap is the black frame between the images of a grid, 2 pixels as in torchvision's make_grid.
const gap = 2

// Grid arranges images, NHWC bytes of one or three channels, in rows of cols images. cols 0 makes the grid about
// square.
func Grid(images []byte, shape Shape, cols int) (image.Image, error) {
	if shape.N < 1 || shape.H < 1 || shape.W < 1 || len(images) != shape.N*shape.ImageBytes() {
		return nil, fmt.Errorf("data: grid of %d bytes for images of %v, not n·h·w·c", len(images), shape)
	}
	if shape.C != 1 && shape.C != 3 {
		return nil, fmt.Errorf("data: grid of images with %d channels, not 1 or 3", shape.C)
	}
	if cols <= 0 {
		cols = int(math.Ceil(math.Sqrt(float64(shape.N))))
	}
	cols = min(cols, shape.N)
	rows := (shape.N + cols - 1) / cols
	bounds := image.Rect(0, 0, cols*(shape.W+gap)+gap, rows*(shape.H+gap)+gap)
	if shape.C == 1 {
		out := image.NewGray(bounds)
		place(images, shape, cols, func(x, y int, row []byte) { copy(out.Pix[out.PixOffset(x, y):], row) })
		return out, nil
	}
	out := image.NewRGBA(bounds)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			out.SetRGBA(x, y, color.RGBA{A: 255})
		}
	}
	place(images, shape, cols, func(x, y int, row []byte) {
		to := out.Pix[out.PixOffset(x, y):]
		for i := range shape.W {
			copy(to[4*i:4*i+3], row[3*i:3*i+3])
		}
	})
	return out, nil
}

// place calls put with the position of every row of pixels.
func place(images []byte, shape Shape, cols int, put func(x, y int, row []byte)) {
	width := shape.W * shape.C
	for i := range shape.N {
		x, y := gap+i%cols*(shape.W+gap), gap+i/cols*(shape.H+gap)
		for r := range shape.H {
			at := i*shape.ImageBytes() + r*width
			put(x, y+r, images[at:at+width])
		}
	}
}

// WritePNG replaces the file at path by img as a PNG, atomically.
func WritePNG(path string, img image.Image) error {
	return WriteAtomic(path, func(w io.Writer) error { return png.Encode(w, img) })
}
