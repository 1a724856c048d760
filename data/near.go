package data

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Flipped returns the images of s upside down: outliers with the same pixels and edges as the data.
func Flipped(s *Set) *Set {
	row := s.W * s.C
	return s.changed("-flipped", func(_ int, out, in []byte) {
		for y := range s.H {
			copy(out[y*row:(y+1)*row], in[(s.H-1-y)*row:])
		}
	})
}

// patches is how many patches an image of Shuffled has each way.
const patches = 4

// Shuffled returns the images of s, each cut into 16 patches, four each way, in a random order: outliers that differ from the
// data in their global shape only. Rows and columns beyond a multiple of four stay where they are. Image i depends on seed and i only.
func Shuffled(s *Set, seed uint64) *Set {
	h, w := s.H/patches, s.W/patches
	return s.changed("-shuffled", func(i int, out, in []byte) {
		copy(out, in)
		order := rand.New(keyed(seed, uint64(i), "liebm/data/shuffle")).Perm(patches * patches)
		for to, from := range order {
			for y := range h {
				at := func(patch int) int { return ((patch/patches*h+y)*s.W + patch%patches*w) * s.C }
				copy(out[at(to):at(to)+w*s.C], in[at(from):])
			}
		}
	})
}

// Blurred returns the images of s after a Gaussian filter with a standard deviation of sigma pixels: outliers without the
// fine detail of the data. Beyond its border an image goes on with its border's pixels.
func Blurred(s *Set, sigma float64) *Set {
	radius := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		d := float64(i - radius)
		kernel[i] = math.Exp(-d * d / (2 * sigma * sigma))
		sum += kernel[i]
	}
	// along filters down the columns, or with dx 1 and dy 0 along the rows.
	along := func(to, from []float64, dy, dx int) {
		for i := range to {
			y, x, c := i/(s.W*s.C), i/s.C%s.W, i%s.C
			v := 0.0
			for k, weight := range kernel {
				ky, kx := min(max(y+dy*(k-radius), 0), s.H-1), min(max(x+dx*(k-radius), 0), s.W-1)
				v += weight * from[(ky*s.W+kx)*s.C+c]
			}
			to[i] = v / sum
		}
	}
	values, rows := make([]float64, s.ImageBytes()), make([]float64, s.ImageBytes())
	return s.changed("-blurred", func(_ int, out, in []byte) {
		for i, v := range in {
			values[i] = float64(v)
		}
		along(rows, values, 0, 1)
		along(values, rows, 1, 0)
		for i, v := range values {
			out[i] = uint8(v + 0.5)
		}
	})
}

// changed is a copy of s with every image changed.
func (s *Set) changed(suffix string, change func(i int, out, in []byte)) *Set {
	pixels, size := make([]byte, len(s.pixels)), s.ImageBytes()
	for i := range s.N {
		change(i, pixels[i*size:(i+1)*size], s.Image(i))
	}
	out := s.derive(s.Shape, pixels)
	out.Name += suffix
	return out
}

// glyphs are what Glyphs draws.
const glyphs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Glyphs returns images of one letter or digit each, in a random one of four fonts: white on black, or in two random
// colours where there are three channels. Image i depends on seed and i only.
func Glyphs(shape Shape, seed uint64) (*Set, error) {
	if shape.C != 1 && shape.C != 3 {
		return nil, fmt.Errorf("data: glyphs of %d channels: use 1 or 3", shape.C)
	}
	var faces []font.Face
	for _, ttf := range [][]byte{goregular.TTF, gobold.TTF, goitalic.TTF, gomono.TTF} {
		parsed, err := opentype.Parse(ttf)
		if err != nil {
			return nil, err
		}
		face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 0.9 * float64(min(shape.H, shape.W)), DPI: 72})
		if err != nil {
			return nil, err
		}
		faces = append(faces, face)
	}
	return outliers(shape, OutlierOptions{Seed: seed}, "glyphs", "liebm/data/glyphs", func(pixels []byte, source *rand.ChaCha8) {
		r := rand.New(source)
		face, glyph := faces[r.IntN(len(faces))], glyphs[r.IntN(len(glyphs))]
		ink, paper := color.RGBA{255, 255, 255, 255}, color.RGBA{0, 0, 0, 255}
		if shape.C == 3 {
			for _, c := range []*color.RGBA{&ink, &paper} {
				c.R, c.G, c.B = uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))
			}
		}
		page := drawGlyph(face, rune(glyph), shape, ink, paper)
		for i := range shape.H * shape.W {
			copy(pixels[i*shape.C:(i+1)*shape.C], page.Pix[4*i:])
		}
	})
}

// drawGlyph is a page with a glyph in its middle.
func drawGlyph(face font.Face, glyph rune, shape Shape, ink, paper color.Color) *image.RGBA {
	page := image.NewRGBA(image.Rect(0, 0, shape.W, shape.H))
	draw.Draw(page, page.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	box, _, _ := face.GlyphBounds(glyph)
	dot := fixed.Point26_6{
		X: (fixed.I(shape.W) - (box.Max.X - box.Min.X)) / 2, Y: (fixed.I(shape.H) - (box.Max.Y - box.Min.Y)) / 2}
	d := font.Drawer{Dst: page, Src: image.NewUniform(ink), Face: face, Dot: dot.Sub(box.Min)}
	d.DrawString(string(glyph))
	return page
}
