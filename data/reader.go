package data

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A part is the contents of one file: IDX images, IDX labels, images and labels, or a prepared set. A part of labels has no pixels.
type part struct {
	*Set
	kind kind
	at   int // where pixels start in the file, if they are a view of it
}

type kind int

const (
	idxImages kind = iota + 1
	idxLabels
	cifar  // rows of 32×32: CIFAR and ImageNet 32
	arrays // images of any size: SVHN, .npy, .npz
	prepared
)

// A reader collects the parts of one split from a file or a folder.
type reader struct {
	split       Split             // "" takes any
	known       *Known            // the set that should be there, or nil
	raw         bool              // ignore prepared files, to read the files they were made from
	onPart      func(*part) error // takes each part as it is read; nil: they are collected in parts
	single      bool              // reading one file that is no archive: it must be readable
	archived    bool              // inside an archive: archives in it are ignored, since one can contain itself
	parts       []*part
	taken       *Set           // the set of the parts that the caller closes; release closes the others
	held        int            // bytes of pixels in parts, without mapped ones
	mapped      []byte         // the file that is read
	archives    []string       // of a folder
	images      []entry        // files of one image each, which are read later
	datasetJSON []byte         // labels of the images, in the format of EDM
	celeba      []byte         // splits of the images: list_eval_partition.txt
	root        string         // folder or archive that the names of images are relative to
	keep        []func() error // unmap the zips that images are read from
	otherSplit  []string       // files of another split
	measured    bool           // there are test or validation images, read or not; of a file that is not read, its name tells
	unread      []string       // files of other formats
}

// MaxMemory is the environment variable with the largest number of GiB of pixels that Open holds in memory. The default is 2, since
// SVHN's extra images have 1.6 GB. Files that are mapped do not count.
const MaxMemory = "LIEBM_MAX_MEMORY"

func maxHeld() int {
	if gib, err := strconv.ParseFloat(os.Getenv(MaxMemory), 64); err == nil && gib > 0 {
		return int(min(gib*(1<<30), 1<<60))
	}
	return 2 << 30
}

// ErrTooBig is part of the errors about data that need more memory than MaxMemory allows.
var ErrTooBig = errors.New("prepare the set, and open the prepared file")

func tooBig() error {
	return fmt.Errorf("more than %.4g GiB of pixels: %w", float64(maxHeld())/(1<<30), ErrTooBig)
}

const (
	maxDepth = 8      // levels of folders below the given one
	maxFiles = 10_000 // files in a folder, without images
)

// folder reads the files below path. Of x and x.gz, both of which torchvision leaves, it takes x. It lists archives, which
// [reader.openArchives] reads.
func (r *reader) folder(path string, depth int) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	names, few := map[string]bool{}, 0
	for _, e := range entries {
		names[e.Name()] = true
		if !isImageName(e.Name()) {
			few++
		}
	}
	if few > maxFiles {
		return fmt.Errorf("%s has %d files that are no images, too many for a data set; give the folder of the data set itself", path, few)
	}
	for _, e := range entries {
		name, full := e.Name(), filepath.Join(path, e.Name())
		info, err := os.Stat(full) // follows links, as ReadDir does not
		if err != nil || strings.HasPrefix(name, ".") {
			continue // a dangling link, or a hidden file
		}
		plain, gz := strings.CutSuffix(name, ".gz")
		switch {
		case info.IsDir() && depth == maxDepth:
			if hasImages(full) {
				err = fmt.Errorf("%s is more than %d levels below the given folder; give a folder that is nearer to the images", full, maxDepth)
			}
		case info.IsDir():
			err = r.folder(full, depth+1)
		case !info.Mode().IsRegular() || gz && names[plain]:
		case isArchiveName(name):
			r.archives = append(r.archives, full)
		case isImageName(name):
			r.addFile(full, info)
		case strings.HasSuffix(name, preparedEnding) && r.raw || strings.Contains(name, preparedEnding+"."):
		default:
			err = r.file(full)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasImages reports whether there are files with names of images below a folder. It does not follow links.
func hasImages(folder string) bool {
	found := errors.New("found")
	return filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && isImageName(e.Name()) {
			return found
		}
		return nil
	}) != nil
}

