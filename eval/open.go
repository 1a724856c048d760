package eval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/npz"
)

// A Source is the content of a path: images, or statistics of images that were measured before.
type Source struct {
	Images *Images
	Stats  *Stats
	Input  Input // of statistics
}

// OpenOptions says how [Open] and [OpenFolder] read a folder.
type OpenOptions struct {
	Skip bool // leave out files that cannot be read, and list them in Input.Skipped
}

// Open finds out what lies at path: a folder of images (see [OpenFolder]), an .npz with samples under arr_0, or
// an .npz with statistics under mu and sigma, as pytorch-fid, TTUR, EDM, ADM and clean-fid write them.
func Open(path string, o OpenOptions) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		images, err := OpenFolder(path, o)
		return &Source{Images: images}, err
	}
	if strings.ToLower(filepath.Ext(path)) != ".npz" {
		return nil, fmt.Errorf("%s: use a folder of images, an .npz of samples (arr_0) or an .npz of statistics (mu, sigma)", path)
	}
	names, err := npz.Names(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case slices.Contains(names, "mu") && slices.Contains(names, "sigma"):
		stats, input, err := ReadStats(path)
		return &Source{Stats: stats, Input: input}, err
	case slices.Contains(names, "arr_0"):
		images, err := openSamples(path)
		return &Source{Images: images}, err
	}
	return nil, fmt.Errorf("%s holds %.80s: use an .npz with arr_0 (samples), or with mu and sigma (statistics)", path, cmp.Or(strings.Join(names, ", "), "nothing"))
}

// OpenFolder finds the image files in a folder and its subfolders, in the order of their paths. They are read as
// [data.Pictures] reads them. All must have one size. A file that cannot be read is an error that names it.
func OpenFolder(path string, o OpenOptions) (*Images, error) {
	pictures, err := data.FindPictures(path)
	if err != nil {
		return nil, err
	}
	pictures.Skip = o.Skip
	return &Images{Name: path, Kind: "folder", N: len(pictures.Files), read: func(ctx context.Context, batch int, do func(data.Shape, []byte) error, of *Input) error {
		read, err := pictures.Each(ctx, batch, do)
		of.leaveOut(read.Skipped, len(pictures.Files))
		of.notePictures(read)
		return err
	}}, nil
}

// notePictures adds what a result may depend on besides the pixels.
func (in *Input) notePictures(read data.PicturesRead) {
	add := func(format string, args ...any) { in.Notes = append(in.Notes, fmt.Sprintf(format, args...)) }
	switch {
	case read.Gray == read.N && read.Gray > 0:
		add("all images are gray: repeated to three channels")
	case read.Gray > 0:
		add("%d of %d images are gray, and the others are colour images: check that this is one set", read.Gray, read.N)
	}
	if read.JPEG > 0 {
		add("%d of %d files are JPEG: compression moves FID by several points; PNG is exact", read.JPEG, read.N)
	}
	if read.Transparent > 0 {
		add("%d of %d images are transparent: their alpha is dropped, as in pytorch-fid; data.Open refuses such images", read.Transparent, read.N)
	}
}

// openSamples reads the header of arr_0. The pixels are read when they are measured.
func openSamples(path string) (*Images, error) {
	array, err := npz.OpenStream(path, "arr_0")
	if err != nil {
		return nil, fmt.Errorf("%s: arr_0: %w", path, err)
	}
	defer array.Close()
	if array.Type != "|u1" {
		return nil, fmt.Errorf("%s: arr_0 has dtype %s: use uint8 in 0…255; floats have no agreed range or rounding, so convert them where they are made", path, array.Type)
	}
	s := array.Shape
	if len(s) == 3 {
		s = append(slices.Clone(s), 1) // gray
	}
	if len(s) != 4 || array.Fortran || s[3] != 1 && s[3] != 3 || slices.Min(s) < 1 {
		return nil, fmt.Errorf("%s: arr_0 is %v (Fortran order: %v): use [n,h,w,3] or [n,h,w,1], channels last, in C order", path, array.Shape, array.Fortran)
	}
	if size, err := array.Header.Size(1); err != nil || uint64(size) > array.Limit {
		return nil, fmt.Errorf("%s: arr_0 is %v: more than its %d bytes: cut short or damaged; make or fetch it again", path, array.Shape, array.Limit)
	}
	shape := data.Shape{N: s[0], H: s[1], W: s[2], C: s[3]}
	return &Images{Name: path, Kind: "npz", N: shape.N, read: func(ctx context.Context, batch int, do func(data.Shape, []byte) error, _ *Input) error {
		return readSamples(ctx, path, shape, batch, do)
	}}, nil
}

func readSamples(ctx context.Context, path string, shape data.Shape, size int, do func(data.Shape, []byte) error) error {
	array, err := npz.OpenStream(path, "arr_0")
	if err != nil {
		return fmt.Errorf("%s: arr_0: %w", path, err)
	}
	defer array.Close()
	pixels := make([]byte, min(size, shape.N)*shape.ImageBytes())
	for done := 0; done < shape.N; done += size {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch := shape
		batch.N = min(size, shape.N-done)
		part := pixels[:batch.N*shape.ImageBytes()]
		if _, err := io.ReadFull(array, part); err != nil {
			return fmt.Errorf("%s: arr_0 ends after %d of its %d images: %w; make or fetch it again", path, done, shape.N, err)
		}
		if err := do(batch, part); err != nil {
			return err
		}
	}
	if err := array.End(); err != nil {
		return fmt.Errorf("%s: arr_0 is damaged: %w; make or fetch it again", path, err)
	}
	return nil
}
