package torch

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/npz"
)

// toNumpy is numpy's name of each element type. numpy has no bfloat16.
var toNumpy = map[DType]string{
	Uint8: "|u1", Int8: "|i1", Int16: "<i2", Int32: "<i4", Int64: "<i8", Float16: "<f2", Float32: "<f4", Float64: "<f8", Bool: "|b1",
}

// npyHeader is numpy's header of t. It panics for bfloat16, which numpy does not have.
func npyHeader(t Tensor) npz.Header {
	name, ok := toNumpy[t.DType()]
	if !ok {
		panic(&Error{Op: "npy", Shapes: brackets(t.Shape()), Msg: fmt.Sprintf("numpy has no %s: convert with To(torch.Float32)", t.DType())})
	}
	return npz.Header{Type: name, Shape: t.Shape()}
}

// WriteNPY writes t as numpy.save does. It needs no open scope.
func WriteNPY(w io.Writer, t Tensor) error {
	return Do(func() error {
		if _, err := w.Write(npyHeader(t).Encode()); err != nil {
			return fmt.Errorf("npy: %w", err)
		}
		if _, err := w.Write(t.Bytes()); err != nil {
			return fmt.Errorf("npy: %w", err)
		}
		return nil
	})
}

// WriteNPZ writes the entries as numpy.savez does.
func WriteNPZ(w io.Writer, entries []Entry) error { return writeNPZ(w, entries, zip.Store) }

// WriteNPZCompressed writes the entries as numpy.savez_compressed does.
func WriteNPZCompressed(w io.Writer, entries []Entry) error { return writeNPZ(w, entries, zip.Deflate) }

func writeNPZ(w io.Writer, entries []Entry, method uint16) error {
	archive := npz.NewWriter(w, method)
	for _, e := range entries {
		var header npz.Header
		var data []byte
		if err := Do(func() error { header, data = npyHeader(e.Tensor), e.Tensor.Bytes(); return nil }); err != nil {
			return fmt.Errorf("npz: array %s: %w", e.Name, err)
		}
		if err := archive.Write(e.Name, header, data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// ReadNPY reads a file that numpy.save wrote, in either byte order and in C or Fortran order. It returns a kept
// tensor in C order, which the caller closes. An array of Python objects, or of a type without a tensor, is an
// error. Errors name the file.
func ReadNPY(path string) (Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Tensor{}, err
	}
	return ParseNPY(path, data)
}

// ParseNPY is ReadNPY of a file in memory. Errors call it name.
func ParseNPY(name string, data []byte) (Tensor, error) {
	a, err := npz.Parse(data)
	var t Tensor
	if err == nil {
		t, err = kept(a)
	}
	if err != nil {
		return Tensor{}, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// ReadNPZ reads a file that numpy.savez or savez_compressed wrote. It returns the arrays in the file's order as
// kept tensors, which the caller closes. Members that are no .npy, and arrays of text, are left out.
func ReadNPZ(path string) ([]Entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseNPZ(path, data)
}

// ParseNPZ is ReadNPZ of a file in memory. Errors call it name.
func ParseNPZ(name string, data []byte) (entries []Entry, err error) {
	defer func() {
		if err != nil {
			for _, e := range entries {
				e.Tensor.Close()
			}
			entries, err = nil, fmt.Errorf("%s: %w", name, err)
		}
	}()
	archive, err := npz.Open(data)
	if err != nil {
		return nil, err
	}
	for _, key := range archive.Names {
		a, err := archive.Array(key, math.MaxInt64)
		if err != nil {
			return entries, err
		}
		t, err := kept(a)
		if err == errText {
			continue
		}
		if err != nil {
			return entries, fmt.Errorf("array %.80q: %w", key, err)
		}
		entries = append(entries, Entry{key, t})
	}
	return entries, nil
}

// kept makes a kept tensor of an array.
func kept(a npz.Array) (t Tensor, err error) {
	dtype, bigEndian, err := fromNumpy(a.Type)
	if err == nil {
		err = a.Check(dtype.Size())
	}
	if err != nil {
		return Tensor{}, err
	}
	data := a.Data
	if bigEndian {
		data = swapped(data, dtype.Size())
	}
	err = Do(func() error {
		if !a.Fortran {
			t = FromBytes(data, dtype, a.Shape...).Keep()
			return nil
		}
		shape, dims := slices.Clone(a.Shape), make([]int, len(a.Shape))
		slices.Reverse(shape)
		for i := range dims {
			dims[i] = len(dims) - 1 - i
		}
		t = FromBytes(data, dtype, shape...).Permute(dims...).CloneAs(Contiguous).Keep()
		return nil
	})
	return t, err
}

var errText = errors.New("an array of text, for which there is no tensor")

// fromNumpy is the element type of a numpy name, "<f4".
func fromNumpy(name string) (dtype DType, bigEndian bool, err error) {
	if strings.Contains(name, "O") {
		return 0, false, errors.New("an array of Python objects, which only a Python program can read: save it as numbers")
	}
	if len(name) > 1 && (name[1] == 'U' || name[1] == 'S') {
		return 0, false, errText
	}
	for dtype, known := range toNumpy {
		if name != "" && name[1:] == known[1:] && strings.Contains("<>|", name[:1]) {
			return dtype, name[0] == '>', nil
		}
	}
	return 0, false, fmt.Errorf("its elements are %.40q, for which there is no tensor: convert them with astype and save again", name)
}

// swapped is data with the bytes of each element in reverse.
func swapped(data []byte, size int) []byte {
	out := slices.Clone(data)
	for i := 0; i+size <= len(out); i += size {
		slices.Reverse(out[i : i+size])
	}
	return out
}
