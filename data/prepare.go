package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PrepareOptions says what Prepare makes. Its Options work as in Open; what Skip leaves out is in Record.Skipped.
type PrepareOptions struct {
	Options
	Watch func(done, total int) // told of progress, if not nil; total is 0 while unknown
}

// Report is what Prepare did.
type Report struct {
	Shape
	Record
	Done    bool   // the file was there already, of this source and these options
	Resumed int    // images that an earlier, interrupted call had prepared
	Pixels  string // SHA-256
}

// A stream is the images of a source in a fixed order, a chunk at a time.
type stream struct {
	name    string
	split   Split
	classes []string
	celeba  bool
	files   bool // of one image each, which need not have a shape in common
	total   int  // 0: not known yet
	each    func(yield func(chunk) error) error
}

// Prepare decodes the split of a set once, crops and resizes it, and writes it to one file, out, that Open maps: its
// pixels then cost no memory of the process, and its labels 4 bytes each. Source is as in Open.
//
// The file appears under its name when it is whole. Until then it grows beside it, with a journal, and the same call
// goes on after an interruption or a crash with the next chunk of 256 images. If source and options are
// as they were, there is nothing to do, and the call returns at once.
//
// One line of the error, or of Report.Skipped, names each image that could not be read.
func Prepare(ctx context.Context, source, out string, o PrepareOptions) (Report, error) {
	report, err := prepare(ctx, source, out, o)
	if err != nil {
		return Report{}, fmt.Errorf("data: %w", err)
	}
	return report, nil
}

func prepare(ctx context.Context, source, out string, o PrepareOptions) (_ Report, err error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	if !strings.HasSuffix(out, preparedEnding) {
		return Report{}, fmt.Errorf("%s: the name of a prepared file ends in %s; add it", out, preparedEnding)
	}
	path, known, err := locate(source, o.Options)
	if err != nil {
		return Report{}, err
	}
	o.Split = cmp.Or(o.Split, Train)
	record, err := plan(path, known, o)
	if err != nil {
		return Report{}, err
	}
	if report, ok := already(out, record); ok {
		return report, nil
	}
	w, err := openWriter(out, record)
	if err != nil {
		return Report{}, err
	}
	defer func() {
		if err != nil && len(w.lines) == 0 {
			w.discard() // nothing to go on from
		}
		w.close()
	}()
	w.root = path
	from, release, err := openStream(path, known, o)
	if err != nil {
		return Report{}, err
	}
	defer release()
	if known != nil {
		w.record.Classes = known.Classes
		if err := known.checkStream(from, o.Split); err != nil {
			return Report{}, fmt.Errorf("%s: %w", path, err)
		}
		from.total = known.Count(o.Split)
	} else {
		w.record.Name, w.record.Classes = from.name, from.classes
	}
	w.record.Split = from.split
	if w.record.Crop == "" && from.celeba {
		w.record.Crop = "148"
	}
	return w.fill(ctx, from, o)
}

// plan is the record of what o asks for: what decides whether a file is already that.
func plan(path string, known *Known, o PrepareOptions) (Record, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return Record{}, err
	}
	stamp, err := stampOf(path)
	if err != nil {
		return Record{}, err
	}
	r := Record{Crop: o.Crop, Size: o.Size, RGB: o.RGB, Source: full}
	if known != nil {
		r.Name, r.Crop = known.Name, cmp.Or(o.Crop, known.crop)
	}
	if o.Size != 0 {
		r.Fit = "pad"
		if o.Scale {
			r.Fit = "resize"
		}
	}
	plan := fmt.Sprintf("%s\n%s\n%s\n%s\n%d\n%s\n%v\n%v", stamp, r.Name, o.Split, r.Crop, r.Size, r.Fit, r.RGB, o.Skip)
	sum := sha256.Sum256([]byte(plan))
	r.Stamp = hex.EncodeToString(sum[:])
	return r, nil
}

