package data

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
)

// SVHN is published as MATLAB 5.0 MAT-files (The MathWorks, "MAT-File Format"). After a header of 128 bytes they have data
// elements: a tag of type and size, contents, and padding to 8 bytes. An element of type miCOMPRESSED is a zlib stream of
// one other element. Two variables are read: X, uint8 [32,32,3,n] column-major, and y, [n,1].
const (
	matHead       = 128
	miINT8        = 1
	miUINT8       = 2
	miINT32       = 5
	miUINT32      = 6
	miDOUBLE      = 9
	miMATRIX      = 14
	miCOMPRESSED  = 15
	matRow        = 32 * 32 * 3
	matMaxName    = 63 // MATLAB's own limit
	matMaxVars    = 64
	matFewerBytes = 1 << 24 // of labels: extra has half a million, at most 8 bytes each
)

var errNotMAT = errors.New("not a MATLAB 5.0 MAT-file; fetch it again, or save it in MATLAB with -v7")

func isMAT(b []byte) bool {
	return len(b) >= matHead && string(b[126:128]) == "IM" && bytes.HasPrefix(b, []byte("MATLAB 5.0 MAT-file"))
}

// matReader reads elements from one level of the file.
type matReader struct {
	from  io.Reader
	left  int64 // bytes left of this level, according to its tag
	limit int64 // bytes that the whole file can hold, at most
}

// parseMAT reads a file of SVHN. It inflates while it reads, so it holds the pixels once.
func parseMAT(b []byte) (*part, error) {
	if !isMAT(b) {
		return nil, errNotMAT
	}
	var p part
	var labels []int32
	limit := inflate.Limit(uint64(len(b)))
	for rest, count := b[matHead:], 0; len(rest) > 0; count++ {
		if count > matMaxVars {
			return nil, errors.New("more variables than SVHN has; fetch it again")
		}
		r := &matReader{bytes.NewReader(rest), int64(len(rest)), limit}
		kind, size, small, err := r.tag()
		if err == nil && small != nil {
			err = fmt.Errorf("an element of type %d, where a variable should be; fetch it again", kind)
		}
		if err == nil {
			err = topLevel(kind, rest[8:8+size], limit, &p, &labels)
		}
		if err != nil {
			return nil, matError(err)
		}
		rest = rest[8+size:]
	}
	return svhn(&p, labels)
}

// topLevel reads an element: a variable, or a compressed one.
func topLevel(kind int, b []byte, limit int64, p *part, labels *[]int32) error {
	v := &matReader{bytes.NewReader(b), int64(len(b)), limit}
	if kind == miCOMPRESSED {
		z, err := zlib.NewReader(v.from)
		if err != nil {
			return err
		}
		v = &matReader{z, limit, limit}
		if kind, v.left, _, err = v.tag(); err != nil {
			return err
		}
	}
	if kind != miMATRIX {
		return fmt.Errorf("an element of type %d, where a variable should be; fetch it again", kind)
	}
	if err := v.variable(p, labels); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(v.from, trailer)) // to zlib's checksum
	return err
}

func matError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut short: an element of the MAT-file ends too early; fetch it again")
	}
	return err
}

func svhn(p *part, labels []int32) (*part, error) {
	if p.N == 0 {
		return nil, errors.New("no variable X of uint8 [32,32,3,n] in it: not a file of SVHN's cropped digits")
	}
	if len(labels) != p.N {
		return nil, fmt.Errorf("%d labels in y for the %d images of X; fetch it again", len(labels), p.N)
	}
	for i, l := range labels {
		if l < 1 || l > 10 {
			return nil, fmt.Errorf("label %d is %d: SVHN has 1…10, where 10 is the digit 0", i, l)
		}
		labels[i] = l % 10
	}
	p.kind, p.name, p.labels = arrays, "svhn", labels
	return p, nil
}

// tag reads the type and size of an element. A small element has its contents, up to 4 bytes, in the tag.
func (r *matReader) tag() (kind int, size int64, small []byte, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r.from, b[:]); err != nil {
		return 0, 0, nil, io.ErrUnexpectedEOF
	}
	r.left -= 8
	first := binary.LittleEndian.Uint32(b[:])
	if n := first >> 16; n != 0 {
		if n > 4 {
			return 0, 0, nil, fmt.Errorf("a small element of %d bytes; fetch it again", n)
		}
		return int(first & 0xffff), int64(n), b[4 : 4+n], nil
	}
	size = int64(binary.LittleEndian.Uint32(b[4:]))
	if size > r.left {
		return 0, 0, nil, fmt.Errorf("cut short: an element of %d bytes where %d are left; fetch it again", size, max(r.left, 0))
	}
	return int(first), size, nil, nil
}

