package data

import "image"

// A conversion turns luma and chroma into colours exactly as one of the C libraries does whose pixels are in published
// reference statistics. Chroma of half size is interpolated, where the image package repeats it.
type conversion struct {
	rgb func(y, cb, cr int32) (r, g, b byte)
	// mix interpolates between the chroma sample of a pixel, its neighbours in the same row, in the same column and
	// across, in the directions of the pixel. right is 1 in the right half of the sample's two pixels, else 0.
	mix func(own, row, column, across, right int) int
}

// libjpeg has JFIF's colours and "fancy upsampling".
var libjpeg = conversion{
	rgb: func(y, cb, cr int32) (r, g, b byte) {
		const half = 1 << 15
		u, v := cb-128, cr-128
		return clamp(y + (91881*v+half)>>16), clamp(y + (-22554*u-46802*v+half)>>16), clamp(y + (116130*u+half)>>16)
	},
	mix: func(own, row, column, across, right int) int {
		return (9*own + 3*row + 3*column + across + 8 - right) >> 4
	},
}

// libwebp has the colours of ITU-R 601 video, with luma from 16 to 235. golang.org/x/image decodes the same luma and chroma, so no
// binding of libwebp is needed.
var libwebp = conversion{
	rgb: func(y, cb, cr int32) (r, g, b byte) {
		y = y * 19077 >> 8
		return clamp((y + cr*26149>>8 - 14234) >> 6), clamp((y - cb*6419>>8 - cr*13320>>8 + 8708) >> 6), clamp((y + cb*33050>>8 - 17685) >> 6)
	},
	mix: func(own, row, column, across, _ int) int {
		return ((own+row+column+across+8+2*(row+column))>>3 + own) >> 1
	},
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

func (c conversion) frame(img *image.YCbCr) frame {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	f := frame{make([]byte, 3*w*h), h, w, 3}
	cb, cr := c.chroma(img, img.Cb), c.chroma(img, img.Cr)
	for y := range h {
		for x := range w {
			at := y*w + x
			f.pix[3*at], f.pix[3*at+1], f.pix[3*at+2] = c.rgb(int32(img.Y[y*img.YStride+x]), int32(cb[at]), int32(cr[at]))
		}
	}
	return f
}

// chroma is one chroma plane at the size of the image.
func (c conversion) chroma(img *image.YCbCr, plane []byte) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	out := make([]byte, w*h)
	ratio := img.SubsampleRatio
	for y := range h {
		row := out[y*w : y*w+w]
		switch {
		case ratio == image.YCbCrSubsampleRatio420 && cw > 2:
			near := plane[y/2*img.CStride:]
			far := plane[min(max(y/2-1+y%2*2, 0), ch-1)*img.CStride:]
			for x := range row {
				i, j := x/2, min(max(x/2-1+x%2*2, 0), cw-1)
				row[x] = byte(c.mix(int(near[i]), int(near[j]), int(far[i]), int(far[j]), x%2))
			}
		case ratio == image.YCbCrSubsampleRatio422 && cw > 2:
			near := plane[y*img.CStride:]
			for x := range row {
				row[x] = byte((3*int(near[x/2]) + int(near[min(max(x/2-1+x%2*2, 0), cw-1)]) + 1 + x%2) >> 2)
			}
		default:
			for x := range row {
				row[x] = plane[img.COffset(img.Rect.Min.X+x, img.Rect.Min.Y+y)]
			}
		}
	}
	return out
}
