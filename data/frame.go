package data

import (
	"context"
	"fmt"
	"image"

	xdraw "golang.org/x/image/draw"
)

// A frame is one image that is being made ready for a set: h×w×c bytes.
type frame struct {
	pix     []byte
	h, w, c int
}

// Crops names the regions that Options.Crop and PrepareOptions.Crop can take, the default first. The first four are
// those in use on the aligned CelebA of 178×218; FIDs of different crops cannot be compared.
//
//	148     (15, 40)–(163, 188)  after Larsen et al.; VAEBM, NVAE, Dual-MCMC
//	140     (19, 39)–(159, 179)  NCSNv2, CLEL
//	128     (25, 57)–(153, 185)  DDIM
//	178     (0, 20)–(178, 198)   common in GAN code
//	center  the largest square in the middle of any image
//	none    the whole image, squashed if it is not square
func Crops() []string { return []string{"148", "140", "128", "178", "center", "none"} }

// celebaBoxes are left, top and side.
var celebaBoxes = map[string][3]int{"148": {15, 40, 148}, "140": {19, 39, 140}, "128": {25, 57, 128}, "178": {0, 20, 178}}

const celebaH, celebaW = 218, 178

// crop cuts the named region out of f. An empty name takes square images only.
func (f frame) crop(name string) (frame, error) {
	box, celeba := celebaBoxes[name]
	switch {
	case celeba && (f.h != celebaH || f.w != celebaW):
		return f, fmt.Errorf("%d×%d pixels, but crop %s is for the aligned CelebA with %d×%d; use crop center or none", f.w, f.h, name, celebaW, celebaH)
	case celeba:
		return f.cut(box[0], box[1], box[2]), nil
	case name == "center":
		side := min(f.h, f.w)
		return f.cut((f.w-side)/2, (f.h-side)/2, side), nil
	case name == "" && f.h != f.w:
		return f, fmt.Errorf("%d×%d pixels are no square; use crop center, or crop none to squash the image", f.w, f.h)
	}
	return f, nil
}

func (f frame) cut(left, top, side int) frame {
	out := frame{make([]byte, 0, side*side*f.c), side, side, f.c}
	for y := range side {
		start := ((top+y)*f.w + left) * f.c
		out.pix = append(out.pix, f.pix[start:start+side*f.c]...)
	}
	return out
}

// resize scales f to size×size with a bilinear kernel that widens as the image shrinks, as Pillow's resize and
// torchvision's Resize(antialias=True) do. It differs from Pillow by at most one level, because Pillow rounds to
// bytes between its two passes.
func (f frame) resize(size int) frame {
	if f.h == size && f.w == size {
		return f
	}
	from := f.image()
	to := image.NewRGBA64(image.Rect(0, 0, size, size)) // 16 bits, so that the rounding to 8 is ours
	xdraw.BiLinear.Scale(to, to.Rect, from, from.Bounds(), xdraw.Src, nil)
	out := frame{make([]byte, size*size*f.c), size, size, f.c}
	for i := range size * size {
		for c := range f.c {
			at := 8*i + 2*c
			v := uint32(to.Pix[at])<<8 | uint32(to.Pix[at+1])
			out.pix[i*f.c+c] = byte((v + 128) / 257)
		}
	}
	return out
}

