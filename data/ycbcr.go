package data

import "image"

// fromYCbCr makes RGB of a decoded JPEG as libjpeg does, whose pixels are those of everybody's reference statistics:
// chroma that was halved is interpolated with weights 3/4 and 1/4 (libjpeg's "fancy upsampling"), where Go's own
// conversion repeats it. Other subsamplings are repeated.
func fromYCbCr(img *image.YCbCr) frame {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	f := frame{make([]byte, 3*w*h), h, w, 3}
	cb := chroma(img, img.Cb)
	cr := chroma(img, img.Cr)
	for y := range h {
		for x := range w {
			at := y*w + x
			f.pix[3*at], f.pix[3*at+1], f.pix[3*at+2] = toRGB(img.Y[y*img.YStride+x], cb[at], cr[at])
		}
	}
	return f
}

// toRGB is JFIF's conversion, rounded as libjpeg rounds it.
func toRGB(y, cb, cr byte) (r, g, b byte) {
	const half = 1 << 15
	l, u, v := int32(y), int32(cb)-128, int32(cr)-128
	return clamp(l + (91881*v+half)>>16), clamp(l + (-22554*u-46802*v+half)>>16), clamp(l + (116130*u+half)>>16)
}

func clamp(v int32) byte { return byte(min(max(v, 0), 255)) }

// chroma is one chroma plane at the size of the image.
func chroma(img *image.YCbCr, plane []byte) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]byte, w*h)
	ratio := img.SubsampleRatio
	cw, ch := (w+1)/2, (h+1)/2
	if ratio == image.YCbCrSubsampleRatio422 && cw > 2 {
		for y := range h {
			stretchRow(out[y*w:y*w+w], plane[y*img.CStride:], cw, func(near, far int, right bool) int {
				if right {
					return (3*near + far + 2) >> 2
				}
				return (3*near + far + 1) >> 2
			}, func(v int, _ bool) int { return v })
		}
		return out
	}
	if ratio != image.YCbCrSubsampleRatio420 || cw <= 2 {
		for y := range h {
			for x := range w {
				out[y*w+x] = plane[img.COffset(img.Rect.Min.X+x, img.Rect.Min.Y+y)]
			}
		}
		return out
	}
	sums := make([]int, cw)
	for y := range h {
		near := y / 2
		far := min(max(near-1+2*(y%2), 0), ch-1)
		for i := range sums {
			sums[i] = 3*int(plane[near*img.CStride+i]) + int(plane[far*img.CStride+i])
		}
		stretchRow(out[y*w:y*w+w], sums, cw, func(near, far int, right bool) int {
			if right {
				return (3*near + far + 7) >> 4
			}
			return (3*near + far + 8) >> 4
		}, func(v int, right bool) int {
			if right {
				return (4*v + 7) >> 4
			}
			return (4*v + 8) >> 4
		})
	}
	return out
}

// stretchRow doubles a row of n samples. Each sample gives two pixels, weighing it 3 to 1 with the neighbour on that
// side; the ends have no neighbour.
func stretchRow[T byte | int](out []byte, row []T, n int, mix func(near, far int, right bool) int, end func(v int, right bool) int) {
	for x := range out {
		i, right := x/2, x%2 == 1
		j := i - 1
		if right {
			j = i + 1
		}
		switch {
		case j < 0 || j >= n:
			out[x] = byte(end(int(row[i]), right))
		default:
			out[x] = byte(mix(int(row[i]), int(row[j]), right))
		}
	}
}
