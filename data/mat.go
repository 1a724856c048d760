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
	"github.com/liebm/liebm/internal/npz"
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

// A matVariable is a named array, column-major.
type matVariable struct {
	kind     int // of the elements
	dims     []int
	contents []byte
}

// parseMAT reads a file of SVHN. A compressed variable is inflated once, to the bytes that become the pixels.
func parseMAT(b []byte) (*part, error) {
	if !isMAT(b) {
		return nil, errNotMAT
	}
	variables := map[string]matVariable{}
	held := 0
	for rest, count := b[matHead:], 0; len(rest) > 0; count++ {
		if count > matMaxVars {
			return nil, errors.New("more variables than SVHN has; fetch it again")
		}
		kind, contents, after, err := matElement(rest)
		if err == nil && kind == miCOMPRESSED {
			kind, contents, err = matInflate(contents, min(inflate.Limit(uint64(len(b))), int64(maxHeld()-held)))
			held += len(contents)
		} else if err == nil {
			contents = bytes.Clone(contents) // a view of the file, which is not to be changed
		}
		if err == nil && kind != miMATRIX {
			err = fmt.Errorf("an element of type %d, where a variable should be; fetch it again", kind)
		}
		if err == nil {
			err = matMatrix(contents, variables)
		}
		if err != nil {
			return nil, err
		}
		rest = after
	}
	p, err := matImages(variables["X"])
	if err != nil {
		return nil, err
	}
	p.Labels, err = matLabels(variables["y"], p.N)
	return p, err
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
	if size > int64(maxHeld()) {
		return 0, nil, fmt.Errorf("an element of %d bytes: %w", size, tooBig())
	}
	if size > limit {
		return 0, nil, fmt.Errorf("an element of %d bytes, where %d are the most that is read; fetch it again", size, limit)
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

// matMatrix reads the elements of a matrix, flags, dimensions, name and contents, if it is called X or y.
func matMatrix(b []byte, variables map[string]matVariable) (err error) {
	var v matVariable
	var elements [3][]byte
	for i := range elements {
		if _, elements[i], b, err = matElement(b); err != nil {
			return err
		}
	}
	flags, name := elements[0], strings.TrimRight(string(elements[2][:min(len(elements[2]), matMaxName)]), "\x00")
	if name != "X" && name != "y" {
		return nil
	}
	if v.kind, v.contents, _, err = matElement(b); err != nil {
		return err
	}
	if len(flags) != 8 || flags[1]&0x08 != 0 {
		return errors.New("a variable that is complex or has no flags; fetch it again")
	}
	for n := range slices.Chunk(elements[1][:min(len(elements[1])/4, 8)*4], 4) {
		v.dims = append(v.dims, int(int32(binary.LittleEndian.Uint32(n))))
	}
	variables[name] = v
	return nil
}

// matImages reads X. In column-major order an image is 3,072 bytes in a row: three planes, each column by column.
func matImages(x matVariable) (*part, error) {
	if len(x.dims) == 3 { // MATLAB drops a last dimension of 1
		x.dims = append(x.dims, 1)
	}
	if len(x.dims) != 4 || x.dims[0] != 32 || x.dims[1] != 32 || x.dims[2] != 3 || x.dims[3] < 1 {
		return nil, fmt.Errorf("no variable X of uint8 [32 32 3 n] in it, but %v: not a file of SVHN's cropped digits", x.dims)
	}
	n := x.dims[3]
	if x.kind != miUINT8 || len(x.contents) != n*matRow {
		return nil, fmt.Errorf("its X has %d bytes of type %d for %d images, not %d of uint8 (type 2); fetch it again", len(x.contents), x.kind, n, n*matRow)
	}
	var columns [matRow]byte
	for image := range slices.Chunk(x.contents, matRow) {
		copy(columns[:], image)
		for y := range 32 {
			for x := range 32 {
				for c := range 3 {
					image[(y*32+x)*3+c] = columns[c*1024+x*32+y]
				}
			}
		}
	}
	set := newSet(Shape{n, 32, 32, 3}, x.contents, nil)
	set.Name = "svhn"
	return &part{Set: set, kind: arrays}, nil
}

// matTypes are numpy's names of the types of y: uint8 in the published files, others if scipy or MATLAB saved it again.
var matTypes = map[int]string{miINT8: "|u1", miUINT8: "|u1", miINT32: "<i4", miUINT32: "<u4", miDOUBLE: "<f8"}

// matLabels reads y. The labels are 1…10, where 10 is the digit 0.
func matLabels(y matVariable, n int) ([]int32, error) {
	values, err := npz.Array{Header: npz.Header{Type: matTypes[y.kind], Shape: y.dims}, Data: y.contents}.Numbers()
	if err != nil {
		return nil, fmt.Errorf("its y: %w", err)
	}
	if len(values) != n {
		return nil, fmt.Errorf("%d labels in y for the %d images of X; fetch it again", len(values), n)
	}
	labels := make([]int32, n)
	for i, v := range values {
		if v != math.Trunc(v) || v < 1 || v > 10 {
			return nil, fmt.Errorf("label %d is %v: SVHN has 1…10, where 10 is the digit 0", i, v)
		}
		labels[i] = int32(v) % 10
	}
	return labels, nil
}
