package data

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// idxImageHeader is the length of the header of IDX images: magic, n, h, w, each big-endian uint32.
const idxImageHeader = 16

// An idxLayout is the header of an IDX file.
type idxLayout struct {
	Shape
	header int    // bytes before the contents
	total  uint64 // bytes of the whole file
}

// isIDX reports whether b starts with the magic number of IDX: two zeros, a type, and the number of dimensions.
func isIDX(b []byte) bool {
	return len(b) >= 4 && b[0] == 0 && b[1] == 0 && b[2] >= 8 && b[2] <= 14 && b[3] >= 1 && b[3] <= 4
}

func notIDX(b []byte) error {
	if len(b) == 0 {
		return errors.New("empty file; fetch it again")
	}
	return fmt.Errorf("starts with % x, not with the 00 00 08 03 of IDX images or 00 00 08 01 of labels; fetch it again", b[:min(4, len(b))])
}

func idxHeader(b []byte) (idxLayout, error) {
	if !isIDX(b) {
		return idxLayout{}, notIDX(b)
	}
	if b[2] != 8 {
		return idxLayout{}, fmt.Errorf("IDX of type 0x%02x: only unsigned bytes (0x08) are read; convert it", b[2])
	}
	dims := int(b[3])
	if dims != 1 && dims != 3 {
		return idxLayout{}, fmt.Errorf("IDX of %d dimensions, not 1 (labels) or 3 (images)", dims)
	}
	l := idxLayout{Shape: Shape{H: 1, W: 1, C: 1}, header: 4 + 4*dims}
	if len(b) < l.header {
		return l, fmt.Errorf("ends after %d bytes, within its header of %d; fetch it again", len(b), l.header)
	}
	l.N = int(binary.BigEndian.Uint32(b[4:]))
	if dims == 3 {
		l.H, l.W = int(binary.BigEndian.Uint32(b[8:])), int(binary.BigEndian.Uint32(b[12:]))
	}
	if l.N == 0 || l.H == 0 || l.W == 0 {
		return l, fmt.Errorf("its header declares %d items of %d×%d: nothing to read; fetch it again", l.N, l.H, l.W)
	}
	if l.H > maxSide || l.W > maxSide {
		return l, fmt.Errorf("its header declares images of %d×%d, and a side has at most %d pixels: fetch it again", l.H, l.W, maxSide)
	}
	l.total = uint64(l.header) + uint64(l.N)*uint64(l.H*l.W) // < 2³² · 2²⁸
	return l, nil
}

// maxSide bounds the sides of an image, so that their product with any number of images fits.
const maxSide = 1 << 14

// parseIDX reads b, a whole IDX file. The pixels are a view of it.
func parseIDX(b []byte) (*part, error) {
	l, err := idxHeader(b)
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) != l.total {
		return nil, fmt.Errorf("%d bytes, but its header declares %d (%d items of %d×%d); fetch it again", len(b), l.total, l.N, l.H, l.W)
	}
	contents := b[l.header:]
	if l.header == idxImageHeader {
		return &part{newSet(l.Shape, contents, nil), idxImages, l.header}, nil
	}
	labels := make([]int32, l.N)
	for i, v := range contents {
		labels[i] = int32(v)
	}
	return &part{newSet(l.Shape, nil, labels), idxLabels, l.header}, nil
}
