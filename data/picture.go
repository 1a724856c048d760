package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders, for image.Decode
	_ "image/jpeg"
	_ "image/png"
	"io"
	"path"
	"slices"
	"strings"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"
)

// pictureEndings are the endings of the names of picture files. How a file is decoded depends on its content.
func pictureEndings() []string {
	return []string{".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
}

// isPicture reports whether a file is one picture, by its name.
func isPicture(name string) bool {
	return slices.Contains(pictureEndings(), strings.ToLower(path.Ext(name)))
}

// A Picture is one decoded file: 8 bits a channel, [h,w,c].
type Picture struct {
	H, W, C int // C is 1 if the file is gray, else 3
	Pix     []byte
	Format  string // "png", "jpeg", …
	Alpha   bool   // some pixels are transparent; Pix has their colours only
}

// The decoders allocate all pixels that a header declares. A file may declare pictureRatio pixels a byte (deflate can
// hold 8,256 of one bit), and always pictureSlack: a 4,096×4,096 picture of one colour is small.
const (
	pictureSlack = 1 << 24
	pictureRatio = 1 << 13

	maxScans = 100 // of a progressive JPEG, which usually has 10
)

// DecodePicture reads a PNG, JPEG, BMP, GIF, TIFF or WebP as Pillow's convert("RGB") does. Published reference statistics
// are of pixels that Pillow made in this way. The chroma of JPEG and lossy WebP is interpolated, but that of YCCK, a kind of
// CMYK, is not. Transparency is dropped, not applied. Pictures of 16 bits a channel are an error, since they can be converted
// to 8 bits in several ways.
func DecodePicture(b []byte) (Picture, error) {
	if len(b) == 0 {
		return Picture{}, errors.New("empty file")
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(b)) // before its size is allocated
	if errors.Is(err, image.ErrFormat) {
		return Picture{}, fmt.Errorf("starts with % x: not a picture", b[:min(4, len(b))])
	}
	if err != nil {
		return Picture{}, short(err)
	}
	if !sides(c.Height, c.Width) || c.Width*c.Height > maxImage {
		return Picture{}, fmt.Errorf("%d×%d pixels: at most %d a side are read", c.Width, c.Height, maxSide)
	}
	if c.Width*c.Height > max(pictureSlack, pictureRatio*len(b)) {
		return Picture{}, fmt.Errorf("%d×%d pixels in %d bytes: cut short or damaged; fetch or save it again", c.Width, c.Height, len(b))
	}
	switch c.ColorModel {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		return Picture{}, errors.New("16 bits a channel: convert it to 8, in the way the data were made")
	}
	if scans := bytes.Count(b, []byte{0xff, 0xda}); format == "jpeg" && scans > maxScans { // each of a few bytes costs a pass over the image
		return Picture{}, fmt.Errorf("a JPEG with %d scans, and at most %d are read: save it again", scans, maxScans)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return Picture{}, short(err)
	}
	return flatten(img, format), nil
}

func short(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("cut short or damaged: %w; fetch or save it again", err)
}

// flatten takes the bytes out of a decoded image.
func flatten(img image.Image, format string) Picture {
	p := Picture{H: img.Bounds().Dy(), W: img.Bounds().Dx(), C: 3, Format: format}
	if o, ok := img.(interface{ Opaque() bool }); ok {
		p.Alpha = !o.Opaque()
	}
	conversion := libjpeg
	if format == "webp" {
		conversion = libwebp
	}
	switch img := img.(type) {
	case *image.Gray:
		p.C = 1
		for y := range p.H {
			p.Pix = append(p.Pix, img.Pix[y*img.Stride:][:p.W]...)
		}
	case *image.YCbCr:
		p.Pix = conversion.frame(img).pix
	case *image.NYCbCrA: // lossy WebP
		p.Pix = conversion.frame(&img.YCbCr).pix
	case *image.CMYK:
		for y := range p.H {
			row := img.Pix[y*img.Stride:][:4*p.W]
			for ; len(row) > 0; row = row[4:] {
				p.Pix = append(p.Pix, underKey(row[0], row[3]), underKey(row[1], row[3]), underKey(row[2], row[3]))
			}
		}
	default:
		p.Pix = colours(img, p.Alpha)
	}
	return p
}

// underKey is the red, green or blue of a cyan, magenta or yellow ink and the black one, (255 − ink)(255 − key)/255 rounded
// as Pillow does.
func underKey(ink, key byte) byte {
	white := uint32(255 - key)
	t := uint32(ink)*white + 128
	return byte(white - (t+t>>8)>>8)
}

// colours is the red, green and blue of an image, whatever its alpha.
func colours(img image.Image, alpha bool) []byte {
	b := img.Bounds()
	out := make([]byte, 0, 3*b.Dx()*b.Dy())
	var four []byte // pixels of four bytes; the first three are red, green and blue
	stride := 0
	switch img := img.(type) {
	case *image.NRGBA:
		four, stride = img.Pix, img.Stride
	case *image.RGBA:
		if !alpha {
			four, stride = img.Pix, img.Stride
		}
	}
	for y := range b.Dy() {
		if four != nil {
			for at := y * stride; at < y*stride+4*b.Dx(); at += 4 {
				out = append(out, four[at], four[at+1], four[at+2])
			}
			continue
		}
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			out = append(out, c.R, c.G, c.B)
		}
	}
	return out
}
