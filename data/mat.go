package data

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
)

// SVHN is published as MATLAB 5.0 MAT-files (The MathWorks, "MAT-File Format"). After a header of 128 bytes they have data
// elements: a tag of type and size, contents, and padding to 8 bytes. An element of type miCOMPRESSED is a zlib stream of
// one other element. Two variables are read: X, uint8 [32,32,3,n] column-major, and y, [n,1].
const (
	matHead      = 128
	miINT8       = 1
	miUINT8      = 2
	miINT32      = 5
	miUINT32     = 6
	miDOUBLE     = 9
	miMATRIX     = 14
	miCOMPRESSED = 15
	matRow       = 32 * 32 * 3
	matMaxName   = 63 // MATLAB's own limit
	matMaxVars   = 64
)

var errNotMAT = errors.New("not a MATLAB 5.0 MAT-file; fetch it again, or save it in MATLAB with -v7")

func isMAT(b []byte) bool {
	return len(b) >= matHead && string(b[126:128]) == "IM" && bytes.HasPrefix(b, []byte("MATLAB 5.0 MAT-file"))
}

// parseMAT reads a file of SVHN. A compressed variable is inflated once, to the bytes that become the pixels.
func parseMAT(b []byte) (*part, error) {
	if !isMAT(b) {
		return nil, errNotMAT
	}
	var p part
	var labels []int32
	for rest, count := b[matHead:], 0; len(rest) > 0; count++ {
		if count > matMaxVars {
			return nil, errors.New("more variables than SVHN has; fetch it again")
		}
		kind, contents, after, err := matElement(rest)
		if err == nil && kind == miCOMPRESSED {
			kind, contents, err = matInflate(contents, inflate.Limit(uint64(len(b))))
		} else if err == nil {
			contents = bytes.Clone(contents) // a view of the file, which is not to be changed
		}
		if err == nil && kind != miMATRIX {
			err = fmt.Errorf("an element of type %d, where a variable should be; fetch it again", kind)
		}
		if err == nil {
			err = matVariable(contents, &p, &labels)
		}
		if err != nil {
			return nil, err
		}
		rest = after
	}
	return svhn(&p, labels)
}

var errMATShort = errors.New("cut short: an element of the MAT-file ends too early; fetch it again")

// matElement splits b into its first element and the rest. A small element has its contents, up to 4 bytes, in the tag.
// All elements but compressed ones are padded to 8 bytes.
func matElement(b []byte) (kind int, contents, rest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, nil, errMATShort
	}
	first := binary.LittleEndian.Uint32(b)
	if n := first >> 16; n > 4 {
		return 0, nil, nil, fmt.Errorf("a small element of %d bytes; fetch it again", n)
	} else if n > 0 {
		return int(first & 0xffff), b[4 : 4+n], b[8:], nil
	}
	size := int(binary.LittleEndian.Uint32(b[4:]))
	if size > len(b)-8 {
		return 0, nil, nil, fmt.Errorf("cut short: an element of %d bytes where %d are left; fetch it again", size, len(b)-8)
	}
	end := 8 + size
	if first != miCOMPRESSED {
		end = min(end+-size&7, len(b))
	}
	return int(first), b[8 : 8+size], b[end:], nil
}

// matInflate inflates an element, of at most limit bytes, to its zlib checksum.
func matInflate(packed []byte, limit int64) (kind int, contents []byte, err error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, nil, matError(err)
	}
	tag, err := inflate.UpTo(z, 8)
	if err != nil || len(tag) < 8 {
		return 0, nil, matError(cmp.Or(err, io.ErrUnexpectedEOF))
	}
	size := int64(binary.LittleEndian.Uint32(tag[4:]))
	if size > limit {
		return 0, nil, fmt.Errorf("an element of %d bytes, more than the file can hold; fetch it again", size)
	}
	contents, err = inflate.UpTo(z, int(size))
	if err == nil && int64(len(contents)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(z, trailer))
	}
	return int(binary.LittleEndian.Uint32(tag)), contents, matError(err)
}

