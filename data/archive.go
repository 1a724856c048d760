package data

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
)

// zip reads the members of a zip: images stay in it until they are wanted, everything else is read as the members of a
// tar are. It reports false for a .npz, which is one file to us.
func (r *reader) zip(source string, b []byte) (done bool, err error) {
	archive, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return true, fmt.Errorf("%s: cut short or damaged: %w; fetch it again", source, err)
	}
	if isNPZ(archive) && !isArchiveName(strings.ToLower(source)) {
		return false, nil
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
			r.images = append(r.images, zipEntry(f))
			continue
		}
		if others++; others > maxFiles {
			return true, fmt.Errorf("%s: more than %d files that are no images: this is no data set", source, maxFiles)
		}
		if f.UncompressedSize64 > maxMember {
			continue
		}
		member := source + "/" + f.Name
		if hint := splitOf(f.Name); r.split != "" && hint != "" && hint != r.split {
			r.otherSplit = append(r.otherSplit, fmt.Sprintf("%s (%s)", member, hint))
			continue
		}
		contents, err := inflate.Member(f)
		if err != nil {
			return true, damaged(member, err)
		}
		if err := r.content(member, contents); err != nil {
			return true, err
		}
	}
	return true, nil
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

// An LMDB starts with its meta page: a page header of 16 bytes, and the magic number after it.
func isLMDB(b []byte) bool { return len(b) >= 20 && binary.LittleEndian.Uint32(b[16:]) == 0xBEEFC0DE }

// errLMDB is how NVAE's LMDBs of CelebA and CelebA-HQ get here: there is no maintained reader in Go that needs no C
// library, and a script of six lines writes the images out.
var errLMDB = errors.New(`an LMDB, which is not read here; write its images to a folder with Python's lmdb, and open that: ` +
	`for k, v in lmdb.open(folder, readonly=True).begin().cursor(): ` +
	`NVAE's CelebA has files, open(k.decode() + ".jpg", "wb").write(v); its CelebA-HQ has pixels, ` +
	`numpy.save(k.decode(), numpy.frombuffer(v, "uint8").reshape(256, 256, 3))`)

// celebaSplits maps the names of CelebA's images to splits, by its list_eval_partition.txt: lines of name and 0, 1 or
// 2, with spaces, or with commas and a head as Kaggle has them.
func celebaSplits(b []byte) (map[string]Split, error) {
	splits := map[string]Split{}
	for i, line := range strings.Split(string(b), "\n") {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == '\r' || r == '\t' })
		if len(fields) == 0 || i == 0 && fields[0] == "image_id" {
			continue
		}
		if len(fields) != 2 || len(fields[1]) != 1 || fields[1] < "0" || fields[1] > "2" {
			return nil, fmt.Errorf("list_eval_partition: line %d is %.40q: want a file name and 0 (train), 1 (valid) or 2 (test); fetch it again", i+1, line)
		}
		splits[fields[0]] = []Split{Train, Valid, Test}[fields[1][0]-'0']
	}
	return splits, nil
}

// partition keeps CelebA's images of the split.
func partition(entries []entry, list []byte, split Split) ([]entry, error) {
	splits, err := celebaSplits(list)
	if err != nil {
		return nil, err
	}
	var kept []entry
	for _, e := range entries {
		name := path.Base(e.name)
		s, ok := splits[name]
		if !ok { // PNG copies keep the number
			s, ok = splits[strings.TrimSuffix(name, filepath.Ext(name))+".jpg"]
		}
		if !ok {
			return nil, fmt.Errorf("list_eval_partition has no line for %s: fetch both again", e.name)
		}
		if s == split || split == "" {
			kept = append(kept, e)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("list_eval_partition has no %s images among those there", split)
	}
	return kept, nil
}
