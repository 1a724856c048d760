package eval

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sbinet/npyio/npy"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/inflate"
	"github.com/liebm/liebm/internal/npyhead"
)

// A Source is what a path holds: images, or statistics of some that were measured before.
type Source struct {
	Images *Images
	Stats  *Stats
	Input  Input // of statistics
}

// Open finds out what lies at path: a folder of images (see [OpenFolder], which skip is for), an
// .npz with samples under arr_0, or one with statistics under mu and sigma, as pytorch-fid, TTUR,
// EDM, ADM and clean-fid write them.
func Open(path string, skip bool) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		images, err := OpenFolder(path, skip)
		return &Source{Images: images}, err
	}
	if strings.ToLower(filepath.Ext(path)) != ".npz" {
		return nil, fmt.Errorf("%s: want a folder of images, an .npz of samples (arr_0) or an .npz of statistics (mu, sigma)", path)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: not a readable .npz: %w", path, err)
	}
	defer archive.Close()
	var keys []string
	for _, f := range archive.File {
		keys = append(keys, strings.TrimSuffix(f.Name, ".npy"))
	}
	switch {
	case slices.Contains(keys, "mu") && slices.Contains(keys, "sigma"):
		stats, input, err := ReadStats(path)
		return &Source{Stats: stats, Input: input}, err
	case slices.Contains(keys, "arr_0"):
		images, err := openSamples(path)
		return &Source{Images: images}, err
	}
	return nil, fmt.Errorf("%s holds %.80s: want arr_0 (samples), or mu and sigma (statistics)", path, cmp.Or(strings.Join(keys, ", "), "nothing"))
}

// openSamples reads the head of arr_0; the pixels are read when they are measured.
func openSamples(path string) (*Images, error) {
	archive, reader, err := openArray(path, "arr_0")
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	d := reader.head.Descr
	if d.Type != "|u1" {
		return nil, fmt.Errorf("%s: arr_0 has dtype %s: want uint8 in 0…255; floats have no agreed range or rounding, so convert them where they are made", path, d.Type)
	}
	s := d.Shape
	if len(s) == 3 {
		s = append(slices.Clone(s), 1) // gray
	}
	if len(s) != 4 || d.Fortran || s[3] != 1 && s[3] != 3 || slices.Min(s) < 1 {
		return nil, fmt.Errorf("%s: arr_0 is %v (Fortran order: %v): want [n,h,w,3] or [n,h,w,1], channels last, in C order", path, d.Shape, d.Fortran)
	}
	if err := reader.holds(s); err != nil {
		return nil, fmt.Errorf("%s: arr_0 is %v: %w", path, d.Shape, err)
	}
	shape := data.Shape{N: s[0], H: s[1], W: s[2], C: s[3]}
	return &Images{Name: path, Kind: "npz", N: shape.N, read: func(ctx context.Context, r *reading) error {
		return readSamples(ctx, path, shape, r)
	}}, nil
}

func readSamples(ctx context.Context, path string, shape data.Shape, r *reading) error {
	archive, array, err := openArray(path, "arr_0")
	if err != nil {
		return err
	}
	defer archive.Close()
	pixels := make([]byte, min(r.batch, shape.N)*shape.ImageBytes())
	for done := 0; done < shape.N; done += r.batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch := shape
		batch.N = min(r.batch, shape.N-done)
		part := pixels[:batch.N*shape.ImageBytes()]
		if _, err := io.ReadFull(array.from, part); err != nil {
			return fmt.Errorf("%s: arr_0 ends after %d of its %d images: %w; make or fetch it again", path, done, shape.N, err)
		}
		if err := r.do(batch, part); err != nil {
			return err
		}
	}
	if err := array.end(); err != nil {
		return fmt.Errorf("%s: arr_0 is damaged: %w; make or fetch it again", path, err)
	}
	return nil
}

// array is an .npy inside an archive: its head, and its elements to come.
type array struct {
	head npy.Header
	from io.Reader
	size uint64 // bytes of head and elements that the archive can hold
}

// holds is an error if elements of one byte in this shape are more than there can be: before they are allocated.
func (a *array) holds(shape []int) error {
	want := uint64(1)
	for _, n := range shape {
		if want > a.size/uint64(n) {
			return fmt.Errorf("more than its %d bytes: cut short or damaged; make or fetch it again", a.size)
		}
		want *= uint64(n)
	}
	return nil
}

// end is an error unless all elements were read and the archive's checksum is theirs, which it compares at the end.
func (a *array) end() error {
	switch n, err := io.ReadFull(a.from, make([]byte, 1)); {
	case n > 0:
		return errors.New("it goes on after the last element")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func openArray(path, key string) (*zip.ReadCloser, *array, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: not a readable .npz: %w", path, err)
	}
	a, err := arrayIn(&archive.Reader, info.Size(), key)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: array %s: %w", path, key, err), archive.Close())
	}
	return archive, a, nil
}

// arrayIn finds an array in an archive whose file has so many bytes.
func arrayIn(archive *zip.Reader, bytes int64, key string) (*array, error) {
	at := slices.IndexFunc(archive.File, func(f *zip.File) bool { return f.Name == key+".npy" })
	if at < 0 {
		return nil, fs.ErrNotExist
	}
	f := archive.File[at]
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	a, err := readHead(from)
	if err == nil {
		a.size = min(f.UncompressedSize64, uint64(inflate.Limit(min(f.CompressedSize64, uint64(bytes)))))
	}
	return a, err
}

// readHead reads the head of an array, of a length that makes sense.
func readHead(from io.Reader) (*array, error) {
	buffered := bufio.NewReaderSize(from, 1<<16)
	start, _ := buffered.Peek(12)
	if len(start) == 12 && start[6] > 1 && binary.LittleEndian.Uint32(start[8:]) > 1<<16 {
		return nil, errors.New("damaged head: it claims to be longer than 64 KB")
	}
	head, err := npyhead.Read(buffered)
	if err != nil {
		return nil, fmt.Errorf("damaged head: %w", err)
	}
	return &array{head: head, from: buffered}, nil
}