// stampOf is a checksum of the names, sizes and times of the files at path, prepared ones apart.
func stampOf(path string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(d.Name(), preparedEnding) {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil // a dangling link
		}
		_, err = fmt.Fprintf(h, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// already reports whether out is what record asks for.
func already(out string, record Record) (Report, bool) {
	set, err := load(out, nil, Options{})
	if err != nil {
		return Report{}, false // not there, or not whole: it is written anew
	}
	defer set.Close()
	if set.record == nil || set.record.Stamp != record.Stamp {
		return Report{}, false
	}
	return Report{Shape: set.Shape, Record: *set.record, Done: true, Pixels: set.SHA256()}, true
}

// openStream finds the images of the split at path. Where Open would hold more than maxHeld, the files are read one at
// a time.
func openStream(path string, known *Known, o PrepareOptions) (from *stream, release func(), err error) {
	r := &reader{raw: true, known: known}
	err = r.scan(path, o.Split)
	switch {
	case errors.Is(err, errTooBig) && r.onPart == nil:
		r.release()
		return streamed(path, o.Split, r.of(cifar)), func() {}, nil
	case err != nil:
		r.release()
		return nil, nil, err
	case len(r.of(prepared)) > 0:
		r.release()
		return nil, nil, fmt.Errorf("%s is prepared already; give what it was made from", path)
	}
	if len(r.parts) == 0 && len(r.images) > 0 {
		if from, err = r.chosen(path); err != nil {
			r.release()
			return nil, nil, err
		}
		return from, r.release, nil
	}
	defer r.release()
	set, err := r.assemble(path)
	if err != nil {
		return nil, nil, err
	}
	from = &stream{name: cmp.Or(set.Name, stem(path)), split: set.Split, classes: set.Classes, total: set.N}
	from.each = func(yield func(chunk) error) error { return setChunks(set, strings.Join(set.Files, " + "), yield) }
	return from, func() { set.Close() }, nil
}

// streamed feeds the parts of a set of many large files, such as ImageNet 32's, as they are read.
func streamed(path string, split Split, first []*part) *stream {
	from := &stream{split: split}
	if len(first) > 0 {
		from.name = first[0].name
	}
	from.each = func(yield func(chunk) error) error {
		r := reader{raw: true}
		defer r.release()
		r.onPart = func(p *part) error {
			if p.kind != cifar || p.name != from.name {
				return fmt.Errorf("%s: not one of the batches of %s beside it; give the folder of the set itself", p.source, from.name)
			}
			set := newSet(p.Shape, p.pixels, p.labels)
			return setChunks(set, p.source, yield)
		}
		return r.scan(path, split)
	}
	return from
}

func setChunks(set *Set, origin string, yield func(chunk) error) error {
	for first := 0; first < set.N; first += chunkSize {
		c := chunk{n: min(chunkSize, set.N-first),
			label:  func(i int) int32 { return int32(set.Label(first + i)) },
			origin: func(int) string { return origin },
			frame: func(i int) (frame, []byte, error) {
				pix := set.Image(first + i)
				return frame{pix, set.H, set.W, set.C}, pix, nil
			}}
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// fill writes what the journal lacks, and finishes the file.
func (w *writer) fill(ctx context.Context, from *stream, o PrepareOptions) (Report, error) {
	s := shaper{crop: w.record.Crop, size: o.Size, scale: o.Scale, rgb: o.RGB}
	if from.files && o.Size != 0 {
		s.scale, w.record.Fit = true, "resize"
	}
	resumed, at := w.n(), 0
	err := from.each(func(c chunk) error {
		if at++; at <= len(w.lines) {
			return ctx.Err() // prepared before
		}
		if err := w.chunk(ctx, c, s, o.Skip); err != nil {
			return err
		}
		if o.Watch != nil {
			o.Watch(w.n(), max(0, from.total-len(w.record.Skipped)))
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return Report{}, fmt.Errorf("stopped after %d images of %s; the same command goes on from there: %w", w.n(), w.out, ctx.Err())
	}
	if err != nil {
		return Report{}, err
	}
	if w.n() == 0 {
		return Report{}, fmt.Errorf("%s: no image there could be read; the first: %s", w.record.Source, slices.Concat(w.record.Skipped, []string{"none"})[0])
	}
	head, err := w.finish()
	if err != nil {
		return Report{}, WriteError(w.out, err)
	}
	return Report{Shape: w.shape, Record: w.record, Resumed: resumed, Pixels: hex.EncodeToString(head.Pixels[:])}, nil
}