// bytes reads a whole element of at most limit bytes.
func (r *matReader) bytes(limit int64) (kind int, contents []byte, err error) {
	kind, size, small, err := r.tag()
	if err != nil || small != nil {
		return kind, small, err
	}
	if size > limit {
		return 0, nil, fmt.Errorf("an element of %d bytes, where at most %d are possible; fetch it again", size, limit)
	}
	contents, err = inflate.UpTo(r.from, int(size))
	if err == nil && int64(len(contents)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, r.from, -size&7)
	}
	r.left -= size + -size&7
	return kind, contents, err
}

// variable reads the subelements of a matrix: flags, dimensions, name, contents.
func (r *matReader) variable(p *part, labels *[]int32) error {
	_, flags, err := r.bytes(8)
	if err != nil {
		return err
	}
	_, raw, err := r.bytes(4 * 8)
	if err != nil {
		return err
	}
	_, name, err := r.bytes(matMaxName)
	if err != nil {
		return err
	}
	if len(flags) != 8 || flags[1]&0x08 != 0 {
		return errors.New("a variable that is complex or has no flags; fetch it again")
	}
	dims := make([]int64, len(raw)/4)
	for i := range dims {
		dims[i] = int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	switch strings.TrimRight(string(name), "\x00") {
	case "X":
		return r.images(dims, p)
	case "y":
		return r.labels(dims, labels)
	}
	_, err = io.CopyN(io.Discard, r.from, max(r.left, 0))
	return err
}

// images reads X. In column-major order an image is 3,072 bytes in a row: three planes, each column by column.
func (r *matReader) images(dims []int64, p *part) error {
	if len(dims) == 3 { // MATLAB drops a last dimension of 1
		dims = append(dims, 1)
	}
	if len(dims) != 4 || dims[0] != 32 || dims[1] != 32 || dims[2] != 3 || dims[3] < 1 {
		return fmt.Errorf("its X is %v, not [32 32 3 n]", dims)
	}
	kind, size, small, err := r.tag()
	if err != nil {
		return err
	}
	if kind != miUINT8 || small != nil || size != dims[3]*matRow {
		return fmt.Errorf("its X has %d bytes of type %d for %d images, not %d of uint8 (type 2); fetch it again", size, kind, dims[3], dims[3]*matRow)
	}
	if size > r.limit {
		return fmt.Errorf("its X has %d bytes, more than the file can hold; fetch it again", size)
	}
	pixels, err := inflate.UpTo(r.from, int(size))
	if err != nil {
		return err
	}
	if int64(len(pixels)) < size {
		return io.ErrUnexpectedEOF
	}
	var columns [matRow]byte
	for at := 0; at < len(pixels); at += matRow {
		copy(columns[:], pixels[at:])
		for y := range 32 {
			for x := range 32 {
				for c := range 3 {
					pixels[at+(y*32+x)*3+c] = columns[c*1024+x*32+y]
				}
			}
		}
	}
	p.Shape, p.pixels = Shape{int(dims[3]), 32, 32, 3}, pixels
	return nil
}

// labels reads y. It is uint8 in the published files, and may be double or int32 if scipy or MATLAB saved it again.
func (r *matReader) labels(dims []int64, labels *[]int32) error {
	if len(dims) != 2 || min(dims[0], dims[1]) != 1 {
		return fmt.Errorf("y is %v, not [n 1]", dims)
	}
	kind, b, err := r.bytes(matFewerBytes)
	if err != nil {
		return err
	}
	width := map[int]int{miINT8: 1, miUINT8: 1, miINT32: 4, miUINT32: 4, miDOUBLE: 8}[kind]
	if width == 0 || int64(len(b)) != dims[0]*dims[1]*int64(width) {
		return fmt.Errorf("y has %d bytes of type %d for %v labels, not integers; fetch it again", len(b), kind, dims)
	}
	out := make([]int32, 0, len(b)/width)
	for at := 0; at < len(b); at += width {
		switch width {
		case 1:
			out = append(out, int32(b[at]))
		case 4:
			out = append(out, int32(binary.LittleEndian.Uint32(b[at:])))
		default:
			out = append(out, doubleLabel(binary.LittleEndian.Uint64(b[at:])))
		}
	}
	*labels = out
	return nil
}

// doubleLabel is a label of MATLAB's default type, or -1 if it is not a whole number.
func doubleLabel(bits uint64) int32 {
	v := math.Float64frombits(bits)
	if v != math.Trunc(v) || v < 0 || v > 255 {
		return -1
	}
	return int32(v)
}
