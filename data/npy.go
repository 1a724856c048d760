package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
	"github.com/liebm/liebm/internal/npyhead"
)

// An array is a .npy file: header and contents, a view of the file.
type array struct {
	shape   []int
	dtype   string // "u1", "<i8", …
	fortran bool
	data    []byte
	at      int // where data start in the file
}

// isNPY reports whether b starts as numpy's save writes it.
func isNPY(b []byte) bool { return bytes.HasPrefix(b, []byte("\x93NUMPY")) }

// parseNPY reads b, a whole .npy file of version 1.0: numpy writes others only for headers beyond 64 KiB.
func parseNPY(b []byte) (array, error) {
	if !isNPY(b) {
		return array{}, errors.New("does not start as a .npy file; fetch it again")
	}
	if len(b) < 10 || b[6] != 1 {
		return array{}, errors.New(".npy of another version than 1.0, or cut short; save it again with numpy.save")
	}
	head := 10 + int(binary.LittleEndian.Uint16(b[8:]))
	if head > len(b) {
		return array{}, fmt.Errorf(".npy cut short: %d bytes, its header has %d; fetch it again", len(b), head)
	}
	header, err := npyhead.Read(bytes.NewReader(b[:head]))
	if err != nil {
		return array{}, fmt.Errorf("its .npy header makes no sense (%.80s); fetch it again", err.Error())
	}
	a := array{shape: header.Descr.Shape, dtype: strings.TrimPrefix(header.Descr.Type, "|"), fortran: header.Descr.Fortran, data: b[head:], at: head}
	want, ok := itemSizes[a.dtype]
	if !ok {
		return array{}, fmt.Errorf(".npy of type %.12q: uint8 images and integer labels are read; convert it with astype", a.dtype)
	}
	for _, n := range a.shape {
		if n < 0 || n > 0 && want > (1<<48)/n {
			return array{}, fmt.Errorf(".npy of shape %.60s: impossible; fetch it again", fmt.Sprint(a.shape))
		}
		want *= n
	}
	if want != len(a.data) {
		return array{}, fmt.Errorf(".npy of shape %.60s needs %d bytes, it has %d; fetch it again", fmt.Sprint(a.shape), want, len(a.data))
	}
	return a, nil
}

var itemSizes = map[string]int{"u1": 1, "<i8": 8, "<i4": 4, "<i2": 2, "<u2": 2, "<u4": 4, "<f4": 4, "<f8": 8}

// bytes are the contents of an array of uint8 in C order.
func (a array) bytes() ([]byte, error) {
	if a.dtype != "u1" {
		return nil, fmt.Errorf(".npy of type %q: images are uint8; convert it with astype", a.dtype)
	}
	if a.fortran {
		return nil, errors.New(".npy in Fortran order: save it again with numpy.ascontiguousarray")
	}
	return a.data, nil
}

// ints are the contents of an array of integers.
func (a array) ints() ([]int, error) {
	size := itemSizes[a.dtype]
	out := make([]int, len(a.data)/size)
	for i := range out {
		b := a.data[i*size:]
		switch a.dtype {
		case "u1":
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
			return nil, fmt.Errorf("labels of type %q: want integers", a.dtype)
		}
	}
	return out, nil
}

// parseImages reads a .npy of many images: [n,h,w,3], [n,h,w,1], [n,3,h,w] or [n,h,w] of uint8.
func parseImages(b []byte) (*part, error) {
	a, err := parseNPY(b)
	if err != nil {
		return nil, err
	}
	return a.images()
}

func (a array) images() (*part, error) {
	pix, err := a.bytes()
	if err != nil {
		return nil, err
	}
	p := &part{kind: arrays, pixels: pix, at: a.at}
	switch s := a.shape; {
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
		return nil, fmt.Errorf(".npy of shape %.60s: want images as [n,h,w,3], [n,3,h,w] or [n,h,w]", fmt.Sprint(s))
	}
	if p.N < 1 {
		return nil, errors.New(".npy without images; fetch it again")
	}
	return p, nil
}

// isNPZ tells numpy's zip from one of images: its members are arrays with plain names.
func isNPZ(z *zip.Reader) bool {
	return len(z.File) > 0 && len(z.File) <= maxArrays && !slices.ContainsFunc(z.File, func(f *zip.File) bool {
		return strings.Contains(f.Name, "/") || !strings.HasSuffix(f.Name, ".npy")
	})
}

// maxArrays bounds the arrays of a .npz: ImageNet 32 has three.
const maxArrays = 16

// parseNPZ reads numpy's savez: ImageNet 32's data, labels and mean, or one array of images.
func parseNPZ(b []byte) (*part, error) {
	archive, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("cut short or damaged: %w; fetch it again", err)
	}
	if !isNPZ(archive) {
		return nil, errors.New("a zip within a zip; unpack it")
	}
	read := map[string]array{}
	var names []string
	for _, f := range archive.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		if name == "mean" {
			continue
		}
		if f.UncompressedSize64 > maxHeld {
			return nil, fmt.Errorf("its %s: %w", f.Name, errTooBig)
		}
		b, err := inflate.Member(f)
		if err != nil {
			return nil, fmt.Errorf("its %s: cut short or damaged: %w; fetch it again", f.Name, err)
		}
		if read[name], err = parseNPY(b); err != nil {
			return nil, fmt.Errorf("its %s: %w", f.Name, err)
		}
		names = append(names, name)
	}
	rows, ok := read["data"]
	if samples, found := read["arr_0"]; found && !ok {
		return samples.images() // ADM's have labels beside them, which are those of its model
	}
	if !ok && len(names) == 1 {
		return read[names[0]].images()
	}
	labels, labelled := read["labels"]
	if !ok || !labelled {
		return nil, fmt.Errorf("holds the arrays %.80s: want data and labels, or one array of images", strings.Join(names, ", "))
	}
	pix, err := rows.bytes()
	if err != nil {
		return nil, err
	}
	if len(rows.shape) != 2 || rows.shape[1] != cifarRow {
		return nil, fmt.Errorf("its data is %v: want n×%d of uint8", rows.shape, cifarRow)
	}
	values, err := labels.ints()
	if err != nil {
		return nil, err
	}
	p, err := imageNetRows(rows.shape[0], values)
	if err != nil {
		return nil, err
	}
	interleaveRows(p.pixels, pix, false)
	return p, nil
}

// imageNetRows is a part of n images 32×32 for ImageNet's labels, which start from 1 there and from 0 here.
func imageNetRows(n int, labels []int) (*part, error) {
	if n < 1 || len(labels) != n {
		return nil, fmt.Errorf("%d labels for %d images: want one each; fetch it again", len(labels), n)
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
