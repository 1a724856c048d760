package data

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/internal/inflate"
)

// Verify compares every byte of the set at path, or at its usual place if path is "", with the published checksums. IDX
// files are compared decompressed, because Debian and others compress them again. The error has a line for each file that
// is missing or wrong, with the checksum it should have.
//
// The unpacked binary batches of CIFAR have no published checksums. Verify their archive.
func (k Known) Verify(path string) error {
	path, err := k.Locate(path)
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err == nil && info.IsDir() {
		err = k.verifyFolder(path)
	} else if err == nil {
		err = k.verifyFile(path)
	}
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

func (k Known) verifyFolder(path string) error {
	found := map[string]string{} // name without .gz → path
	err := walk(path, 0, func(full string, info fs.FileInfo) {
		name := info.Name()
		if !isArchiveName(name) {
			name = strings.TrimSuffix(name, ".gz")
		}
		if info.Mode().IsRegular() && found[name] == "" {
			found[name] = full
		}
	})
	if err != nil {
		return err
	}
	listed := false
	var wrong []error
	for _, fileSet := range k.fileSets {
		if !slices.ContainsFunc(fileSet, func(f file) bool { return found[f.name] != "" }) {
			continue
		}
		listed = true
		for _, f := range fileSet {
			if found[f.name] == "" {
				wrong = append(wrong, fmt.Errorf("%s: missing; %s", filepath.Join(path, f.name), k.elsewhere(f, found)))
			} else if err := f.verify(found[f.name]); err != nil {
				wrong = append(wrong, fmt.Errorf("%w; fetch it again from %s", err, k.URL))
			}
		}
	}
	if !listed {
		return fmt.Errorf("%s: no file there has a published checksum; fetch %s and verify that file", path, k.URL)
	}
	return errors.Join(wrong...)
}

// elsewhere is the remedy for a missing file: rename it, if it is there under another name, or fetch it.
func (k Known) elsewhere(missing file, found map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if isImageName(name) || slices.ContainsFunc(slices.Concat(k.fileSets...), func(f file) bool { return f.name == name }) {
			continue
		}
		if have, err := digests(found[name]); err == nil && missing.has(have) {
			return fmt.Sprintf("%s has its content: rename that", found[name])
		}
	}
	return "fetch it from " + k.URL
}

// verifyFile verifies a single file, which may have any name.
func (k Known) verifyFile(path string) error {
	have, err := digests(path)
	if err != nil {
		return err
	}
	wrong := fmt.Errorf("%s: its checksum is none of %s's", path, k.Title)
	for _, f := range slices.Concat(k.fileSets...) {
		if f.has(have) {
			return nil
		}
		if f.name == strings.TrimSuffix(filepath.Base(path), ".gz") || f.name == filepath.Base(path) {
			wrong = f.verify(path)
		}
	}
	return fmt.Errorf("%w; fetch it again from %s", wrong, k.URL)
}

// has reports whether the file has one of the checksums.
func (f file) has(sums []string) bool {
	return slices.Contains(sums, f.sha256) || slices.Contains(sums, f.md5)
}

// digests are the checksums of a file that may be published: SHA-256 and MD5, of the file and of its decompressed contents.
func digests(path string) (all []string, err error) {
	for _, decompress := range []bool{false, true} {
		sums := []hash.Hash{sha256.New(), md5.New()}
		if err := digest(io.MultiWriter(sums[0], sums[1]), path, decompress); err != nil {
			return nil, err
		}
		for _, sum := range sums {
			all = append(all, hex.EncodeToString(sum.Sum(nil)))
		}
	}
	return all, nil
}

// FileSHA256 is the SHA-256 of a file, in hex. It is empty if there is an error.
func FileSHA256(path string) (string, error) {
	h := sha256.New()
	if err := digest(h, path, false); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Verify checks the file at path, which may have any name: a prepared file against its own checksum, any other against the
// checksums of all known sets. It returns a description of the file.
func Verify(path string) (string, error) {
	if err := VerifyPrepared(path); !errors.Is(err, errNotPrepared) {
		return "a prepared set", err
	}
	have, err := digests(path)
	if err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	for _, k := range known() {
		for _, f := range slices.Concat(k.fileSets...) {
			if f.has(have) {
				return fmt.Sprintf("%s of %s", f.name, k.Title), nil
			}
		}
	}
	return "", fmt.Errorf("data: %s: SHA-256 %s is that of no published file of %s; name the set to see the right one", path, have[0], strings.Join(Names(), ", "))
}

// verify compares one file with its checksum, if it has one.
func (f file) verify(path string) error {
	var h hash.Hash = sha256.New()
	want, algorithm := f.sha256, "SHA-256"
	if want == "" {
		h, want, algorithm = md5.New(), f.md5, "MD5"
	}
	if want == "" {
		return nil
	}
	if err := digest(h, path, !f.packed); err != nil {
		return fmt.Errorf("%w: its %s should be %s", err, algorithm, want)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%s: %s %s, should be %s", path, algorithm, got, want)
	}
	return nil
}

// digest writes a file to h. With decompress, a gzipped file is decompressed.
func digest(h io.Writer, path string, decompress bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	start, err := inflate.UpTo(f, 3)
	if err != nil {
		return err
	}
	from := io.MultiReader(bytes.NewReader(start), f)
	if decompress && isGzip(start) {
		z, err := gzip.NewReader(from)
		if err != nil {
			return fmt.Errorf("%s: damaged: %w", path, err)
		}
		from = z
	}
	if _, err := io.Copy(h, from); err != nil {
		return fmt.Errorf("%s: cut short or damaged: %w", path, err)
	}
	return nil
}
