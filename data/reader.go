package data

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
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
	maxDepth = 8         // levels of folders below the given one
	maxFiles = 10_000    // files in a folder, without images
	block    = 512       // bytes of a block of a tar; the magic word is in the first block
	trailer  = 64 * 1024 // bytes to read after the contents of an archive, to reach its checksum
)

// folder reads the files below path. Of x and x.gz, both of which torchvision leaves, it takes x. It reads archives only if
// there are no other files of the set beside them.
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
	var archives []string
	for _, e := range entries {
		name, full := e.Name(), filepath.Join(path, e.Name())
		info, err := os.Stat(full) // follows links, as ReadDir does not
		if err != nil || strings.HasPrefix(name, ".") {
			continue // a dangling link, or a hidden file
		}
		plain, gz := strings.CutSuffix(name, ".gz")
		switch {
		case info.IsDir() && depth == maxDepth:
			err = fmt.Errorf("%s is more than %d levels below the given folder; give a folder that is nearer to the images", full, maxDepth)
		case info.IsDir():
			err = r.folder(full, depth+1)
		case !info.Mode().IsRegular() || gz && names[plain]:
		case isArchiveName(name):
			archives = append(archives, full)
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
	if len(r.images) > 0 || slices.ContainsFunc(r.parts, func(p *part) bool { return p.kind != idxLabels }) {
		return nil
	}
	return r.archives(archives)
}

// archives reads the archives of a folder. The name of an archive may tell the split of its image files, as train.zip does, unless their
// folders tell it. Two archives of one split are refused, since one is probably a copy.
func (r *reader) archives(paths []string) error {
	read := map[Split]string{}
	for _, path := range paths {
		before, split := len(r.images), splitOfName(stem(path))
		if err := r.file(path); err != nil {
			return err
		}
		if len(r.images) == before {
			continue
		}
		for other, first := range read {
			if other == split || other == "" || split == "" {
				return fmt.Errorf("both %s and %s have images; give the path of one of them, or unpack both", first, path)
			}
		}
		read[split] = path
		for i := range r.images[before:] {
			e := &r.images[before+i]
			e.split = cmp.Or(e.split, split)
		}
	}
	return nil
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

func isArchiveName(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".zip")
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

func isGzip(b []byte) bool { return len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b }

// isZip reports whether b starts as a zip, with or without members.
func isZip(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}

func isTar(b []byte) bool { return len(b) >= block && string(b[257:262]) == "ustar" }

// gzip reads a gzipped tar, or gzipped IDX, whose header tells its size.
func (r *reader) gzip(source string, b []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(b))
	var start []byte
	if err == nil {
		start, err = inflate.UpTo(z, block)
	}
	if err != nil {
		return r.refuse(source, damaged(source, err))
	}
	all := io.MultiReader(bytes.NewReader(start), z)
	if isTar(start) && !r.archived {
		return r.tar(source, all, len(b))
	}
	if r.inOther(source, splitOf(source)) {
		return nil
	}
	if !isIDX(start) {
		p, err := parse(source, start)
		if p != nil || err != nil && !strings.Contains(source, "ubyte") {
			err = errors.New("of gzipped files only IDX is read; unpack it with gunzip")
		}
		if err != nil {
			return r.refuse(source, fmt.Errorf("%s: %w", source, err))
		}
		return r.add(source, nil, start)
	}
	header, err := idxHeader(start)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if header.total > uint64(maxHeld()) {
		return fmt.Errorf("%s: its header declares %d bytes: %w", source, header.total, tooBig())
	}
	data, err := inflate.Exactly(all, header.total, uint64(len(b)))
	if err != nil {
		return damaged(source, err)
	}
	return r.plain(source, data)
}

// tar reads the members of an archive in order, each in memory. packed is the size of the archive's file.
func (r *reader) tar(source string, from io.Reader, packed int) error {
	r.split, r.single, r.archived = cmp.Or(r.split, Train), false, true
	defer func() { r.archived = false }()
	archive := tar.NewReader(from)
	for count := 0; ; count++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, io.LimitReader(from, trailer)) // to the gzip checksum
			return damaged(source, err)
		}
		if err != nil {
			return damaged(source, err)
		}
		if count > maxFiles {
			return fmt.Errorf("%s: more than %d files: this is not a CIFAR or IDX archive", source, maxFiles)
		}
		member := source + "/" + h.Name
		if h.Typeflag != tar.TypeReg || h.Size > int64(maxHeld()) || len(h.Name) > block || strings.HasPrefix(filepath.Base(h.Name), ".") {
			continue
		}
		if err := r.member(member, func() ([]byte, error) { return inflate.Exactly(archive, uint64(h.Size), uint64(packed)) }); err != nil {
			return err
		}
	}
}

// member reads a member of an archive, unless it is of another split.
func (r *reader) member(name string, read func() ([]byte, error)) error {
	if r.inOther(name, splitOf(name)) {
		return nil
	}
	contents, err := read()
	if err != nil {
		return damaged(name, err)
	}
	return r.content(name, contents)
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
