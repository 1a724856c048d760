package data

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/npz"
)

// parseNPY reads b, a whole .npy file of a type that images and labels have.
func parseNPY(b []byte) (npz.Array, error) {
	a, err := npz.Parse(b)
	if err == nil {
		err = checkArray(a)
	}
	return a, err
}

func checkArray(a npz.Array) error {
	size, ok := itemSizes[a.Type]
	if !ok {
		return fmt.Errorf("elements of type %.12q: images are uint8 and labels integers; convert it with astype", a.Type)
	}
	return a.Check(size)
}

var itemSizes = map[string]int{"|u1": 1, "<i8": 8, "<i4": 4, "<i2": 2, "<u2": 2, "<u4": 4, "<f4": 4, "<f8": 8}

// pixelsOf are the elements of an array of uint8 in C order.
func pixelsOf(a npz.Array) ([]byte, error) {
	if a.Type != "|u1" {
		return nil, fmt.Errorf("elements of type %q: images are uint8; convert it with astype", a.Type)
	}
	if a.Fortran {
		return nil, errors.New("an array in Fortran order; save it again with numpy.ascontiguousarray")
	}
	return a.Data, nil
}

// ints are the elements of an array of integers.
func ints(a npz.Array) ([]int, error) {
	size := itemSizes[a.Type]
	out := make([]int, len(a.Data)/size)
	for i := range out {
		b := a.Data[i*size:]
		switch a.Type {
		case "|u1":
			out[i] = int(b[0])
		case "<i2":
			out[i] = int(int16(binary.LittleEndian.Uint16(b)))
		case "<u2":
			out[i] = int(binary.LittleEndian.Uint16(b))
		case "<i4":
			out[i] = int(int32(binary.LittleEndian.Uint32(b)))
		case "<u4":
			out[i] = int(binary.LittleEndian.Uint32(b))
		case "<i8":
			out[i] = int(binary.LittleEndian.Uint64(b))
		default:
			return nil, fmt.Errorf("labels of type %q; use integers", a.Type)
		}
	}
	return out, nil
}

// parseImages reads a .npy of images: [n,h,w,3], [n,h,w,1], [n,3,h,w] or [n,h,w] of uint8.
func parseImages(b []byte) (*part, error) {
	a, err := parseNPY(b)
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
	p := &part{kind: arrays, pixels: pix, at: a.Offset}
	switch s := a.Shape; {
	case len(s) == 3 && sides(s[1], s[2]):
		p.Shape = Shape{s[0], s[1], s[2], 1}
	case len(s) == 4 && (s[3] == 3 || s[3] == 1) && sides(s[1], s[2]):
		p.Shape = Shape{s[0], s[1], s[2], s[3]}
	case len(s) == 4 && s[1] == 3 && sides(s[2], s[3]):
		p.Shape = Shape{s[0], s[2], s[3], 3}
		p.pixels = make([]byte, 0, len(pix))
		for i := range s[0] {
			p.pixels = append(p.pixels, planar(pix[i*p.ImageBytes():(i+1)*p.ImageBytes()], 3, s[2]*s[3])...)
		}
	default:
		return nil, fmt.Errorf("an array of %.60s is no set of images: use [n,h,w,3], [n,3,h,w] or [n,h,w]", fmt.Sprint(s))
	}
	if p.N < 1 {
		return nil, errors.New("an array without images; fetch it again")
	}
	return p, nil
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
		return nil, errors.New("a zip within a zip; unpack it")
	}
	names := slices.DeleteFunc(archive.Names, func(name string) bool { return name == "mean" })
	read := func(name string) (npz.Array, error) {
		a, err := archive.Array(name, maxHeld)
		if err == nil {
			if err = checkArray(a); err != nil {
				err = fmt.Errorf("array %s: %w", name, err)
			}
		}
		return a, err
	}
	single := ""
	switch {
	case slices.Contains(names, "data"):
	case slices.Contains(names, "arr_0"): // ADM's have labels beside them, which are those of its model
		single = "arr_0"
	case len(names) == 1:
		single = names[0]
	}
	if single != "" {
		a, err := read(single)
		if err != nil {
			return nil, err
		}
		return arrayImages(a)
	}
	if !slices.Contains(names, "data") || !slices.Contains(names, "labels") {
		return nil, fmt.Errorf("holds the arrays %.80s: use data and labels, or one array of images", strings.Join(names, ", "))
	}
	rows, err := read("data")
	if err != nil {
		return nil, err
	}
	labels, err := read("labels")
	if err != nil {
		return nil, err
	}
	pix, err := pixelsOf(rows)
	if err != nil {
		return nil, err
	}
	if len(rows.Shape) != 2 || rows.Shape[1] != cifarRow {
		return nil, fmt.Errorf("its data is %v, not n×%d of uint8", rows.Shape, cifarRow)
	}
	values, err := ints(labels)
	if err != nil {
		return nil, err
	}
	p, err := imageNetRows(rows.Shape[0], values)
	if err != nil {
		return nil, err
	}
	interleaveRows(p.pixels, pix, false)
	return p, nil
}

// imageNetRows is a part of n images of 32×32 with ImageNet's labels, which start from 1 in the files and from 0 here.
func imageNetRows(n int, labels []int) (*part, error) {
	if n < 1 || len(labels) != n {
		return nil, fmt.Errorf("%d labels for %d images, not one each; fetch it again", len(labels), n)
	}
	p := newCIFAR("imagenet32", n)
	for i, l := range labels {
		if l < 1 || l > 1000 {
			return nil, fmt.Errorf("label %d is %d: ImageNet 32 has 1…1000", i, l)
		}
		p.labels[i] = int32(l - 1)
	}
	return p, nil
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
