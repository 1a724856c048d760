package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
)

const (
	block   = 512       // bytes of a block of a tar; the magic word is in the first block
	trailer = 64 * 1024 // bytes to read after the contents of an archive, to reach its checksum
)

func isArchiveName(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".zip")
}

func isGzip(b []byte) bool { return len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b }

// isZip reports whether b starts as a zip, with or without members.
func isZip(b []byte) bool {
	return bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}

func isTar(b []byte) bool { return len(b) >= block && string(b[257:262]) == "ustar" }

// openArchives reads the archives of a folder if it has no other files of the set. The name or a folder of an archive may tell the split
// of its image files, as train.zip and train/images.zip do, unless their folders in it tell it. Two archives of one split are refused,
// since one is probably a copy.
func (r *reader) openArchives() error {
	if len(r.images) > 0 || slices.ContainsFunc(r.parts, func(p *part) bool { return p.kind != idxLabels }) {
		return nil
	}
	read := map[Split]string{}
	for _, path := range r.archives {
		before, split := len(r.images), splitOfName(stem(path))
		if inside, err := filepath.Rel(r.root, filepath.Dir(path)); err == nil {
			for _, folder := range strings.Split(filepath.ToSlash(inside), "/") {
				split = cmp.Or(split, folderSplit(folder))
			}
		}
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

// zip reads the members of a zip. Images are listed and read later; other members are read as those of a tar. A .npz counts
// as one file.
func (r *reader) zip(source string, b []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return damaged(source, err)
	}
	if isNPZ(archive) && !isArchiveName(strings.ToLower(source)) {
		return r.plain(source, b)
	}
	if !r.single && !isArchiveName(strings.ToLower(source)) {
		r.unread = append(r.unread, source+" (a zip with another ending)") // a document, say, with pictures in it
		return nil
	}
	r.split, r.single, r.archived = cmp.Or(r.split, Train), false, true
	defer func() { r.archived = false }()
	others := 0
	for _, f := range archive.File {
		base := path.Base(f.Name)
		switch {
		case f.FileInfo().IsDir() || strings.HasPrefix(base, ".") || strings.HasPrefix(f.Name, "__MACOSX/"):
			continue
		case isImageName(base):
			full := filepath.Join(r.root, filepath.FromSlash(f.Name))
			r.addImage(full, f.Name, f.UncompressedSize64, func() ([]byte, error) { return inflate.Member(f) })
			continue
		}
		if others++; others > maxFiles {
			return fmt.Errorf("%s: more than %d files that are no images: this is not a data set", source, maxFiles)
		}
		if f.UncompressedSize64 > uint64(maxHeld()) {
			continue
		}
		if err := r.member(source+"/"+f.Name, func() ([]byte, error) { return inflate.Member(f) }); err != nil {
			return err
		}
	}
	return nil
}

func damaged(source string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("%s: cut short or damaged: %w; fetch it again", source, err)
}

// isLMDB looks for the magic number, which follows a header of 16 bytes.
func isLMDB(b []byte) bool { return len(b) >= 20 && binary.LittleEndian.Uint32(b[16:]) == 0xBEEFC0DE }

// errLMDB says how to use NVAE's LMDBs of CelebA and CelebA-HQ.
var errLMDB = errors.New(`an LMDB, which liebm cannot read; write its images to a folder with Python's lmdb, and open the folder: ` +
	`for k, v in lmdb.open(folder, readonly=True).begin().cursor(): ` +
	`NVAE's CelebA has files, open(k.decode() + ".jpg", "wb").write(v); its CelebA-HQ has pixels, ` +
	`numpy.save(k.decode(), numpy.frombuffer(v, "uint8").reshape(256, 256, 3))`)

// celebaSplits reads CelebA's list_eval_partition.txt, which maps names of images to splits. A line has a name and 0, 1
// or 2, separated by spaces. Kaggle's has commas, and a header.
func celebaSplits(b []byte) (map[string]Split, error) {
	splits := map[string]Split{}
	for i, line := range strings.Split(string(b), "\n") {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == '\r' || r == '\t' })
		if len(fields) == 0 || i == 0 && fields[0] == "image_id" {
			continue
		}
		if len(fields) != 2 || len(fields[1]) != 1 || fields[1] < "0" || fields[1] > "2" {
			return nil, fmt.Errorf("list_eval_partition: line %d is %.40q, not a file name and 0 (train), 1 (valid) or 2 (test); fetch it again", i+1, line)
		}
		splits[fields[0]] = []Split{Train, Valid, Test}[fields[1][0]-'0']
	}
	return splits, nil
}

// partition returns CelebA's images of the split, and whether there are images for measuring.
func partition(entries []entry, list []byte, split Split) (kept []entry, measured bool, err error) {
	splits, err := celebaSplits(list)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		name := path.Base(e.name)
		s, ok := splits[name]
		if !ok { // PNG copies keep the number
			s, ok = splits[strings.TrimSuffix(name, filepath.Ext(name))+".jpg"]
		}
		if !ok {
			return nil, false, fmt.Errorf("list_eval_partition has no line for %s: fetch both again", e.name)
		}
		measured = measured || entry{split: s}.measures()
		if s == split || split == "" {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		return nil, false, missingSplit{fmt.Errorf("list_eval_partition names none of these images as %s images", split)}
	}
	return kept, measured, nil
}
