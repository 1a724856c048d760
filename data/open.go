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

// Options says which images Open returns and in which form. The zero value is the training split of a set, or all of a
// single file, without changes.
type Options struct {
	Split Split  // "" is Train; for a single file given by its path, "" is any split
	Path  string // where a known set lies; "": one of its usual places
	Size  int    // make images Size×Size: arrays are padded with zeros, files of one image each are resized; 0: keep
	Scale bool   // resize arrays too, instead of padding
	Pad   int    // pad image files of Pad×Pad pixels too, as arrays; 0: resize all files
	Crop  string // one of Crops; "" is 148 for CelebA; for other sets it keeps square images whole
	RGB   bool   // repeat a gray channel three times
	Skip  bool   // leave out image files that cannot be read or do not fit, and list them in Set.Skipped

	Without []int // leave out the images with these labels
	Only    []int // keep only the images with these labels; empty: keep all labels

	// HoldOut is the share of images that training does not read. It is used for a source that is no known set and has no
	// test or validation images. Split [HeldOut] then returns the held-out images, with Test as their split, and Split Train
	// returns the others. The choice depends on the pixels of an image and on Seed. 0: do not divide.
	HoldOut float64
	Seed    uint64
}

// Open reads the data set at source: a known name (see [Names]), or the path of a file, a folder or an archive. If a
// folder has a known name, write "./mnist". Open reads IDX, gzipped or not, CIFAR's binary and Python batches, ImageNet
// 32's .npz and pickles, SVHN's .mat, .npy and .npz of images, folders and zips of PNG, JPEG, BMP, GIF, TIFF, WebP and
// .npy, and files of [Prepare].
//
// Files that cannot be mapped are held in memory. Prepare a set of more than 2 GiB of pixels first.
//
// A known set is checked for shape and number of images. [Known.Verify] checks every byte. Errors name the file, what is
// wrong and the remedy.
func Open(source string, o Options) (*Set, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	set, err := openPart(source, o)
	if err != nil || len(o.Without)+len(o.Only) == 0 {
		return set, err
	}
	kept, err := set.labelled(o)
	return replace(set, kept, err)
}

// labelled is the images whose labels o asks for.
func (s *Set) labelled(o Options) (*Set, error) {
	if s.Labels == nil {
		return nil, fmt.Errorf("data: %s has no labels, so no class can be left out", s.Name)
	}
	required := o.Only
	if o.Split == "" || o.Split == Train { // a smaller split may have no image of a class
		required = slices.Concat(o.Only, o.Without)
	}
	has := func(labels []int, label int32) bool { return slices.Contains(labels, int(label)) }
	for _, label := range required {
		if !slices.ContainsFunc(s.Labels, func(l int32) bool { return int(l) == label }) {
			return nil, fmt.Errorf("data: no image of %s has the label %d: use labels from %d to %d", s.Name, label, slices.Min(s.Labels), slices.Max(s.Labels))
		}
	}
	var kept []int
	for i, label := range s.Labels {
		if !has(o.Without, label) && (len(o.Only) == 0 || has(o.Only, label)) {
			kept = append(kept, i)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("data: all classes of %s are left out: leave out fewer", s.Name)
	}
	return s.Subset(kept), nil
}

// openWhole reads what the source has of a split, in the form that o asks for.
func openWhole(source string, o Options) (*Set, error) {
	set, err := open(source, o)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if o.RGB {
		set, err = replace(set, set.RGB(), nil)
	}
	if err == nil && o.Size != 0 && (o.Size != set.H || o.Size != set.W) {
		fit := set.Pad
		if o.Scale {
			fit = set.Resize
		}
		fitted, fitErr := fit(o.Size)
		set, err = replace(set, fitted, fitErr)
	}
	return set, err
}

func (o Options) check() error {
	if !slices.Contains([]Split{"", Train, Test, Valid, Extra, HeldOut}, o.Split) {
		return fmt.Errorf("split %q: use %q, %q, %q or %q", o.Split, Train, Test, Valid, Extra)
	}
	if !(o.HoldOut >= 0 && o.HoldOut <= 0.5) {
		return fmt.Errorf("hold out %v of the images: use a share of 0 to 0.5", o.HoldOut)
	}
	if o.Size < 0 || o.Size > maxSide {
		return fmt.Errorf("size %d: use 0…%d", o.Size, maxSide)
	}
	if o.Crop != "" && !slices.Contains(Crops(), o.Crop) {
		return fmt.Errorf("crop %q: use one of %s", o.Crop, strings.Join(Crops(), ", "))
	}
	return nil
}

// replace closes old if now is another set or err an error.
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
	path, known, err := locate(source, o)
	if err != nil {
		return nil, err
	}
	if known != nil {
		o.Split = cmp.Or(o.Split, Train)
	}
	if known != nil && known.stacked != "" {
		base, err := open(known.stacked, Options{Split: o.Split, Path: o.Path})
		if err != nil {
			return nil, err
		}
		return replace(base, stack(base, known.Name), nil)
	}
	set, err := load(path, known, o)
	if err != nil {
		return nil, err
	}
	if known == nil && o.Path != "" {
		set.Name = source
	}
	if known == nil {
		return set, nil
	}
	set.Split = cmp.Or(set.Split, o.Split)
	if err := known.check(set); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), set.Close())
	}
	set.Name, set.Classes = known.Name, known.Classes
	return set, nil
}

