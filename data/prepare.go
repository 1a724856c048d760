package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// PrepareOptions says what Prepare makes. Its Options work as in Open, except that HoldOut, Without, Only
// and Pad must be zero. Files that Skip leaves out are in Provenance.Skipped.
type PrepareOptions struct {
	Options
	Watch func(done, total int) // called with the progress, if not nil; total is 0 while unknown
}

// Report describes what Prepare did.
type Report struct {
	Shape
	Provenance
	Done    bool   // the file was there already, made from this source with these options
	Resumed int    // images that an interrupted call had prepared before
	Pixels  string // SHA-256
}

// A stream is the images of a source in a fixed order, a chunk at a time.
type stream struct {
	name    string
	split   Split
	classes []string
	crop    string  // default of Options.Crop
	entries []entry // if they are files of one image each, which may differ in shape
	total   int     // 0: not known yet
	each    func(yield func(chunk []entry) error) error
}

// Prepare decodes the split of a set once, crops and resizes it, and writes it to one file, out, which Open maps. A mapped
// set needs memory of the process for two things only: 4 bytes for each label, and the names of its files. Source is as in
// Open.
//
// Prepare looks at a few pictures of a folder. If one of them is in colour, gray pictures become RGB.
//
// The file gets its name when it is whole. Until then a partial file and a journal lie beside it. After an interruption or
// a crash, the same call continues with the next chunk of 256 images. If out is already made from this source with these
// options, Prepare returns at once. Prepare replaces a file that was made from this source with other options, but not a file
// of another source.
//
// The error, or Report.Skipped, has a line for each image that could not be read.
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
	if o.HoldOut > 0 || len(o.Without)+len(o.Only) > 0 || o.Pad > 0 {
		return Report{}, errors.New("HoldOut, Without, Only and Pad are for Open: a prepared file has all images of its split")
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
	if report, ok, err := already(out, record); ok || err != nil {
		return report, err
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
	if report, ok, err := already(out, record); ok || err != nil { // another process has just made it
		w.discard()
		return report, err
	}
	r := &reader{raw: true, known: known}
	defer r.release()
	from, err := r.stream(path, o.Split)
	if err != nil {
		return Report{}, err
	}
	w.root = r.root
	if known != nil {
		w.record.Classes = known.Classes
		if err := known.checkStream(from, o.Split); err != nil {
			return Report{}, fmt.Errorf("%s: %w", path, err)
		}
		from.total = known.Count(o.Split)
	} else {
		w.record.Name, w.record.Classes = from.name, from.classes
	}
	w.record.Split, w.record.Crop = from.split, cmp.Or(w.record.Crop, from.crop)
	if !o.RGB {
		_, gray, colour, _ := from.look()
		o.RGB, w.record.RGB = colour, gray && colour
	}
	return w.fill(ctx, from, o)
}

// plan is the record of the file to make. Its stamp is that of an existing file if there is nothing to do.
func plan(path string, known *Known, o PrepareOptions) (Provenance, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return Provenance{}, err
	}
	stamp, err := stampOf(path)
	if err != nil {
		return Provenance{}, err
	}
	r := Provenance{Crop: o.Crop, Size: o.Size, RGB: o.RGB, Source: full}
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
	r.Stamp = fmt.Sprintf("%x", sha256.Sum256([]byte(plan)))
	return r, nil
}

