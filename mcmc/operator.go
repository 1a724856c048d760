package mcmc

import (
	"fmt"

	"github.com/liebm/liebm/torch"
)

// Operator is a linear degradation y = A x of images, and its Moore–Penrose inverse A⁺ (Sec. 4.4).
// Both act on batches: [n,c,h,w] in, four dimensions out.
type Operator interface {
	Apply(x torch.Tensor) torch.Tensor         // A x
	PseudoInverse(y torch.Tensor) torch.Tensor // A⁺ y, in the shape of x
	Check(channels, height, width int) error   // nil if A can degrade images of this shape
}

// Project is A⁺A x, an orthogonal projection: it keeps the part of x that A x determines, and
// removes the rest.
func Project(a Operator, x torch.Tensor) torch.Tensor { return a.PseudoInverse(a.Apply(x)) }

// Colorization removes the colour: A is the mean of three channels, [n,3,h,w] → [n,1,h,w], and A⁺
// repeats it.
type Colorization struct{}

// Apply is the mean of the channels.
func (Colorization) Apply(x torch.Tensor) torch.Tensor { return x.MeanKeepDim(1) }

// PseudoInverse repeats the channel.
func (Colorization) PseudoInverse(y torch.Tensor) torch.Tensor { return y.Expand(-1, 3, -1, -1) }

// Check returns an error unless there are three channels.
func (Colorization) Check(channels, _, _ int) error {
	if channels != 3 {
		return fmt.Errorf("colourisation of images with %d channel has no colour to find: use a model of RGB images, or another task", channels)
	}
	return nil
}

// SuperResolution removes detail. A averages each square of Factor×Factor pixels, [n,c,h,w] →
// [n,c,h/f,w/f]. A⁺ repeats the average over the square.
type SuperResolution struct{ Factor int }

// Apply averages each square of pixels.
func (s SuperResolution) Apply(x torch.Tensor) torch.Tensor { return x.AvgPool2d(s.Factor) }

// PseudoInverse repeats each pixel over its square.
func (s SuperResolution) PseudoInverse(y torch.Tensor) torch.Tensor {
	n, c, h, w, f := y.Size(0), y.Size(1), y.Size(2), y.Size(3), s.Factor
	return y.Reshape(n, c, h, 1, w, 1).Expand(n, c, h, f, w, f).Reshape(n, c, h*f, w*f)
}

// Check returns an error unless the factor divides both sides.
func (s SuperResolution) Check(_, height, width int) error {
	if s.Factor < 2 || height%s.Factor != 0 || width%s.Factor != 0 {
		return fmt.Errorf("%d× super-resolution of %d×%d images: give a factor of at least 2 that divides both sides", s.Factor, height, width)
	}
	return nil
}

// Inpainting removes pixels: A and A⁺ set those outside Known to 0.
type Inpainting struct {
	Height, Width int
	Known         []bool // height·width, row by row
}

// Apply keeps the known pixels.
func (p Inpainting) Apply(x torch.Tensor) torch.Tensor {
	mask := make([]float32, len(p.Known))
	for i, known := range p.Known {
		if known {
			mask[i] = 1
		}
	}
	return x.Mul(torch.FromSlice(mask, 1, 1, p.Height, p.Width).To(x.DType()).ToDevice(x.Device()))
}

// PseudoInverse keeps the known pixels.
func (p Inpainting) PseudoInverse(y torch.Tensor) torch.Tensor { return p.Apply(y) }

// Check returns an error unless the mask has the images' size, and some pixels are known and some are not.
func (p Inpainting) Check(_, height, width int) error {
	if p.Height != height || p.Width != width || len(p.Known) != height*width {
		return fmt.Errorf("the mask has %d×%d pixels, the images %d×%d", p.Height, p.Width, height, width)
	}
	known := 0
	for _, k := range p.Known {
		if k {
			known++
		}
	}
	if known == 0 || known == len(p.Known) {
		return fmt.Errorf("the mask leaves %d of %d pixels known: leave some known and some unknown", known, len(p.Known))
	}
	return nil
}
