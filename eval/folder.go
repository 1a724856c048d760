package eval

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
)

// OpenFolder finds the image files in a folder and its subfolders, in the order of their paths. Each
// is read as three channels of 8 bits: gray repeated, alpha dropped. All must have one size. A file
// that cannot be read is an error that names it, or with skip is left out and listed.
func OpenFolder(path string, skip bool) (*Images, error) {
	var files []string
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && data.IsPicture(file) {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no image there (%s)", path, strings.Join(data.PictureEndings(), " "))
	}
	slices.Sort(files)
	f := &folder{files: files, skip: skip}
	return &Images{Name: path, Kind: "folder", N: len(files), read: f.read}, nil
}

type folder struct {
	files []string
	skip  bool
}

// picture is a file that was decoded, or could not be.
type picture struct {
	data.Picture
	file string
	err  error
}

// decodeAhead decodes files on all CPUs, at most a few ahead of what is being measured, and hands
// them over in order.
func (f *folder) decodeAhead(ctx context.Context) <-chan chan picture {
	queue := make(chan chan picture, 2*runtime.NumCPU())
	go func() {
		defer close(queue)
		for _, file := range f.files {
			one := make(chan picture, 1)
			select {
			case queue <- one:
				go func() { one <- decode(file) }()
			case <-ctx.Done():
				return
			}
		}
	}()
	return queue
}

func (f *folder) read(ctx context.Context, r *reading) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first picture
	var pixels []byte
	n, seen := 0, kinds{}
	flush := func() error {
		if n == 0 {
			return nil
		}
		err := r.do(data.Shape{N: n, H: first.H, W: first.W, C: 3}, pixels)
		pixels, n = pixels[:0], 0
		return err
	}
	for one := range f.decodeAhead(ctx) {
		p := <-one
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.err != nil && f.skip {
			r.input.Skipped = append(r.input.Skipped, p.err.Error())
			continue
		}
		if p.err != nil {
			return fmt.Errorf("%w; repair or remove it, or leave such files out with --skip-unreadable", p.err)
		}
		if first.file == "" {
			first = p
		}
		if p.W != first.W || p.H != first.H {
			return fmt.Errorf("%s is %d×%d and %s %d×%d: all images must have one size, so resize or crop them first", p.file, p.W, p.H, first.file, first.W, first.H)
		}
		seen.count(p)
		pixels = append(pixels, p.rgb()...)
		if n++; n == r.batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(ctx.Err(), flush()); err != nil {
		return err
	}
	f.note(r.input, seen)
	return nil
}

// kinds counts the files that a result may depend on more than on its pixels.
type kinds struct{ gray, jpeg, alpha int }

func (k *kinds) count(p picture) {
	if p.C == 1 {
		k.gray++
	}
	if p.Format == "jpeg" {
		k.jpeg++
	}
	if p.Alpha {
		k.alpha++
	}
}

// note says what else about the files may matter to the result.
func (f *folder) note(input *Input, seen kinds) {
	add := func(format string, args ...any) { input.Notes = append(input.Notes, fmt.Sprintf(format, args...)) }
	input.leaveOut(input.Skipped, len(f.files))
	switch {
	case seen.gray == input.N && seen.gray > 0:
		add("all images are gray: repeated to three channels")
	case seen.gray > 0:
		add("%d of %d images are gray, the others colour: is this one set?", seen.gray, input.N)
	}
	if seen.jpeg > 0 {
		add("%d of %d files are JPEG: compression moves FID by several points; PNG is exact", seen.jpeg, input.N)
	}
	if seen.alpha > 0 {
		add("%d of %d images are transparent: their alpha is dropped, as pytorch-fid drops it, where liebm data refuses them", seen.alpha, input.N)
	}
}

func decode(file string) (p picture) {
	p.file = file
	b, err := os.ReadFile(file)
	if err != nil {
		p.err = err // names the file
		return p
	}
	if p.Picture, err = data.DecodePicture(b); err != nil {
		p.err = fmt.Errorf("%s: %w", file, err)
	}
	return p
}

// rgb is the picture in three channels, gray repeated.
func (p picture) rgb() []byte {
	if p.C == 3 {
		return p.Pix
	}
	out := make([]byte, 0, 3*len(p.Pix))
	for _, v := range p.Pix {
		out = append(out, v, v, v)
	}
	return out
}
