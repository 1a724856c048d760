package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
)

// A decoded is the images of some chunks that can be used, in order, and the errors of the others.
type decoded struct {
	Shape
	pixels  []byte
	labels  []int32
	origins []string
	skipped []error
	fit     string // "resize" if an image was resized, else "pad" if one was padded
	raw     string // SHA-256 of the SHA-256 of each image of the last chunk as it was read
}

// add decodes the images of a chunk on all CPUs. The first image decides the shape if d has none. An image that cannot be
// used is an error, unless o.Skip is set.
func (d *decoded) add(ctx context.Context, chunk []entry, o Options) error {
	type result struct {
		frame
		fit string
		sum [sha256.Size]byte
		err error
	}
	raw := sha256.New()
	for i, f := range ordered(ctx, len(chunk), func(i int) (r result) {
		f, raw, err := chunk[i].load()
		if err == nil {
			f, r.fit, err = o.shape(f)
		}
		r.frame, r.sum, r.err = f, sha256.Sum256(raw), err
		return r
	}) {
		e := chunk[i]
		raw.Write(f.sum[:])
		if f.err == nil && d.H == 0 {
			d.H, d.W, d.C = f.h, f.w, f.c
			size := len(chunk) * d.ImageBytes()
			if len(d.pixels)+size > maxHeld() {
				return fmt.Errorf("%s: %d images of %d×%d: %w, or choose a smaller size", e.path, len(chunk), f.w, f.h, tooBig())
			}
			d.pixels = slices.Grow(d.pixels, size)
		}
		if f.err == nil && (f.h != d.H || f.w != d.W || f.c != d.C) {
			f.err = mixed(f.frame, d.Shape)
		}
		if f.err != nil {
			d.skipped = append(d.skipped, fmt.Errorf("%s: %w", e.path, f.err))
			continue
		}
		d.pixels, d.labels, d.origins = append(d.pixels, f.pix...), append(d.labels, e.label), append(d.origins, e.path)
		d.N++
		if f.fit == "resize" || d.fit == "" {
			d.fit = f.fit
		}
	}
	d.raw = hex.EncodeToString(raw.Sum(nil))
	if len(d.skipped) > 0 && !o.Skip && ctx.Err() == nil {
		return badImages(d.skipped)
	}
	return ctx.Err()
}

// ErrBadImage is part of the errors about images that cannot be used. Options.Skip leaves out such images.
var ErrBadImage = errors.New("mend or remove it")

// badImages has a line for each image that cannot be used, at most ten.
func badImages(wrong []error) error {
	const most = 10
	if more := len(wrong) - most; more > 0 {
		wrong = append(wrong[:most:most], fmt.Errorf("and %d more like these", more))
	}
	return fmt.Errorf("%w; %w", errors.Join(wrong...), ErrBadImage)
}

func mixed(f frame, want Shape) error {
	if f.h == want.H && f.w == want.W && f.c != want.C {
		colours := map[int]string{1: "gray", 3: "RGB"}
		return fmt.Errorf("%s, where the images before it are %s; prepare the set with rgb, which repeats gray three times", colours[f.c], colours[want.C])
	}
	return fmt.Errorf("%d×%d pixels, where the images before it have %d×%d; prepare the set with a size, to which all are resized", f.w, f.h, want.W, want.H)
}

// ordered calls f(0) … f(n−1) from as many goroutines as Go may run at once and yields the results in order. It runs at
// most a few calls ahead of the loop. It stops early when ctx ends. No call is running when the loop is over.
func ordered[T any](ctx context.Context, n int, f func(i int) T) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		ctx, stop := context.WithCancel(ctx)
		queue := make(chan chan T, 2*runtime.GOMAXPROCS(0))
		defer func() {
			stop()
			for result := range queue {
				<-result
			}
		}()
		go func() {
			defer close(queue)
			for i := range n {
				result := make(chan T, 1)
				select {
				case <-ctx.Done():
					return
				case queue <- result:
					go func() { result <- f(i) }()
				}
			}
		}()
		i := 0
		for result := range queue {
			if !yield(i, <-result) {
				return
			}
			i++
		}
	}
}

// decodeAll decodes all images that were found.
func (r *reader) decodeAll(path string, o Options) (*Set, error) {
	from, err := r.chosen(path)
	if err != nil {
		return nil, err
	}
	o.Crop, o.Scale = cmp.Or(o.Crop, from.crop), true // padding is for arrays
	var d decoded
	err = from.each(func(chunk []entry) error {
		err := d.add(context.Background(), chunk, o)
		if err == nil && len(d.pixels) > maxHeld() {
			err = fmt.Errorf("%s: %w", path, tooBig())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.N == 0 {
		return nil, fmt.Errorf("%s: no image there could be read; the first: %w", path, d.skipped[0])
	}
	if slices.Contains(d.labels, -1) {
		d.labels = nil
	}
	set, root, origins := newSet(d.Shape, d.pixels, d.labels), r.root, d.origins
	set.Name, set.Split, set.Classes, set.Files, set.Skipped = from.name, from.split, from.classes, []string{path}, texts(d.skipped)
	set.Fit, set.measured, set.origin = d.fit, r.measured, func(i int) string { return inside(root, origins[i]) }
	return set, nil
}

func texts(errs []error) (out []string) {
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

// chosen is a stream of the images of the split.
func (r *reader) chosen(path string) (*stream, error) {
	entries, classes, split, err := chooseImages(r.images, r.split, r.datasetJSON)
	if err == nil && split == "" && r.known != nil {
		entries, split = r.known.divide(entries, r.split)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	crop := ""
	if r.known != nil {
		crop = r.known.crop
	}
	if r.celeba != nil {
		var measured bool
		if entries, measured, err = partition(entries, r.celeba, r.split); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r.measured = r.measured || measured
		split, classes, crop = r.split, nil, "148"
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: no images there", path)
	}
	from := &stream{name: stem(path), split: split, classes: classes, crop: crop, entries: entries, total: len(entries)}
	from.each = func(yield func([]entry) error) error {
		for chunk := range slices.Chunk(entries, chunkSize) {
			if err := yield(chunk); err != nil {
				return err
			}
		}
		return nil
	}
	return from, nil
}

// chunkSize is the number of images in a chunk.
const chunkSize = 256

// readError removes the path, which the caller names.
func readError(err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
