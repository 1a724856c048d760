package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/npyhead"
)

// toNumpy is numpy's name of each element type but bfloat16, which numpy has not.
var toNumpy = map[DType]string{
	Uint8: "|u1", Int8: "|i1", Int16: "<i2", Int32: "<i4", Int64: "<i8", Float16: "<f2", Float32: "<f4", Float64: "<f8", Bool: "|b1",
}

// NPYHeader is the start of a .npy file of a tensor with that shape, byte for byte as numpy.save
// writes it; the elements follow, row by row, little-endian. It panics for bfloat16.
func NPYHeader(dtype DType, shape ...int) []byte {
	name, ok := toNumpy[dtype]
	if !ok {
		panic(&Error{Op: "npy", Shapes: brackets(shape), Msg: fmt.Sprintf("numpy has no %s: convert with To(torch.Float32)", dtype)})
	}
	lengths := strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", ", ")
	if len(shape) == 1 {
		lengths += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", name, lengths)
	if len(shape) > 0 {
		text += strings.Repeat(" ", 21-len(fmt.Sprint(shape[0]))) // so that the first length can grow in place
	}
	const magic = "\x93NUMPY\x01\x00"
	length := len(magic) + 2 + len(text) + 1
	text += strings.Repeat(" ", (64-length%64)%64) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(text)))
	return append(head, text...)
}

// WriteNPY writes t as numpy.save does. A job: it needs no scope.
func WriteNPY(w io.Writer, t Tensor) error {
	return Do(func() error {
		if _, err := w.Write(NPYHeader(t.DType(), t.Shape()...)); err != nil {
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
	names := map[string]bool{}
	archive := zip.NewWriter(w)
	for _, e := range entries {
		if names[e.Name] {
			return fmt.Errorf("npz: two arrays are called %q", e.Name)
		}
		names[e.Name] = true
		array, err := archive.CreateHeader(&zip.FileHeader{Name: e.Name + ".npy", Method: method})
		if err == nil {
			err = WriteNPY(array, e.Tensor)
		}
		if err != nil {
			return fmt.Errorf("npz: array %s: %w", e.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("npz: %w", err)
	}
	return nil
}

// ReadNPY reads what numpy.save wrote, in either byte order and C or Fortran order, to a kept tensor
// in C order, which the caller closes. Arrays of Python objects and of types without a tensor are
// refused; errors name the file.
func ReadNPY(path string) (Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Tensor{}, err
	}
	return ParseNPY(path, data)
}

// ParseNPY is ReadNPY of a file in memory; name stands for it in errors.
func ParseNPY(name string, data []byte) (Tensor, error) {
	t, err := parseNPY(data)
	if err != nil {
		return Tensor{}, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// ReadNPZ reads the arrays of what numpy.savez or savez_compressed wrote, in the file's order, to kept
// tensors, which the caller closes. Members that are no .npy, and arrays of text, are left out.
func ReadNPZ(path string) ([]Entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseNPZ(path, data)
}

// ParseNPZ is ReadNPZ of a file in memory; name stands for it in errors.
func ParseNPZ(name string, data []byte) (entries []Entry, err error) {
	defer func() {
		if err != nil {
			for _, e := range entries {
				e.Tensor.Close()
			}
			entries, err = nil, fmt.Errorf("%s: %w", name, err)
		}
	}()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("no whole .npz: %w; fetch it again", err)
	}
	names, packed := map[string]bool{}, uint64(0)
	for _, f := range archive.File {
		key, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		packed += min(f.CompressedSize64, 1<<62)
		if names[key] || packed > uint64(len(data)) { // an archive may list the same bytes again and again
			return entries, fmt.Errorf("damaged: array %.80q occurs twice, or is longer than the file; fetch it again", key)
		}
		names[key] = true
		contents, err := unzipped(data, f)
		if err != nil {
			return entries, fmt.Errorf("array %.80q: %w", key, err)
		}
		t, err := parseNPY(contents)
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

// parseNPY makes a kept tensor of a whole .npy file.
func parseNPY(file []byte) (t Tensor, err error) {
	head, data, err := npyHeader(file)
	if err != nil {
		return Tensor{}, err
	}
	dtype, bigEndian, err := fromNumpy(head.Type)
	if err != nil {
		return Tensor{}, err
	}
	want := dtype.Size()
	for _, n := range head.Shape {
		if n < 0 || n > 0 && want > (1<<48)/n || len(head.Shape) > 8 {
			return Tensor{}, fmt.Errorf("its shape is %.80s: want up to 8 lengths of a size that exists; fetch it again", fmt.Sprint(head.Shape))
		}
		want *= n
	}
	if want != len(data) {
		return Tensor{}, fmt.Errorf("its shape %v of %s needs %d bytes, %d follow the header; fetch it again", head.Shape, dtype, want, len(data))
	}
	if bigEndian {
		data = swapped(data, dtype.Size())
	}
	err = Do(func() error {
		if !head.Fortran {
			t = FromBytes(data, dtype, head.Shape...).Keep()
			return nil
		}
		shape, dims := slices.Clone(head.Shape), make([]int, len(head.Shape))
		slices.Reverse(shape)
		for i := range dims {
			dims[i] = len(dims) - 1 - i
		}
		t = FromBytes(data, dtype, shape...).Permute(dims...).CloneAs(Contiguous).Keep()
		return nil
	})
	return t, err
}

type npyDescr struct {
	Type    string
	Fortran bool
	Shape   []int
}

// npyHeader splits a file into what its header says and its elements. npyio reads the header, once its
// length is known to lie within the file. (The elements it would read one by one, and no float16.)
func npyHeader(file []byte) (d npyDescr, data []byte, err error) {
	if !bytes.HasPrefix(file, []byte("\x93NUMPY")) {
		return d, nil, fmt.Errorf("no .npy file: it starts with % x; fetch it again", file[:min(6, len(file))])
	}
	var b [12]byte
	copy(b[:], file)
	end := 10 + int(binary.LittleEndian.Uint16(b[8:]))
	if b[6] > 1 {
		end = 12 + int(binary.LittleEndian.Uint32(b[8:]))
	}
	if end > len(file) {
		return d, nil, fmt.Errorf("cut short: its header ends at %d, the file at %d; fetch it again", end, len(file))
	}
	h, err := npyhead.Read(bytes.NewReader(file[:end]))
	if err != nil {
		return d, nil, fmt.Errorf("its header makes no sense (%.80s); save it again with numpy.save", err.Error())
	}
	return npyDescr(h.Descr), file[end:], nil
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
