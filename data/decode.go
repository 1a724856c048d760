package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A shaper brings every frame of a set to one shape.
type shaper struct {
	crop  string
	size  int  // 0: keep
	scale bool // resize to size; else pad
	rgb   bool

	resized *atomic.Bool // set if an image had another size than the one asked for; may be nil
}

func (s shaper) apply(f frame) (frame, error) {
	f, err := f.crop(s.crop)
	if err != nil {
		return f, err
	}
	if s.rgb {
		f = f.rgb()
	}
	switch {
	case s.size == 0 || f.h == s.size && f.w == s.size:
		return f, nil
	case s.scale:
		if s.resized != nil {
			s.resized.Store(true)
		}
		return f.resize(s.size), nil
	case f.h > s.size || f.w > s.size:
		return f, fmt.Errorf("%d×%d pixels cannot be padded to %d; scale them", f.w, f.h, s.size)
	}
	return f.pad(s.size), nil
}

// A lot is some images of a source. Its functions may be called in any order and from several goroutines.
type lot struct {
	n      int
	frame  func(i int) (f frame, raw []byte, err error) // raw: what the checksum of the source is taken over
	label  func(i int) int32                            // -1: none
	origin func(i int) string
}

// A bad image is one that was left out, or ended the work.
type bad struct {
	at  int
	err error
}

// shape decodes the images of a lot on all CPUs to dst, of len(l)·want.ImageBytes(), and takes the checksum of each.
// The first image decides the shape if want is zero. Bad images are returned in order.
func (l lot) shape(ctx context.Context, s shaper, want *Shape, grow func(bytes int) []byte) (dst []byte, sums [][sha256.Size]byte, wrong []bad, err error) {
	frames := make([]frame, l.n)
	sums = make([][sha256.Size]byte, l.n)
	errs := make([]error, l.n)
	err = parallelUntil(ctx, l.n, func(i int) {
		f, raw, err := l.frame(i)
		sums[i] = sha256.Sum256(raw)
		if err == nil {
			f, err = s.apply(f)
		}
		frames[i], errs[i] = f, err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	for i, f := range frames {
		if errs[i] == nil && want.H == 0 {
			want.H, want.W, want.C = f.h, f.w, f.c
		}
		if errs[i] == nil && (f.h != want.H || f.w != want.W || f.c != want.C) {
			errs[i] = mixed(f, *want)
		}
		if errs[i] != nil {
			wrong = append(wrong, bad{i, fmt.Errorf("%s: %w", l.origin(i), errs[i])})
		}
	}
	dst = grow((l.n - len(wrong)) * want.ImageBytes())
	at := 0
	for i, f := range frames {
		if errs[i] == nil {
			at += copy(dst[at:], f.pix)
		}
	}
	return dst, sums, wrong, nil
}

// ErrBadImage is in the error of Open for files that Options.Skip would leave out.
var ErrBadImage = errors.New("mend or remove it")

// badImages names the first image that cannot be used, and counts those beside it.
func badImages(wrong []bad) error {
	if more := len(wrong) - 1; more > 0 {
		return fmt.Errorf("%w; and so with %d more: %w", wrong[0].err, more, ErrBadImage)
	}
	return fmt.Errorf("%w; %w", wrong[0].err, ErrBadImage)
}

func mixed(f frame, want Shape) error {
	if f.h == want.H && f.w == want.W && f.c != want.C {
		colours := map[int]string{1: "gray", 3: "RGB"}
		return fmt.Errorf("%s, where the images before it are %s; make all of them one or the other: liebm data prepare --rgb repeats gray three times", colours[f.c], colours[want.C])
	}
	return fmt.Errorf("%d×%d pixels, where the images before it have %d×%d; liebm data prepare --size N resizes all of them", f.w, f.h, want.W, want.H)
}

// parallel calls f(0) … f(n−1) from as many goroutines as Go may run at once.
func parallel(n int, f func(i int)) { _ = parallelUntil(context.Background(), n, f) }

// parallelUntil stops early when ctx ends, with its error.
func parallelUntil(ctx context.Context, n int, f func(i int)) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}

// decodeAll makes a set in memory of the images that were found.
func (r *reader) decodeAll(path string, o Options) (*Set, error) {
	from, err := r.chosen(path)
	if err != nil {
		return nil, err
	}
	s := shaper{crop: cmpCrop(o.Crop, from), size: o.Size, scale: true, rgb: o.RGB, resized: new(atomic.Bool)}
	var shape Shape
	var pixels []byte
	var labels []int32
	var skipped []string
	err = from.each(func(l lot) error {
		_, _, wrong, err := l.shape(context.Background(), s, &shape, func(n int) []byte {
			pixels = slices.Grow(pixels, n)
			pixels = pixels[:len(pixels)+n]
			return pixels[len(pixels)-n:]
		})
		if err == nil && len(wrong) > 0 && !o.Skip {
			err = badImages(wrong)
		}
		if err == nil && len(pixels) > maxHeld {
			err = fmt.Errorf("%s: %w", path, errTooBig)
		}
		for i := range l.n {
			if len(wrong) > 0 && wrong[0].at == i {
				skipped, wrong = append(skipped, wrong[0].err.Error()), wrong[1:]
				continue
			}
			labels = append(labels, l.label(i))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("%s: no image there could be read; the first: %s", path, skipped[0])
	}
	shape.N = len(labels)
	if slices.Contains(labels, -1) {
		labels = nil
	}
	set := newSet(shape, pixels, labels)
	set.Name, set.Split, set.Classes, set.Files, set.Skipped = stem(path), from.split, from.classes, []string{path}, skipped
	if s.resized.Load() {
		set.Fit = "resize"
	}
	return set, nil
}

func cmpCrop(crop string, from *feed) string {
	if crop == "" && from.celeba {
		return "148"
	}
	return crop
}

// chosen is the feed of the images of the split.
func (r *reader) chosen(path string) (*feed, error) {
	entries, classes, split, err := chooseImages(r.images, r.split, r.edm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	from := &feed{name: stem(path), split: split, classes: classes, files: true, total: len(entries)}
	if r.celeba != nil {
		if entries, err = partition(entries, r.celeba, r.split); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		from.total, from.split, from.celeba = len(entries), r.split, true
		from.classes = nil
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: no images there", path)
	}
	from.each = func(yield func(lot) error) error {
		for some := range slices.Chunk(entries, lotSize) {
			if err := yield(entryLot(path, some)); err != nil {
				return err
			}
		}
		return nil
	}
	return from, nil
}

// lotSize is how many images are decoded at a time: 256 of 1024×1024 are 800 MB, but theirs are smaller once resized,
// and each is held at its own size only while it is being resized.
const lotSize = 256

func entryLot(root string, some []entry) lot {
	return lot{n: len(some),
		label:  func(i int) int32 { return some[i].label },
		origin: func(i int) string { return filepath.Join(root, filepath.FromSlash(some[i].name)) },
		frame: func(i int) (frame, []byte, error) {
			b, err := some[i].read()
			if err != nil {
				return frame{}, nil, readError(err)
			}
			f, err := decodeImage(b)
			return f, b, err
		}}
}

// readError leaves out the path, which the caller names.
func readError(err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// partitionBeside reads CelebA's split, where the archive or folder of its images lies beside it.
func (r *reader) partitionBeside(path string) error {
	for _, name := range []string{"list_eval_partition.txt", "list_eval_partition.csv"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Clean(path)), name))
		if err == nil {
			r.celeba = b
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
