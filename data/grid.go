package data

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
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
	var out draw.Image = image.NewGray(bounds)
	if shape.C == 3 {
		out = image.NewRGBA(bounds)
		draw.Draw(out, bounds, image.Black, image.Point{}, draw.Src)
	}
	for i := range shape.N {
		x, y := gap+i%cols*(shape.W+gap), gap+i/cols*(shape.H+gap)
		one := frame{images[i*shape.ImageBytes() : (i+1)*shape.ImageBytes()], shape.H, shape.W, shape.C}.image()
		draw.Draw(out, image.Rect(x, y, x+shape.W, y+shape.H), one, image.Point{}, draw.Src)
	}
	return out, nil
}

// LabelRows puts a text left of each row of a grid, which has as many rows as there are labels.
func LabelRows(grid image.Image, labels []string) image.Image {
	face, width := basicfont.Face7x13, 0
	for _, label := range labels {
		width = max(width, font.MeasureString(face, label).Ceil())
	}
	const margin = 4
	width += 2 * margin
	size := grid.Bounds().Size()
	row := (size.Y - gap) / len(labels)
	out := image.NewRGBA(image.Rect(0, 0, width+size.X, size.Y))
	draw.Draw(out, out.Bounds(), image.Black, image.Point{}, draw.Src)
	draw.Draw(out, image.Rect(width, 0, width+size.X, size.Y), grid, grid.Bounds().Min, draw.Src)
	for i, label := range labels {
		d := font.Drawer{Dst: out, Src: image.White, Face: face, Dot: fixed.P(margin, gap/2+i*row+(row+face.Ascent-face.Descent)/2)}
		d.DrawString(label)
	}
	return out
}

// Picture is image i as an image.Image, without the frame of a grid. It is opaque, and a gray image
// stays gray.
func (s *Set) Picture(i int) image.Image { return s.frame(i).image() }

// WritePNGs writes every image of the set to a folder, as 000000.png and so on. It makes the folder.
func WritePNGs(folder string, s *Set) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for i := range s.N {
		if err := WritePNG(filepath.Join(folder, fmt.Sprintf("%06d.png", i)), s.Picture(i)); err != nil {
			return err
		}
	}
	return nil
}

// ReadMask reads an image of size×size pixels and returns a function that tells which of them are dark.
func ReadMask(path string, size int) (dark func(x, y int) bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: not a readable image: %w", path, err)
	}
	if b := img.Bounds(); b.Dx() != size || b.Dy() != size {
		return nil, fmt.Errorf("%s has %d×%d pixels, the images %d×%d", path, b.Dx(), b.Dy(), size, size)
	}
	return func(x, y int) bool {
		at := img.Bounds().Min.Add(image.Pt(x, y))
		return color.GrayModel.Convert(img.At(at.X, at.Y)).(color.Gray).Y < 128
	}, nil
}

// WritePNG replaces the file at path by img as a PNG, atomically.
func WritePNG(path string, img image.Image) error {
	return WriteAtomic(path, func(w io.Writer) error { return png.Encode(w, img) })
}