// locate is the path of source, and the known set if source is the name of one.
func locate(source string, o Options) (string, *Known, error) {
	known, err := Lookup(source)
	if err != nil {
		source = cmp.Or(o.Path, source) // any name will do for the set at a path
		if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
			return "", nil, fmt.Errorf("no file or folder %s; known sets are %s", source, strings.Join(Names(), ", "))
		}
		return source, nil, nil
	}
	if split := cmp.Or(o.Split, Train); known.Count(split) == 0 {
		return "", nil, fmt.Errorf("%s has no %s images; its splits are %v", known.Title, split, known.Splits())
	}
	path, err := known.Locate(o.Path)
	return path, &known, err
}

// load reads the split of the set at path. known may be nil.
func load(path string, known *Known, o Options) (*Set, error) {
	r := reader{known: known}
	defer r.release()
	if err := r.scan(path, o.Split); err != nil {
		return nil, err
	}
	r.preferPrepared(o.Size)
	if len(r.parts) == 0 && len(r.images) > 0 {
		return r.decodeAll(path, o)
	}
	set, err := r.assemble(path)
	if err != nil {
		return nil, err
	}
	if err := set.cropped(o.Crop); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	set.Name, set.measured = cmp.Or(set.Name, stem(path)), r.measured
	r.taken = set
	return set, nil
}

// cropped is an error if the images of s, which is not made of image files, were not cropped as asked.
func (s *Set) cropped(crop string) error {
	switch {
	case crop == "" || s.record != nil && s.record.Crop == crop:
		return nil
	case s.record != nil:
		return fmt.Errorf("prepared with crop %q, not %q; prepare it again, or leave out the crop", s.record.Crop, crop)
	case s.H == s.W && (crop == "center" || crop == "none"):
		return nil
	}
	return fmt.Errorf("crop %s is for files of one image each; prepare the set with it", crop)
}

// scan collects the parts of the split at path.
func (r *reader) scan(path string, split Split) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.root = path
	switch {
	case info.IsDir():
		r.split = cmp.Or(split, Train)
		if err = r.folder(path, 0); err == nil {
			err = r.openArchives()
		}
	case isPicture(path): // a set of one image
		r.split, r.root = split, filepath.Dir(path)
		r.addFile(path, info)
		return nil
	default:
		r.split, r.single = split, true
		err = r.file(path)
		if err == nil {
			err = r.labelsBeside(path)
		}
	}
	if err == nil && r.celeba == nil && len(r.images) > 0 { // CelebA's splits may lie beside its archive or folder
		err = r.beside(path, "list_eval_partition.txt", "list_eval_partition.csv")
	}
	r.measured = r.measured || slices.ContainsFunc(r.images, entry.measures)
	return err
}

