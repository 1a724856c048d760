package eval

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders, for image.Decode
	_ "image/jpeg"
	_ "image/png"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"github.com/liebm/liebm/data"
)

var imageExtensions = []string{".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

// OpenFolder finds the image files in a folder and its subfolders, in the order of their paths. Each
// is read as three channels of 8 bits: gray repeated, alpha dropped. All must have one size. A file
// that cannot be read is an error that names it, or with skip is left out and listed.
func OpenFolder(path string, skip bool) (*Images, error) {
	var files []string
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains(imageExtensions, strings.ToLower(filepath.Ext(file))) {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no image there (%s)", path, strings.Join(imageExtensions, " "))
	}
	slices.Sort(files)
	f := &folder{files: files, skip: skip}
	return &Images{Name: path, Kind: "folder", N: len(files), read: f.read}, nil
}

type folder struct {
	files []string
	skip  bool
}

// picture is a decoded file: three channels.
type picture struct {
	file   string
	w, h   int
	pixels []byte
	gray   bool
	format string
	err    error
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
	gray, jpeg, n := 0, 0, 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		err := r.do(data.Shape{N: n, H: first.h, W: first.w, C: 3}, pixels)
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
		if p.w != first.w || p.h != first.h {
			return fmt.Errorf("%s is %d×%d and %s %d×%d: all images must have one size, so resize or crop them first", p.file, p.w, p.h, first.file, first.w, first.h)
		}
		if p.gray {
			gray++
		}
		if p.format == "jpeg" {
			jpeg++
		}
		pixels = append(pixels, p.pixels...)
		if n++; n == r.batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(ctx.Err(), flush()); err != nil {
		return err
	}
	f.note(r.input, gray, jpeg)
	return nil
}

// note says what else about the files may matter to the result.
func (f *folder) note(input *Input, gray, jpeg int) {
	add := func(format string, args ...any) { input.Notes = append(input.Notes, fmt.Sprintf(format, args...)) }
	if len(input.Skipped) > 0 {
		add("%d of %d files could not be read and are left out, the first: %s", len(input.Skipped), len(f.files), input.Skipped[0])
	}
	switch {
	case gray == input.N && gray > 0:
		add("all images are gray: repeated to three channels")
	case gray > 0:
		add("%d of %d images are gray, the others colour: is this one set?", gray, input.N)
	}
	if jpeg > 0 {
		add("%d files are JPEG: compression moves FID by several points, and decoders differ by a level or two; PNG is exact", jpeg)
	}
}

func decode(file string) (p picture) {
	p.file = file
	p.err = func() error {
		in, err := os.Open(file)
		if err != nil {
			return err // names the file
		}
		defer in.Close()
		img, format, err := image.Decode(in)
		if err != nil {
			return fmt.Errorf("%s: not a readable image: %w", file, err)
		}
		switch img.(type) {
		case *image.Gray16, *image.RGBA64, *image.NRGBA64:
			return fmt.Errorf("%s has 16 bits a channel: convert it to 8, in the way the data were made", file)
		}
		p.format, p.w, p.h = format, img.Bounds().Dx(), img.Bounds().Dy()
		p.pixels, p.gray = rgb(img)
		return nil
	}()
	return p
}

// rgb is an image's colours, alpha dropped rather than applied: [h,w,3].
func rgb(img image.Image) (pixels []byte, gray bool) {
	bounds := img.Bounds()
	pixels = make([]byte, 0, 3*bounds.Dx()*bounds.Dy())
	switch img := img.(type) {
	case *image.Gray:
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for _, v := range img.Pix[img.PixOffset(bounds.Min.X, y):][:bounds.Dx()] {
				pixels = append(pixels, v, v, v)
			}
		}
		return pixels, true
	case *image.RGBA: // a PNG without alpha
		return colours(pixels, bounds, img.Pix, img.PixOffset), false
	case *image.NRGBA:
		return colours(pixels, bounds, img.Pix, img.PixOffset), false
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			pixels = append(pixels, c.R, c.G, c.B)
		}
	}
	return pixels, false
}

func colours(to []byte, bounds image.Rectangle, pix []byte, offset func(x, y int) int) []byte {
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		row := pix[offset(bounds.Min.X, y):][:4*bounds.Dx()]
		for i := 0; i < len(row); i += 4 {
			to = append(to, row[i], row[i+1], row[i+2])
		}
	}
	return to
}
