package data

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pictures are the files of one picture each in a folder and its subfolders, sorted by path. They are decoded a few at a
// time, so memory does not grow with their number. Unlike [Open] it ignores splits and classes, takes pictures that are
// not square, and reads them as pytorch-fid does: gray is repeated to three channels, and transparency is dropped.
type Pictures struct {
	Files []string
	Skip  bool // leave out files that cannot be read, instead of an error with ErrBadImage
}

// PicturesRead counts the files that [Pictures.Each] read.
type PicturesRead struct {
	N, Gray, JPEG, Transparent int
	Skipped                    []string // files that were left out, and why
}

// FindPictures lists the pictures in a folder and its subfolders, without hidden ones.
func FindPictures(folder string) (*Pictures, error) {
	p := &Pictures{}
	root := folder
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		root = filepath.Clean(folder) + string(filepath.Separator) // so that a link to a folder is followed
	}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && file != root
		switch {
		case hidden && entry.IsDir():
			return filepath.SkipDir
		case !hidden && !entry.IsDir() && isPicture(file):
			p.Files = append(p.Files, file)
		}
		return nil
	})
	if err == nil && len(p.Files) == 0 {
		err = fmt.Errorf("%s: no pictures there (%s)", folder, strings.Join(pictureEndings(), " "))
	}
	slices.Sort(p.Files)
	return p, err
}

// Each calls f for all pictures in order, size of them at a time: n×h×w×3 bytes. f may use these bytes until it returns. The last batch
// may be smaller. All pictures must have one size.
func (p *Pictures) Each(ctx context.Context, size int, f func(shape Shape, pixels []byte) error) (read PicturesRead, err error) {
	type result struct {
		Picture
		err error
	}
	var pixels []byte
	var shape Shape
	first := ""
	for i, r := range ordered(ctx, len(p.Files), func(i int) (r result) {
		b, err := os.ReadFile(p.Files[i])
		if err != nil {
			return result{err: err} // names the file
		}
		if r.Picture, err = DecodePicture(b); err != nil {
			r.err = fmt.Errorf("%s: %w", p.Files[i], err)
		}
		return r
	}) {
		switch {
		case r.err != nil && p.Skip:
			read.Skipped = append(read.Skipped, r.err.Error())
			continue
		case r.err != nil:
			return read, fmt.Errorf("%w; %w", r.err, ErrBadImage)
		case first == "":
			first, shape = p.Files[i], Shape{0, r.H, r.W, 3}
		case r.W != shape.W || r.H != shape.H:
			return read, fmt.Errorf("%s is %d×%d and %s %d×%d: all pictures must have one size, so resize or crop them first", p.Files[i], r.W, r.H, first, shape.W, shape.H)
		}
		read.N++
		if r.C == 1 {
			read.Gray++
		}
		if r.Format == "jpeg" {
			read.JPEG++
		}
		if r.Alpha {
			read.Transparent++
		}
		pixels = append(pixels, frame{r.Pix, r.H, r.W, r.C}.rgb().pix...)
		if shape.N++; shape.N == size {
			if err := f(shape, pixels); err != nil {
				return read, err
			}
			pixels, shape.N = pixels[:0], 0
		}
	}
	if err := ctx.Err(); err != nil || shape.N == 0 {
		return read, err
	}
	return read, f(shape, pixels)
}
