package data

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options says which images Open returns and in which form. The zero value is the training split,
// or the whole of a single file, as stored.
type Options struct {
	Split Split  // "" is Train; a single file given by its path may then hold any split
	Path  string // where a known set lies, instead of where it is usually found
	Size  int    // pad with zeros to Size×Size; 0: keep the size
	RGB   bool   // repeat a gray channel three times
}

// Open reads the data set at source: a known name (see [Names]), or the path of a file, a folder or
// a .tar.gz. A known name wins; "./mnist" is then the path. It reads IDX, gzipped or not, and
// CIFAR's binary and Python batches.
//
// A known set is also checked for shape and number of images, and [Known.Verify] checks every byte.
// Its errors name the file, what is wrong and the remedy.
func Open(source string, o Options) (*Set, error) {
	if o.Split != "" && o.Split != Train && o.Split != Test {
		return nil, fmt.Errorf("data: split %q: want %q or %q", o.Split, Train, Test)
	}
	set, err := open(source, o)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if o.RGB {
		set, err = replace(set, set.RGB(), nil)
	}
	if err == nil && o.Size != 0 && (o.Size != set.H || o.Size != set.W) {
		padded, padErr := set.Pad(o.Size)
		set, err = replace(set, padded, padErr)
	}
	return set, err
}

// replace closes old where it gave way to another, or to an error.
func replace(old, now *Set, err error) (*Set, error) {
	if now != old {
		err = errors.Join(err, old.Close())
	}
	if err != nil {
		return nil, err
	}
	return now, nil
}

func open(source string, o Options) (*Set, error) {
	known, err := Lookup(source)
	if err != nil {
		if o.Path != "" {
			return nil, fmt.Errorf("%q is no known set, so a path besides it means nothing; known: %s", source, strings.Join(Names(), ", "))
		}
		return load(source, o.Split)
	}
	path, err := known.Locate(o.Path)
	if err != nil {
		return nil, err
	}
	set, err := load(path, o.Split)
	if err != nil {
		return nil, err
	}
	if err := known.check(set); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), set.Close())
	}
	set.Name, set.Classes = known.Name, known.Classes
	return set, nil
}

// load reads the split of whatever lies at path.
func load(path string, split Split) (*Set, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no file or folder %s; known sets are %s", path, strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	var r reader
	defer r.release()
	if info.IsDir() {
		r.split = cmp.Or(split, Train)
		err = r.folder(path, 0)
	} else {
		r.split, r.lone = split, true
		err = r.file(path)
		if err == nil {
			err = r.labelsBeside(path)
		}
	}
	if err != nil {
		return nil, err
	}
	set, err := r.assemble(path)
	if err != nil {
		return nil, err
	}
	if set.Name == "" {
		set.Name = stem(path)
	}
	return set, nil
}

// assemble makes one set of the parts that were read, or says why it cannot.
func (r *reader) assemble(path string) (*Set, error) {
	images, labels := r.of(idxImages), r.of(idxLabels)
	batches := r.of(cifar)
	switch {
	case len(images) == 0 && len(batches) == 0:
		return nil, r.nothing(path, labels)
	case len(images) > 0 && len(batches) > 0:
		return nil, ambiguous(path, images[0], batches[0])
	case len(images) > 1:
		return nil, ambiguous(path, images[0], images[1])
	case len(images) == 1:
		return r.assembleIDX(images[0], labels)
	}
	slices.SortStableFunc(batches, func(a, b *part) int { return strings.Compare(a.source, b.source) })
	first := batches[0]
	for _, p := range batches[1:] {
		if p.name != first.name || filepath.Dir(p.source) != filepath.Dir(first.source) {
			return nil, ambiguous(path, first, p)
		}
	}
	set := concat(batches)
	set.Name, set.Split = first.name, first.split
	for _, p := range batches {
		set.Files = append(set.Files, p.source)
	}
	if k, err := Lookup(set.Name); err == nil {
		set.Classes = k.Classes
	}
	return set, nil
}

func (r *reader) assembleIDX(images *part, labels []*part) (*Set, error) {
	set := newSet(images.Shape, images.pixels, nil)
	set.Split, set.Files = images.split, []string{images.source}
	switch len(labels) {
	case 0:
	case 1:
		l := labels[0]
		if l.N != images.N {
			return nil, fmt.Errorf("%s: %d labels for the %d images of %s; one of the two is not what it should be: fetch both again",
				l.source, l.N, images.N, images.source)
		}
		set.Labels, set.Files = l.labels, append(set.Files, l.source)
		if k, ok := identify(l.labels); ok {
			set.Name, set.Classes = k.Name, k.Classes
		}
	default:
		return nil, ambiguous(filepath.Dir(images.source), labels[0], labels[1])
	}
	set.unmap, images.unmap = images.unmap, nil // the set owns the mapping now
	return set, nil
}

func ambiguous(path string, a, b *part) error {
	return fmt.Errorf("%s: both %s and %s fit; give the path of one of them", path, a.source, b.source)
}

// nothing is the error for a place without images of the split: it says what was there instead.
func (r *reader) nothing(path string, labels []*part) error {
	want := "images"
	if r.split != "" {
		want = string(r.split) + " images"
	}
	saw := slices.Concat(r.other, r.unread)
	if len(labels) > 0 {
		saw = append(saw, labels[0].source+": labels only")
	}
	hint := "want IDX or CIFAR files, an unpacked folder or a .tar.gz of them"
	if len(saw) == 0 {
		return fmt.Errorf("%s: no %s there: it holds no readable file; %s", path, want, hint)
	}
	more := ""
	if len(saw) > 3 {
		more = fmt.Sprintf(", and %d more", len(saw)-3)
		saw = saw[:3]
	}
	return fmt.Errorf("%s: no %s there, only %s%s; %s", path, want, strings.Join(saw, ", "), more, hint)
}
