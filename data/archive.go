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
