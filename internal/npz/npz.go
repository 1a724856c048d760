// Package npz reads and writes numpy's .npy and .npz files. A file to read may come from anywhere: no allocation exceeds
// what the file can hold, checksums are compared, and errors are one line without the file's name.
package npz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/sbinet/npyio/npy"

	"github.com/liebm/liebm/internal/inflate"
)

// A Header describes the elements of an array.
type Header struct {
	Type    string // numpy's name of the element type: "<f4", "|u1", …
	Fortran bool   // the first index varies fastest
	Shape   []int
}

// An Array is a .npy file in memory.
type Array struct {
	Header
	Data   []byte // the elements: a view of the file, or of a copy if they were compressed
	Offset int    // where they start in the file, or in the copy
}

// IsNPY reports whether b starts as numpy.save writes a file.
func IsNPY(b []byte) bool { return bytes.HasPrefix(b, []byte("\x93NUMPY")) }

// Parse reads a whole .npy file. It does not test whether all elements are there; Check does.
func Parse(file []byte) (Array, error) {
	if !IsNPY(file) {
		return Array{}, fmt.Errorf("not a .npy file: it starts with % x; fetch it again", file[:min(6, len(file))])
	}
	end := headerEnd(file)
	if end > len(file) {
		return Array{}, fmt.Errorf("cut short: its header ends at %d, the file at %d; fetch it again", end, len(file))
	}
	h, err := readHeader(file[:end])
	return Array{h, file[end:], end}, err
}

// headerEnd is the length that the header of a .npy file claims to have, with the 12 bytes that start it.
func headerEnd(start []byte) int {
	var b [12]byte
	copy(b[:], start)
	if b[6] > 1 {
		return 12 + int(binary.LittleEndian.Uint32(b[8:]))
	}
	return 10 + int(binary.LittleEndian.Uint16(b[8:]))
}

// readHeader has npyio read a whole header. (It would read elements one by one, and no float16.)
func readHeader(b []byte) (h Header, err error) {
	defer func() { // npyio panics on some headers
		if recover() != nil {
			err = errors.New("its header makes no sense; save it again with numpy.save")
		}
	}()
	r, err := npy.NewReader(bytes.NewReader(b))
	if err != nil {
		return h, fmt.Errorf("its header makes no sense (%.80s); save it again with numpy.save", err.Error())
	}
	return Header(r.Header.Descr), nil
}

// Size is the number of bytes of all elements, at size bytes each.
func (h Header) Size(size int) (int, error) {
	for _, n := range h.Shape {
		if n < 0 || n > 0 && size > (1<<48)/n || len(h.Shape) > 8 {
			return 0, fmt.Errorf("its shape is %.80s: use at most 8 dimensions, none negative, that fit into memory; fetch it again", fmt.Sprint(h.Shape))
		}
		size *= n
	}
	return size, nil
}

// Check is an error unless a has all its elements, of size bytes each, and nothing more.
func (a Array) Check(size int) error {
	want, err := a.Size(size)
	if err == nil && want != len(a.Data) {
		err = fmt.Errorf("its shape %v of %s needs %d bytes, %d follow the header; fetch it again", a.Shape, a.Type, want, len(a.Data))
	}
	return err
}

// Numbers are the elements as float64. It is an error if they are not integers or floats, or not complete.
func (a Array) Numbers() ([]float64, error) {
	read, ok := readers[a.Type]
	if !ok {
		return nil, fmt.Errorf("elements of type %.12q; convert it with astype", a.Type)
	}
	return read(a)
}

var readers = map[string]func(Array) ([]float64, error){
	"|u1": numbers[uint8], "<i2": numbers[int16], "<u2": numbers[uint16], "<i4": numbers[int32], "<u4": numbers[uint32],
	"<i8": numbers[int64], "<f4": numbers[float32], "<f8": numbers[float64],
}

func numbers[T uint8 | int16 | uint16 | int32 | uint32 | int64 | float32 | float64](a Array) ([]float64, error) {
	var one T
	if err := a.Check(binary.Size(one)); err != nil {
		return nil, err
	}
	in := make([]T, len(a.Data)/binary.Size(one))
	if _, err := binary.Decode(a.Data, binary.LittleEndian, in); err != nil {
		return nil, err
	}
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out, nil
}

// Encode returns the start of a .npy file, byte for byte as numpy.save writes it. The elements follow, row by row,
// little-endian. Fortran order is not written.
func (h Header) Encode() []byte {
	lengths := strings.ReplaceAll(strings.Trim(fmt.Sprint(h.Shape), "[]"), " ", ", ")
	if len(h.Shape) == 1 {
		lengths += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", h.Type, lengths)
	if len(h.Shape) > 0 {
		text += strings.Repeat(" ", 21-len(fmt.Sprint(h.Shape[0]))) // so that the first length can grow in place
	}
	const magic = "\x93NUMPY\x01\x00"
	length := len(magic) + 2 + len(text) + 1
	text += strings.Repeat(" ", (64-length%64)%64) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(text)))
	return append(head, text...)
}

