package torch

import (
	"image"
	"image/color"
	"image/draw"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// colours paints 3×2 pixels, all different, somewhere off the origin.
func colours(img draw.Image) image.Image {
	b := img.Bounds()
	for i := range 6 {
		img.Set(b.Min.X+i%3, b.Min.Y+i/3, color.RGBA{uint8(10 * i), uint8(100 + i), uint8(200 + i), 255})
	}
	return img
}

func TestImagesBecomeTensors(t *testing.T) {
	at := image.Rect(5, -7, 8, -5)
	palette := color.Palette{}
	for i := range 6 {
		palette = append(palette, color.RGBA{uint8(10 * i), uint8(100 + i), uint8(200 + i), 255})
	}
	rgb := []uint8{0, 10, 20, 30, 40, 50, 100, 101, 102, 103, 104, 105, 200, 201, 202, 203, 204, 205}
	ycc := image.NewYCbCr(at, image.YCbCrSubsampleRatio444)
	for i := range ycc.Y {
		ycc.Y[i], ycc.Cb[i], ycc.Cr[i] = uint8(40*i), 128, 128
	}
	large := colours(image.NewRGBA(image.Rect(5, -8, 9, -5))).(*image.RGBA)
	for name, c := range map[string]struct {
		img   image.Image
		shape []int
		want  []uint8
	}{
		"RGBA":     {colours(image.NewRGBA(at)), []int{3, 2, 3}, rgb},
		"NRGBA":    {colours(image.NewNRGBA(at)), []int{3, 2, 3}, rgb},
		"palette":  {colours(image.NewPaletted(at, palette)), []int{3, 2, 3}, rgb},
		"a part":   {large.SubImage(image.Rect(5, -8, 6, -7)), []int{3, 1, 1}, []uint8{0, 100, 200}},
		"YCbCr":    {ycc, []int{3, 2, 3}, []uint8{0, 40, 80, 120, 160, 200, 0, 40, 80, 120, 160, 200, 0, 40, 80, 120, 160, 200}},
		"gray":     {&image.Gray{Pix: []uint8{1, 2, 3, 9, 4, 5, 6}, Stride: 4, Rect: at}, []int{1, 2, 3}, []uint8{1, 2, 3, 4, 5, 6}},
		"no pixel": {image.NewRGBA(image.Rectangle{}), []int{3, 0, 0}, []uint8{}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func() {
				x := FromImage(c.img)
				assert.Equal(t, c.shape, x.Shape())
				assert.Equal(t, c.want, ToSlice[uint8](x))
				back, err := x.ToImage()
				require.NoError(t, err)
				b := c.img.Bounds()
				require.Equal(t, b.Size(), back.Bounds().Size())
				for y := range b.Dy() {
					for x := range b.Dx() {
						assert.Equal(t, color.RGBAModel.Convert(c.img.At(b.Min.X+x, b.Min.Y+y)), color.RGBAModel.Convert(back.At(x, y)))
					}
				}
			})
		})
	}
}

func TestTensorsBecomeImages(t *testing.T) {
	in(t, func() {
		x := FromSlice([]uint8{1, 2, 3, 4, 5, 6}, 3, 2)
		img, err := x.ToImage()
		require.NoError(t, err)
		assert.Equal(t, &image.Gray{Pix: []uint8{1, 2, 3, 4, 5, 6}, Stride: 2, Rect: image.Rect(0, 0, 2, 3)}, img)
		img, err = x.T().Unsqueeze(0).ToImage()
		require.NoError(t, err)
		assert.Equal(t, []uint8{1, 3, 5, 2, 4, 6}, img.(*image.Gray).Pix, "strides are followed")
	})
}

func TestImagesThatWouldLoseSomethingAreRefused(t *testing.T) {
	size := image.Rect(0, 0, 2, 1)
	glass := image.NewNRGBA(size)
	draw.Draw(glass, size, image.White, image.Point{}, draw.Src)
	glass.Pix[7] = 254
	for want, img := range map[string]image.Image{
		"from_image((2,1)): it has transparent pixels": glass,
		"its channels have 16 bits":                    image.NewGray16(size),
		"16 bits":                                      image.NewNRGBA64(size),
		"have 16 bits":                                 image.NewRGBA64(size),
		"transparent pixels":                           image.NewAlpha(size),
	} {
		assert.ErrorContains(t, failure(t, func() { FromImage(img) }), want)
	}
	in(t, func() {
		for want, x := range map[string]Tensor{
			"[2 3 4 4]: use [3,h,w]":        Zeros([]int{2, 3, 4, 4}, Uint8),
			"[2 4 4]: use":                  Zeros([]int{2, 4, 4}, Uint8),
			"tensor of float32: use uint8 ": Zeros([]int{3, 4, 4}, Float32),
			"tensor":                        {},
		} {
			img, err := x.ToImage()
			assert.ErrorContains(t, err, want)
			assert.Nil(t, img)
		}
	})
}
