package data

import (
	"fmt"
	"image"
	"strings"

	xdraw "golang.org/x/image/draw"
)

// A frame is one image on its way into a set: h×w×c bytes.
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

func checkCrop(crop string) error {
	for _, c := range append(Crops(), "") {
		if c == crop {
			return nil
		}
	}
	return fmt.Errorf("crop %q: want one of %s", crop, strings.Join(Crops(), ", "))
}

// crop cuts the named region out of f. An empty name takes square images only.
func (f frame) crop(name string) (frame, error) {
	box, celeba := celebaBoxes[name]
	switch {
	case celeba && (f.h != celebaH || f.w != celebaW):
		return f, fmt.Errorf("%d×%d pixels, but crop %s is one of the aligned CelebA's %d×%d; choose center or none", f.w, f.h, name, celebaW, celebaH)
	case celeba:
		return f.cut(box[0], box[1], box[2]), nil
	case name == "center":
		side := min(f.h, f.w)
		return f.cut((f.w-side)/2, (f.h-side)/2, side), nil
	case name == "" && f.h != f.w:
		return f, fmt.Errorf("%d×%d pixels are no square; liebm data prepare --crop center crops them, --crop none squashes them", f.w, f.h)
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

// resize scales f to size×size with a bilinear kernel that widens as the image shrinks, as PIL's resize and
// torchvision's Resize(antialias=True) do. The result differs from PIL's by at most one level, for PIL rounds to bytes
// between its two passes.
func (f frame) resize(size int) frame {
	if f.h == size && f.w == size {
		return f
	}
	bounds := image.Rect(0, 0, f.w, f.h)
	var from image.Image = &image.Gray{Pix: f.pix, Stride: f.w, Rect: bounds}
	if f.c == 3 {
		rgba := image.NewRGBA(bounds)
		for i := range f.h * f.w {
			copy(rgba.Pix[4*i:], f.pix[3*i:3*i+3])
			rgba.Pix[4*i+3] = 255
		}
		from = rgba
	}
	to := image.NewRGBA64(image.Rect(0, 0, size, size)) // 16 bits, so that the rounding to 8 is ours
	xdraw.BiLinear.Scale(to, to.Rect, from, bounds, xdraw.Src, nil)
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

// Resize scales the images to size×size, antialiased where they shrink: the other way, beside Pad, to take 28×28 to
// 32×32. Results on padded and on resized images cannot be compared.
func (s *Set) Resize(size int) (*Set, error) {
	if size < 1 || size > maxSide || s.C != 1 && s.C != 3 {
		return nil, fmt.Errorf("data: %s: cannot resize %d×%d×%d to %d×%d; choose a size of 1…%d, and 1 or 3 channels", s.Name, s.H, s.W, s.C, size, size, maxSide)
	}
	shape := Shape{s.N, size, size, s.C}
	pixels := make([]byte, shape.N*shape.ImageBytes())
	parallel(s.N, func(i int) {
		f := frame{s.Image(i), s.H, s.W, s.C}.resize(size)
		copy(pixels[i*shape.ImageBytes():], f.pix)
	})
	out := s.derive(shape, pixels)
	out.Fit = "resize"
	return out, nil
}

// pad is Set.Pad for one frame.
func (f frame) pad(size int) frame {
	out := frame{make([]byte, size*size*f.c), size, size, f.c}
	top, left := (size-f.h)/2, (size-f.w)/2
	row := f.w * f.c
	for y := range f.h {
		copy(out.pix[((top+y)*size+left)*f.c:], f.pix[y*row:(y+1)*row])
	}
	return out
}