// preferPrepared drops all parts but the prepared ones, if there are any. Of these it drops those of another size if at
// least one has the size.
func (r *reader) preferPrepared(size int) {
	anySize := func(p *part) bool { return p.kind == prepared }
	sized := func(p *part) bool { return p.kind == prepared && p.H == size }
	for _, fits := range []func(*part) bool{sized, anySize} {
		if slices.ContainsFunc(r.parts, fits) {
			for _, p := range r.parts {
				if !fits(p) {
					p.Close()
				}
			}
			r.parts = slices.DeleteFunc(r.parts, func(p *part) bool { return !fits(p) })
			return
		}
	}
}

// assemble makes one set of the parts that were read. The reader closes it, unless it is taken.
func (r *reader) assemble(path string) (*Set, error) {
	images, labels := r.of(idxImages), r.of(idxLabels)
	batches := slices.Concat(r.of(cifar), r.of(arrays))
	if sets := r.of(prepared); len(sets) > 0 {
		if len(sets) > 1 {
			return nil, ambiguous(path, sets[0], sets[1])
		}
		return sets[0].Set, nil
	}
	switch {
	case len(images) == 0 && len(batches) == 0:
		return nil, r.nothing(path, labels)
	case len(images) > 0 && len(batches) > 0:
		return nil, ambiguous(path, images[0], batches[0])
	case len(images) > 1:
		return nil, ambiguous(path, images[0], images[1])
	case len(images) == 1:
		return images[0].withLabels(labels)
	}
	slices.SortStableFunc(batches, func(a, b *part) int { return strings.Compare(a.Files[0], b.Files[0]) })
	first := batches[0]
	for _, p := range batches[1:] {
		if p.kind != first.kind || p.kind == arrays || p.Name != first.Name || filepath.Dir(p.Files[0]) != filepath.Dir(first.Files[0]) {
			return nil, ambiguous(path, first, p)
		}
	}
	set := concat(batches)
	if k, err := Lookup(set.Name); err == nil {
		set.Classes = k.Classes
	}
	return set, nil
}

// withLabels is the set of a file of IDX images and of the file of its labels, if there is one.
func (p *part) withLabels(labels []*part) (*Set, error) {
	switch len(labels) {
	case 0:
	case 1:
		l := labels[0]
		if l.N != p.N {
			return nil, fmt.Errorf("%s: %d labels for the %d images of %s; they do not belong together: fetch both again",
				l.Files[0], l.N, p.N, p.Files[0])
		}
		p.Labels, p.Files = l.Labels, append(p.Files, l.Files...)
		if k, ok := identify(l.Labels); ok {
			p.Name, p.Classes = k.Name, k.Classes
		}
	default:
		return nil, ambiguous(filepath.Dir(p.Files[0]), labels[0], labels[1])
	}
	return p.Set, nil
}

func ambiguous(path string, a, b *part) error {
	return fmt.Errorf("%s: both %s and %s fit; give the path of one of them", path, a.Files[0], b.Files[0])
}

// nothing is the error for a path without images of the split. It says which files are there.
func (r *reader) nothing(path string, labels []*part) error {
	want := "images"
	if r.split != "" {
		want = string(r.split) + " images"
	}
	saw := slices.Concat(r.otherSplit, r.unread)
	if len(labels) > 0 {
		saw = append(saw, labels[0].Files[0]+": labels only")
	}
	hint := "give IDX, CIFAR, .mat, .npy, .npz, PNG, JPEG or other picture files, a folder or a zip of them, or a .tar.gz of arrays"
	if len(saw) == 0 {
		return fmt.Errorf("%s: no %s there: it holds no readable file; %s", path, want, hint)
	}
	more := ""
	if len(saw) > 3 {
		more = fmt.Sprintf(", and %d more", len(saw)-3)
		saw = saw[:3]
	}
	err := fmt.Errorf("%s: no %s there, only %s%s; %s", path, want, strings.Join(saw, ", "), more, hint)
	if len(r.otherSplit) > 0 {
		return missingSplit{err}
	}
	return err
}