func matError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errMATShort
	}
	return err
}

// matVariable reads the elements of a matrix: flags, dimensions, name, contents. It ignores variables other than X and y.
func matVariable(b []byte, p *part, labels *[]int32) (err error) {
	var kind int
	var elements [4][]byte
	for i := range elements {
		if i == 3 && !slices.Contains([]string{"X", "y"}, matName(elements[2])) {
			return nil
		}
		if kind, elements[i], b, err = matElement(b); err != nil {
			return err
		}
	}
	flags, name, contents := elements[0], matName(elements[2]), elements[3]
	if len(flags) != 8 || flags[1]&0x08 != 0 {
		return errors.New("a variable that is complex or has no flags; fetch it again")
	}
	dims := make([]int64, min(len(elements[1])/4, 8))
	for i := range dims {
		dims[i] = int64(int32(binary.LittleEndian.Uint32(elements[1][4*i:])))
	}
	if name == "X" {
		return matImages(kind, contents, dims, p)
	}
	*labels, err = matLabels(kind, contents, dims)
	return err
}

func matName(b []byte) string { return strings.TrimRight(string(b[:min(len(b), matMaxName)]), "\x00") }

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

// matImages reads X. In column-major order an image is 3,072 bytes in a row: three planes, each column by column.
func matImages(kind int, pixels []byte, dims []int64, p *part) error {
	if len(dims) == 3 { // MATLAB drops a last dimension of 1
		dims = append(dims, 1)
	}
	if len(dims) != 4 || dims[0] != 32 || dims[1] != 32 || dims[2] != 3 || dims[3] < 1 {
		return fmt.Errorf("its X is %v, not [32 32 3 n]", dims)
	}
	if kind != miUINT8 || int64(len(pixels)) != dims[3]*matRow {
		return fmt.Errorf("its X has %d bytes of type %d for %d images, not %d of uint8 (type 2); fetch it again", len(pixels), kind, dims[3], dims[3]*matRow)
	}
	var columns [matRow]byte
	for image := range slices.Chunk(pixels, matRow) {
		copy(columns[:], image)
		for y := range 32 {
			for x := range 32 {
				for c := range 3 {
					image[(y*32+x)*3+c] = columns[c*1024+x*32+y]
				}
			}
		}
	}
	p.Shape, p.pixels = Shape{int(dims[3]), 32, 32, 3}, pixels
	return nil
}

// matLabels reads y. It is uint8 in the published files, and may be double or int32 if scipy or MATLAB saved it again.
func matLabels(kind int, b []byte, dims []int64) ([]int32, error) {
	if len(dims) != 2 || min(dims[0], dims[1]) != 1 {
		return nil, fmt.Errorf("y is %v, not [n 1]", dims)
	}
	width := map[int]int{miINT8: 1, miUINT8: 1, miINT32: 4, miUINT32: 4, miDOUBLE: 8}[kind]
	if width == 0 || int64(len(b)) != dims[0]*dims[1]*int64(width) {
		return nil, fmt.Errorf("y has %d bytes of type %d for %v labels, not integers; fetch it again", len(b), kind, dims)
	}
	out := make([]int32, 0, len(b)/width)
	for v := range slices.Chunk(b, width) {
		switch width {
		case 1:
			out = append(out, int32(v[0]))
		case 4:
			out = append(out, int32(binary.LittleEndian.Uint32(v)))
		default:
			out = append(out, doubleLabel(binary.LittleEndian.Uint64(v)))
		}
	}
	return out, nil
}

// doubleLabel is a label of MATLAB's default type, or -1 if it is not a whole number.
func doubleLabel(bits uint64) int32 {
	v := math.Float64frombits(bits)
	if v != math.Trunc(v) || v < 0 || v > 255 {
		return -1
	}
	return int32(v)
}
