package data

import (
	"encoding/binary"
	"math/rand/v2"
)

// OutlierOptions says which images Constant and Noise draw.
type OutlierOptions struct {
	Seed uint64
	Gray bool // one value for all channels of a pixel
}

// Constant returns images of a single colour. Each channel is uniform on 0…255 and drawn once per image; with Gray, all
// channels have one value. No such set is published, so scores depend on this definition. Use as many images as there
// are inliers in the test split, 10,000 for CIFAR-10. Image i depends on seed and i only: a smaller set is the head of a
// larger one.
func Constant(shape Shape, o OutlierOptions) (*Set, error) {
	return outliers(shape, o, "constant", "liebm/data/const", func(image []byte, source *rand.ChaCha8) {
		colour := make([]byte, shape.C)
		uniform(colour, 1, o.Gray, source)
		for at := 0; at < len(image); at += shape.C {
			copy(image[at:], colour)
		}
	})
}

// Noise returns images with independent values, uniform on 0…255. Image i depends on seed and i only.
func Noise(shape Shape, o OutlierOptions) (*Set, error) {
	return outliers(shape, o, "noise", "liebm/data/noise", func(image []byte, source *rand.ChaCha8) {
		uniform(image, shape.H*shape.W, o.Gray, source)
	})
}

// Inverted returns the images 255 − x of s with the same labels. The border of a padded set is inverted too. For
// inverted images in a black frame, invert first and pad the result.
func Inverted(s *Set) *Set {
	return s.changed("-inverted", func(_ int, out, in []byte) {
		for i, v := range in {
			out[i] = 255 - v
		}
	})
}

func outliers(shape Shape, o OutlierOptions, name, purpose string, fill func(image []byte, source *rand.ChaCha8)) (*Set, error) {
	set, err := New(shape, make([]byte, max(0, shape.N*shape.ImageBytes())), nil)
	if err != nil {
		return nil, err
	}
	set.Name = name
	if o.Gray {
		set.Name += "-gray"
	}
	for i := range shape.N {
		fill(set.Image(i), keyed(o.Seed, uint64(i), purpose))
	}
	return set, nil
}

// uniform fills values with uniform bytes, or if gray with one byte per pixel, repeated for all channels.
func uniform(values []byte, pixels int, gray bool, source *rand.ChaCha8) {
	if channels := len(values) / pixels; gray && channels > 1 {
		one := make([]byte, pixels)
		uniform(one, pixels, false, source)
		for i := range values {
			values[i] = one[i/channels]
		}
		return
	}
	var word [8]byte
	for at := 0; at < len(values); at += len(word) {
		binary.LittleEndian.PutUint64(word[:], source.Uint64())
		copy(values[at:], word[:])
	}
}