// stampOf is a checksum of the names, sizes and times of the files at path, without prepared ones.
func stampOf(path string) (string, error) {
	h := sha256.New()
	err := walk(path, 0, func(name string, info fs.FileInfo) {
		if !strings.Contains(info.Name(), preparedEnding) {
			fmt.Fprintf(h, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// already reports whether out was made as record says. It is an error if out was made from another source.
func already(out string, record Provenance) (Report, bool, error) {
	set, err := load(out, nil, Options{})
	if err != nil {
		return Report{}, false, nil // missing or damaged: it is written anew
	}
	defer set.Close()
	switch made := set.record; {
	case made == nil:
		return Report{}, false, fmt.Errorf("%s is no prepared file: give another name, or delete it first", out)
	case made.Source != record.Source && (record.Name == "" || made.Name != record.Name): // a known set may have moved
		return Report{}, false, fmt.Errorf("%s was made from %s: give another name, or delete it first", out, made.Source)
	case made.Stamp != record.Stamp:
		return Report{}, false, nil
	}
	return Report{Shape: set.Shape, Provenance: *set.record, Done: true, Pixels: set.SHA256()}, true, nil
}

// stream is the images of the split at path. If they are too big, files are read one at a time.
func (r *reader) stream(path string, split Split) (*stream, error) {
	err := r.scan(path, split)
	switch {
	case errors.Is(err, ErrTooBig):
		from := &stream{split: split}
		for _, p := range r.of(cifar) {
			from.name = cmp.Or(from.name, p.Name)
		}
		from.each = func(yield func([]entry) error) error { return eachBatch(path, split, from.name, yield) }
		r.release()
		*r = reader{root: path} // frees what was read
		return from, nil
	case err != nil:
		return nil, err
	case len(r.of(prepared)) > 0:
		return nil, fmt.Errorf("%s is prepared already; give the files it was made from", path)
	case len(r.parts) == 0 && len(r.images) > 0:
		return r.chosen(path)
	}
	set, err := r.assemble(path)
	if err != nil {
		return nil, err
	}
	return &stream{name: cmp.Or(set.Name, stem(path)), split: set.Split, classes: set.Classes, total: set.N,
		each: func(yield func([]entry) error) error { return setChunks(set, yield) }}, nil
}

// eachBatch reads a set of many large files, such as ImageNet 32's, of which it holds one at a time.
func eachBatch(path string, split Split, name string, yield func([]entry) error) error {
	r := reader{raw: true}
	defer r.release()
	r.onPart = func(p *part) error {
		if p.kind != cifar || p.Name != name {
			return fmt.Errorf("%s: not one of the batches of %s beside it; give the folder of the set itself", p.Files[0], name)
		}
		return setChunks(p.Set, yield)
	}
	return r.scan(path, split)
}

func setChunks(set *Set, yield func([]entry) error) error {
	path := strings.Join(set.Files, " + ")
	for _, batch := range set.Batches(chunkSize) {
		chunk := make([]entry, batch.N)
		for i := range chunk {
			load := func() (frame, []byte, error) { return batch.frame(i), batch.Image(i), nil }
			chunk[i] = entry{path: path, label: int32(batch.Label(i)), load: load}
		}
		if err := yield(chunk); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the chunks that the journal lacks, and finishes the file.
func (w *writer) fill(ctx context.Context, from *stream, o PrepareOptions) (Report, error) {
	o.Crop = w.record.Crop
	if from.entries != nil && o.Size != 0 {
		o.Scale, w.record.Fit = true, "resize"
	}
	resumed, at := w.N, 0
	err := from.each(func(chunk []entry) error {
		if at++; at <= len(w.lines) {
			return ctx.Err() // prepared before
		}
		if err := w.add(ctx, chunk, o.Options); err != nil {
			return err
		}
		if o.Watch != nil {
			o.Watch(w.N, max(0, from.total-len(w.record.Skipped)))
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return Report{}, fmt.Errorf("stopped after %d images of %s; the same command continues from there: %w", w.N, w.out, ctx.Err())
	}
	if err != nil {
		return Report{}, err
	}
	if w.N == 0 {
		return Report{}, fmt.Errorf("%s: no image there could be read; the first: %s", w.record.Source, slices.Concat(w.record.Skipped, []string{"none"})[0])
	}
	head, err := w.finish()
	if err != nil {
		return Report{}, WriteError(w.out, err)
	}
	return Report{Shape: w.Shape, Provenance: w.record, Resumed: resumed, Pixels: hex.EncodeToString(head.Pixels[:])}, nil
}
