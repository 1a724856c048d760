package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/npz"
)

// pixelsOf are the elements of an array of uint8 in C order.
func pixelsOf(a npz.Array) ([]byte, error) {
	if a.Type != "|u1" {
		return nil, fmt.Errorf("elements of type %.12q: images are uint8; convert it with astype", a.Type)
	}
	if a.Fortran {
		return nil, errors.New("an array in Fortran order; save it again with numpy.ascontiguousarray")
	}
	return a.Data, a.Check(1)
}

// parseImages reads a .npy of images: [n,h,w,3], [n,h,w,1], [n,3,h,w] or [n,h,w] of uint8.
func parseImages(b []byte) (*part, error) {
	a, err := npz.Parse(b)
	if err != nil {
		return nil, err
	}
	return arrayImages(a)
}

func arrayImages(a npz.Array) (*part, error) {
	pix, err := pixelsOf(a)
	if err != nil {
		return nil, err
	}
	var shape Shape
	switch s := a.Shape; {
	case len(s) == 3 && sides(s[1], s[2]):
		shape = Shape{s[0], s[1], s[2], 1}
	case len(s) == 4 && (s[3] == 3 || s[3] == 1) && sides(s[1], s[2]):
		shape = Shape{s[0], s[1], s[2], s[3]}
	case len(s) == 4 && s[1] == 3 && sides(s[2], s[3]):
		shape = Shape{s[0], s[2], s[3], 3}
		if len(pix) > maxHeld() {
			return nil, tooBig()
		}
		planes := pix
		pix = make([]byte, len(planes))
		for at := 0; at < len(pix); at += shape.ImageBytes() {
			interleave(pix[at:], planes[at:at+shape.ImageBytes()], 3)
		}
	default:
		return nil, fmt.Errorf("an array of %.60s is no set of images: use [n,h,w,3], [n,3,h,w] or [n,h,w]", fmt.Sprint(s))
	}
	if shape.N < 1 {
		return nil, errors.New("an array without images; fetch it again")
	}
	return &part{newSet(shape, pix, nil), arrays, a.Offset}, nil
}

// decodeNPYImage reads one image: [1,3,h,w], [3,h,w], [h,w,3], [h,w,1] or [h,w] of uint8.
func decodeNPYImage(b []byte) (frame, error) {
	a, err := npz.Parse(b)
	if err != nil {
		return frame{}, err
	}
	shape := a.Shape
	if len(shape) < 4 {
		a.Shape = slices.Concat([]int{1}, shape)
	}
	p, err := arrayImages(a)
	if err == nil && p.N > 1 {
		err = fmt.Errorf("an array of %v is not one image: use [1,3,h,w], [3,h,w], [h,w,3] or [h,w]", shape)
	}
	if err != nil {
		return frame{}, err
	}
	return frame{p.pixels, p.H, p.W, p.C}, nil
}

// isNPZ tells numpy's zip from a zip of images: its members are arrays with plain names.
func isNPZ(z *zip.Reader) bool {
	return len(z.File) > 0 && len(z.File) <= maxArrays && !slices.ContainsFunc(z.File, func(f *zip.File) bool {
		return strings.Contains(f.Name, "/") || !strings.HasSuffix(f.Name, ".npy")
	})
}

// maxArrays bounds the arrays of a .npz: ImageNet 32 has three.
const maxArrays = 16

// parseNPZ reads ImageNet 32's data and labels, or one array of images.
func parseNPZ(b []byte) (*part, error) {
	archive, err := npz.Open(b)
	if err != nil {
		return nil, err
	}
	if len(archive.Names) == 0 || len(archive.Names) > maxArrays {
		return nil, errors.New("a zip inside a zip; unpack it first")
	}
	names := slices.DeleteFunc(archive.Names, func(name string) bool { return name == "mean" })
	if slices.Contains(names, "data") && slices.Contains(names, "labels") {
		return imageNet(archive)
	}
	single := "arr_0" // ADM's have labels beside it, which are those of its model
	if len(names) == 1 {
		single = names[0]
	} else if !slices.Contains(names, single) {
		return nil, fmt.Errorf("holds the arrays %.80s: use data and labels, or one array of images", strings.Join(names, ", "))
	}
	a, err := heldArray(archive, single)
	if err != nil {
		return nil, err
	}
	return arrayImages(a)
}

// heldArray is an array whose elements become pixels: in memory, or as a view of the file.
func heldArray(archive *npz.Archive, name string) (npz.Array, error) {
	a, err := archive.Array(name, uint64(maxHeld()))
	if errors.Is(err, npz.ErrTooLong) {
		err = fmt.Errorf("%w: %w", err, tooBig())
	}
	return a, err
}

// maxLabels bounds the bytes of ImageNet 32's labels: it has 1.3 million.
const maxLabels = 64 << 20

// imageNet reads the arrays of ImageNet 32.
func imageNet(archive *npz.Archive) (*part, error) {
	rows, err := heldArray(archive, "data")
	if err != nil {
		return nil, err
	}
	labels, err := archive.Array("labels", maxLabels)
	if err != nil {
		return nil, err
	}
	pix, err := pixelsOf(rows)
	if err != nil {
		return nil, fmt.Errorf("array data: %w", err)
	}
	if len(pix) > maxHeld() { // they are copied below
		return nil, tooBig()
	}
	if len(rows.Shape) != 2 || rows.Shape[1] != cifarRow {
		return nil, fmt.Errorf("its data is %v, not n×%d of uint8", rows.Shape, cifarRow)
	}
	values, err := labels.Numbers()
	if err != nil {
		return nil, fmt.Errorf("array labels: %w", err)
	}
	classes := make([]int, len(values))
	for i, v := range values {
		if classes[i] = int(v); float64(classes[i]) != v {
			return nil, fmt.Errorf("label %d is %v; use integers", i, v)
		}
	}
	return labelled("imagenet32", pix, classes, 1, 1000)
}

// WriteNPZ writes the images as numpy.savez does: one array arr_0, uint8 [n,h,w,c], the usual form of samples. It
// replaces path atomically.
func WriteNPZ(path string, s *Set) error {
	return WriteAtomic(path, func(w io.Writer) error {
		archive := npz.NewWriter(w, zip.Store)
		if err := archive.Write("arr_0", npz.Header{Type: "|u1", Shape: []int{s.N, s.H, s.W, s.C}}, s.Pixels()); err != nil {
			return err
		}
		return archive.Close()
	})
}