// An Archive is an .npz in memory.
type Archive struct {
	Names []string // of its arrays, in the file's order

	file    []byte
	members map[string]*zip.File
}

// Open reads the table of contents of an .npz. Members that are no .npy are left out.
func Open(file []byte) (*Archive, error) {
	contents, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("not a readable .npz: %w; fetch it again", err)
	}
	a := &Archive{file: file, members: map[string]*zip.File{}}
	packed := uint64(0)
	for _, f := range contents.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		packed += min(f.CompressedSize64, 1<<62)
		if a.members[name] != nil || packed > uint64(len(file)) { // an archive may list the same bytes again and again
			return nil, fmt.Errorf("damaged: array %.80q occurs twice, or is longer than the file; fetch it again", name)
		}
		a.Names, a.members[name] = append(a.Names, name), f
	}
	return a, nil
}

// ErrTooLong is in the error of an array that has more bytes than it may have.
var ErrTooLong = errors.New("the most that is read are")

// Array reads a whole array. One that is stored without compression is a view of the file. Any other must not have more than limit
// bytes. A missing array is fs.ErrNotExist.
func (a *Archive) Array(name string, limit uint64) (Array, error) {
	f := a.members[name]
	if f == nil {
		return Array{}, fmt.Errorf("array %.80q: %w", name, fs.ErrNotExist)
	}
	if f.Method != zip.Store && f.UncompressedSize64 > limit {
		return Array{}, fmt.Errorf("array %.80q has %d bytes: %w %d", name, f.UncompressedSize64, ErrTooLong, limit)
	}
	contents, err := inflate.Contents(a.file, f)
	var array Array
	if err == nil {
		array, err = Parse(contents)
	}
	if err == nil && f.Method == zip.Store {
		var start int64
		start, err = f.DataOffset()
		array.Offset += int(start)
	}
	if err != nil {
		return Array{}, fmt.Errorf("array %.80q: %w", name, err)
	}
	return array, nil
}

// A Stream is an array of an .npz file whose elements are read a part at a time.
type Stream struct {
	Header
	Limit uint64 // bytes of header and elements that the file can hold, at most

	io.Reader // the elements
	archive   *zip.ReadCloser
}

// Names lists the members of the .npz at path, without their ending .npy.
func Names(path string) (names []string, err error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("not a readable .npz: %w", err)
	}
	defer archive.Close()
	for _, f := range archive.File {
		names = append(names, strings.TrimSuffix(f.Name, ".npy"))
	}
	return names, nil
}

// OpenStream reads the header of an array of the .npz at path. The caller closes the stream.
func OpenStream(path, name string) (s *Stream, err error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("not a readable .npz: %w", err)
	}
	defer func() {
		if err != nil {
			archive.Close()
		}
	}()
	at := slices.IndexFunc(archive.File, func(f *zip.File) bool { return f.Name == name+".npy" })
	if at < 0 {
		return nil, fs.ErrNotExist
	}
	f := archive.File[at]
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	start, err := inflate.UpTo(from, 12)
	if err != nil {
		return nil, err
	}
	end := headerEnd(start)
	if !IsNPY(start) || len(start) < 12 || end > math.MaxUint16+12 {
		return nil, errors.New("damaged: no .npy file, or one with a header of more than 64 KB; fetch it again")
	}
	rest, err := inflate.UpTo(from, end-len(start))
	if err != nil {
		return nil, err
	}
	h, err := readHeader(slices.Concat(start, rest))
	return &Stream{h, min(f.UncompressedSize64, uint64(inflate.Limit(f.CompressedSize64))), from, archive}, err
}

// End is an error unless all elements were read and their checksum is right.
func (s *Stream) End() error {
	switch n, err := io.ReadFull(s, make([]byte, 1)); {
	case n > 0:
		return errors.New("it goes on after the last element")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// Close closes the file.
func (s *Stream) Close() error { return s.archive.Close() }

// A Writer writes an .npz.
type Writer struct {
	archive *zip.Writer
	method  uint16
	names   map[string]bool
}

// NewWriter writes arrays as numpy.savez does, with the method [zip.Store], or as savez_compressed, with [zip.Deflate].
func NewWriter(w io.Writer, method uint16) *Writer {
	return &Writer{zip.NewWriter(w), method, map[string]bool{}}
}

// Write adds an array with a name of its own. Data are its elements, row by row, little-endian.
func (w *Writer) Write(name string, h Header, data []byte) error {
	if w.names[name] {
		return fmt.Errorf("npz: two arrays are called %q", name)
	}
	w.names[name] = true
	array, err := w.archive.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: w.method})
	if err == nil {
		_, err = array.Write(h.Encode())
	}
	if err == nil {
		_, err = array.Write(data)
	}
	if err != nil {
		return fmt.Errorf("npz: array %s: %w", name, err)
	}
	return nil
}

// Close writes the table of contents. It does not close the file.
func (w *Writer) Close() error {
	if err := w.archive.Close(); err != nil {
		return fmt.Errorf("npz: %w", err)
	}
	return nil
}