// walk calls visit for the file at path, or for all files in the folder at path, in the order of their names. Like
// reader.folder it follows links and reads maxDepth levels of folders below the first.
func walk(path string, depth int, visit func(path string, info fs.FileInfo)) error {
	info, err := os.Stat(path)
	switch {
	case err != nil && depth > 0:
		return nil // a dangling link
	case err != nil:
		return err
	case !info.IsDir():
		visit(path, info)
		return nil
	case depth > maxDepth:
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := walk(filepath.Join(path, e.Name()), depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// file maps one file and reads it. The mapping is kept if a part is a view of it.
func (r *reader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file; give a file or a folder", path)
	}
	if info.Size() == 0 {
		return r.content(path, nil)
	}
	data, unmap, err := mapping(f, int(info.Size()))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	before, images := len(r.parts), len(r.images)
	r.mapped = data
	err = r.content(path, data)
	for _, p := range r.parts[before:] {
		if p.isView(data) {
			p.unmap = unmap
			return err
		}
	}
	if len(r.images) > images {
		r.keep = append(r.keep, unmap)
		return err
	}
	return errors.Join(err, unmap())
}

// content reads the contents of a file or of a member of an archive.
func (r *reader) content(source string, b []byte) error {
	switch {
	case isGzip(b):
		return r.gzip(source, b)
	case isTar(b) && !r.archived:
		return r.tar(source, bytes.NewReader(b), len(b))
	case isZip(b) && !r.archived:
		return r.zip(source, b)
	}
	return r.plain(source, b)
}

// plain reads the contents of a file that is no archive.
func (r *reader) plain(source string, b []byte) error {
	switch filepath.Base(source) {
	case "dataset.json":
		r.datasetJSON = bytes.Clone(b)
		return nil
	case "list_eval_partition.txt", "list_eval_partition.csv":
		r.celeba = bytes.Clone(b)
		return nil
	case "data.mdb":
		return fmt.Errorf("%s: %w", source, errLMDB)
	}
	if r.inOther(source, splitOf(source)) {
		return nil // without reading it
	}
	p, err := parse(source, b)
	if err != nil {
		return r.refuse(source, fmt.Errorf("%s: %w", source, err))
	}
	return r.add(source, p, b)
}

// refuse returns the error of a file that cannot be read. If the file is one of many and its name is not that of a data set, it is
// probably another program's: refuse lists it and returns nil.
func (r *reader) refuse(source string, err error) error {
	if r.single || splitOf(source) != "" || strings.Contains(source, "ubyte") || isArchiveName(source) {
		return err
	}
	r.unread = append(r.unread, err.Error())
	return nil
}

func (r *reader) add(source string, p *part, start []byte) error {
	if p == nil {
		if r.single && len(start) == 0 {
			return fmt.Errorf("%s: empty file; fetch it again", source)
		}
		r.unread = append(r.unread, fmt.Sprintf("%s (starts with % x)", source, start[:min(4, len(start))]))
		return nil
	}
	p.Files = []string{source}
	if p.kind != prepared { // a prepared file without a split has all splits, whatever its name
		p.Split = cmp.Or(p.Split, splitOf(source))
	}
	if r.inOther(source, p.Split) {
		return nil
	}
	if r.onPart != nil {
		return r.onPart(p)
	}
	r.parts = append(r.parts, p)
	if p.isView(r.mapped) {
		return nil // not in memory
	}
	if r.held += len(p.pixels); r.held > maxHeld() {
		return tooBig()
	}
	return nil
}

// isView reports whether the pixels are a view of a mapped file.
func (p *part) isView(file []byte) bool {
	return len(p.pixels) > 0 && p.at < len(file) && &p.pixels[0] == &file[p.at]
}

// of lists the parts of one kind.
func (r *reader) of(k kind) (parts []*part) {
	for _, p := range r.parts {
		if p.kind == k {
			parts = append(parts, p)
		}
	}
	return parts
}

// release unmaps all files but that of the set that was taken.
func (r *reader) release() {
	for _, p := range r.parts {
		if p.Set != r.taken {
			p.Close()
		}
	}
	for _, unmap := range r.keep {
		unmap()
	}
}

// labelsBeside adds the labels beside a single file of IDX images, if they have the corresponding name.
func (r *reader) labelsBeside(path string) error {
	if images := r.of(idxImages); len(images) != 1 || images[0].Files[0] != path {
		return nil
	}
	name := strings.NewReplacer("images", "labels", "idx3", "idx1").Replace(filepath.Base(path))
	plain := strings.TrimSuffix(name, ".gz")
	return r.beside(path, plain, plain+".gz")
}

// beside reads the first of the files with these names that lies beside path.
func (r *reader) beside(path string, names ...string) error {
	path = filepath.Clean(path)
	for _, name := range names {
		other := filepath.Join(filepath.Dir(path), name)
		if _, err := os.Stat(other); err == nil && other != path {
			return r.file(other)
		}
	}
	return nil
}

// inOther reports whether source is of another split than the reader's. It notes source then.
func (r *reader) inOther(source string, split Split) bool {
	r.measured = r.measured || (split == Test || split == Valid) && namesImages(source)
	other := r.split != "" && split != "" && split != r.split
	if other {
		r.otherSplit = append(r.otherSplit, fmt.Sprintf("%s (%s)", source, split))
	}
	return other
}

// namesImages reports whether a file that need not be read holds images, by its name: notes and labels do not.
func namesImages(source string) bool {
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(source), ".gz"))
	switch filepath.Ext(name) {
	case ".npz", ".mat", preparedEnding: // these can hold both images and labels
		return true
	case "", ".bin", ".npy", ".pkl", ".pickle", ".idx", ".idx3", ".ubyte", ".idx3-ubyte":
		return !strings.Contains(name, "label")
	}
	return false
}

// stem is the name of a file or folder without its format's endings.
func stem(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	name := filepath.Base(path)
	for _, end := range []string{".gz", ".tar", ".tgz", ".bin", ".zip", ".mat", ".npy", ".npz", preparedEnding} {
		name = strings.TrimSuffix(name, end)
	}
	return name
}