// image is f as an image, whose pixels are those of f if it is gray.
func (f frame) image() image.Image {
	bounds := image.Rect(0, 0, f.w, f.h)
	if f.c == 1 {
		return &image.Gray{Pix: f.pix, Stride: f.w, Rect: bounds}
	}
	img := image.NewRGBA(bounds)
	for i := range f.h * f.w {
		copy(img.Pix[4*i:], f.pix[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	return img
}

// rgb repeats the one channel of a gray frame three times.
func (f frame) rgb() frame {
	if f.c == 3 {
		return f
	}
	out := frame{make([]byte, 3*len(f.pix)), f.h, f.w, 3}
	for i, v := range f.pix {
		out.pix[3*i], out.pix[3*i+1], out.pix[3*i+2] = v, v, v
	}
	return out
}

// pad puts f into the middle of a size×size frame of zeros. An odd pixel goes to the right and the bottom.
func (f frame) pad(size int) frame {
	out := frame{make([]byte, size*size*f.c), size, size, f.c}
	top, left := (size-f.h)/2, (size-f.w)/2
	row := f.w * f.c
	for y := range f.h {
		copy(out.pix[((top+y)*size+left)*f.c:], f.pix[y*row:(y+1)*row])
	}
	return out
}

// shape returns f in the form that o asks for, and how it got its size: see Set.Fit.
func (o Options) shape(f frame) (shaped frame, fit string, err error) {
	if f, err = f.crop(o.Crop); err != nil {
		return f, "", err
	}
	if o.RGB {
		f = f.rgb()
	}
	switch {
	case o.Size == 0 || f.h == o.Size && f.w == o.Size:
		return f, "", nil
	case o.Scale && (f.h != o.Pad || f.w != o.Pad):
		return f.resize(o.Size), "resize", nil
	case f.h > o.Size || f.w > o.Size:
		return f, "", fmt.Errorf("%d×%d pixels cannot be padded to %d; resize the images instead (scale)", f.w, f.h, o.Size)
	}
	return f.pad(o.Size), "pad", nil
}

// frame is image i of s.
func (s *Set) frame(i int) frame { return frame{s.Image(i), s.H, s.W, s.C} }

// framed is s with f applied to every image. The results are h×w×c.
func (s *Set) framed(h, w, c int, f func(frame) frame) *Set {
	shape := Shape{s.N, h, w, c}
	pixels := make([]byte, 0, shape.N*shape.ImageBytes())
	for _, pix := range ordered(context.Background(), s.N, func(i int) []byte { return f(s.frame(i)).pix }) {
		pixels = append(pixels, pix...)
	}
	return s.derive(shape, pixels)
}

// Resize scales the images to size×size, antialiased where they shrink. Both Resize and Pad make 32×32 images of 28×28
// ones. Do not compare results on padded images with results on resized images.
func (s *Set) Resize(size int) (*Set, error) {
	if size < 1 || size > maxSide || s.C != 1 && s.C != 3 {
		return nil, fmt.Errorf("data: %s: cannot resize %d×%d×%d to %d×%d; use a size of 1…%d, and images with 1 or 3 channels", s.Name, s.H, s.W, s.C, size, size, maxSide)
	}
	out := s.framed(size, size, s.C, func(f frame) frame { return f.resize(size) })
	out.Fit = "resize"
	return out, nil
}

// Pad copies the images into the middle of size×size frames of zeros: 28×28 and size 32 gives a
// border of 2. An odd pixel goes to the right and the bottom.
func (s *Set) Pad(size int) (*Set, error) {
	if size < s.H || size < s.W {
		return nil, fmt.Errorf("data: %s: cannot pad %d×%d images to %d×%d; use a larger size, or 0 for no padding", s.Name, s.H, s.W, size, size)
	}
	out := s.framed(size, size, s.C, func(f frame) frame { return f.pad(size) })
	out.Fit = "pad"
	return out, nil
}

// Crop copies the middle size×size pixels of every image. It undoes Pad.
func (s *Set) Crop(size int) (*Set, error) {
	if size < 1 || size > s.H || size > s.W {
		return nil, fmt.Errorf("data: %s: cannot crop %d×%d images to %d×%d; use a smaller size", s.Name, s.H, s.W, size, size)
	}
	return s.framed(size, size, s.C, func(f frame) frame { return f.cut((s.W-size)/2, (s.H-size)/2, size) }), nil
}

// RGB repeats the channel of a gray set three times, for comparison with colour sets. It returns a colour set
// unchanged.
func (s *Set) RGB() *Set {
	if s.C != 1 {
		return s
	}
	return s.framed(s.H, s.W, 3, frame.rgb)
}
