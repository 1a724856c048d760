package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// WriteAtomic replaces the file at path by what write writes: into a temporary file beside it, synced to the disk before
// it takes the name, so that at every instant, power cuts included, path holds either all of the old bytes or all of the
// new. On any error, or a panic in write, the temporary file is removed and path is as it was.
func WriteAtomic(path string, write func(io.Writer) error) (err error) {
	dir, base := filepath.Split(filepath.Clean(path))
	temporary := filepath.Join(dir, fmt.Sprintf(".%s.tmp-%d-%x", base, os.Getpid(), rand.Uint64()))
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return WriteError(path, err)
	}
	placed := false
	defer func() {
		if !placed {
			file.Close() // harmless when closed
			os.Remove(temporary)
		}
	}()

	buffer := bufio.NewWriterSize(file, 1<<20) // tensors arrive one small header or one big array at a time
	err = write(buffer)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return WriteError(path, err)
	}
	placed = true
	return WriteError(path, syncFolder(dir))
}

// syncFolder makes a rename in dir durable. Some network file systems refuse to sync a folder; there a rename is as
// durable as it gets.
func syncFolder(dir string) error {
	if dir == "" {
		dir = "."
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// WriteError says which file could not be written. A full disk ends many long runs: that message says what to do, on one
// line, without the name of the temporary file.
func WriteError(path string, err error) error {
	if err == nil {
		return nil
	}
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("write %s: %w; what was saved before is intact: free space and run the same command again", path, full)
		}
	}
	var inner *os.PathError
	if errors.As(err, &inner) && inner == err {
		err = inner.Err
	}
	return fmt.Errorf("write %s: %w", path, err)
}

var temporaryName = regexp.MustCompile(`^\..+\.tmp-\d+-[0-9a-f]+$`)

// RemoveTemporaries deletes what a killed WriteAtomic left in dir. Nobody may be writing there.
func RemoveTemporaries(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() && temporaryName.MatchString(entry.Name()) {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// IsTemporary reports whether a file's name is that of an unfinished WriteAtomic.
func IsTemporary(name string) bool { return temporaryName.MatchString(name) }
