package torch

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
)

// FromImage copies an image to a uint8 tensor [c,h,w] on the CPU, like torchvision's pil_to_tensor. A
// gray image has one channel, any other has three: red, green and blue. FromImage panics with *[Error]
// if the tensor would lose information: if a pixel is transparent (draw the image on a background
// first), or if a channel has 16 bits (draw the image on an [image.RGBA] first).
func FromImage(img image.Image) Tensor {
	b := img.Bounds()
	size := image.Rect(0, 0, b.Dx(), b.Dy())
	fail := func(msg string) { panic(&Error{Op: "from_image", Shapes: fmt.Sprint(size.Max), Msg: msg}) }
	switch img.ColorModel() {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model, color.Alpha16Model:
		fail("its channels have 16 bits, the tensor's have 8: draw it on an image.RGBA first")
	case color.GrayModel:
		gray := image.NewGray(size)
		draw.Draw(gray, size, img, b.Min, draw.Src)
		return FromSlice(gray.Pix, 1, b.Dy(), b.Dx())
	}
	rgba := image.NewRGBA(size)
	draw.Draw(rgba, size, img, b.Min, draw.Src)
	if !rgba.Opaque() {
		fail("it has transparent pixels: draw it on a background first")
	}
	plane := b.Dx() * b.Dy()
	planes := make([]uint8, 3*plane)
	for i := range plane {
		for c := range 3 {
			planes[c*plane+i] = rgba.Pix[4*i+c]
		}
	}
	return FromSlice(planes, 3, b.Dy(), b.Dx())
}

// ToImage copies a uint8 tensor to an image: [3,h,w] to an *[image.RGBA], [1,h,w] or [h,w] to an
// *[image.Gray]. It needs no open scope. Other types are an error, because floats have no agreed range:
// x.Clamp(0, 1).MulScalar(255).To(Uint8) is one choice.
func (t Tensor) ToImage() (image.Image, error) {
	var out image.Image
	err := Do(func() error {
		shape := t.Shape()
		if len(shape) == 2 {
			shape = append([]int{1}, shape...)
		}
		if len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
			return fmt.Errorf("image of a tensor %v: use [3,h,w], [1,h,w] or [h,w]; Select(0, i) takes one image of a batch", t.Shape())
		}
		if t.DType() != Uint8 {
			return errors.New("image of a tensor of " + t.DType().String() + ": use uint8 in 0…255; scale and round it, then call To(torch.Uint8)")
		}
		bytes, size := t.Bytes(), image.Rect(0, 0, shape[2], shape[1])
		if shape[0] == 1 {
			out = &image.Gray{Pix: bytes, Stride: shape[2], Rect: size}
			return nil
		}
		rgba, plane := image.NewRGBA(size), shape[1]*shape[2]
		for i := range plane {
			rgba.Pix[4*i], rgba.Pix[4*i+1], rgba.Pix[4*i+2], rgba.Pix[4*i+3] = bytes[i], bytes[plane+i], bytes[2*plane+i], 255
		}
		out = rgba
		return nil
	})
	return out, err
}
