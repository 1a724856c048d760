package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/google/renameio/v2"
)

// WriteAtomic replaces the file at path by the bytes that write writes. They go to a temporary file in the same folder. When they
// are on the disk, this file is renamed to path. So path has all of the old bytes or all of the new ones at any time, also after
// a power cut. On an error, or a panic in write, the temporary file is removed and path stays as it was.
//
// The new file has the permissions of the old one. If path is a symbolic link, the file that it names is replaced. A
// device or a pipe, such as /dev/stdout, is written to and not replaced.
func WriteAtomic(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return writeThrough(path, write)
	}
	name := path
	for range maxLinks { // also a link to a file that does not exist yet
		target, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(name), target)
		}
		name = target
	}
	dir := filepath.Dir(name)
	file, err := renameio.NewPendingFile(name, renameio.WithTempDir(dir), renameio.WithPermissions(0o666), renameio.WithExistingPermissions())
	if err != nil {
		return WriteError(path, err)
	}
	defer file.Cleanup()
	buffer := bufio.NewWriterSize(file, 1<<20) // tensors are written as one small header or one big array at a time
	err = write(buffer)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	if err == nil {
		err = syncFolder(dir)
	}
	return WriteError(path, err)
}

// maxLinks is the number of links that Linux follows.
const maxLinks = 40

// writeThrough writes to a device or a pipe.
func writeThrough(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(write(file), file.Close())
	}
	return WriteError(path, err)
}

// WriteBytes is WriteAtomic of bytes.
func WriteBytes(path string, b []byte) error {
	return WriteAtomic(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// WriteJSON is WriteAtomic of v as indented JSON.
func WriteJSON(path string, v any) error {
	return WriteAtomic(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// syncFolder makes a rename in dir durable, unless the file system refuses to sync a folder, as some of networks do.
func syncFolder(dir string) error {
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

// WriteError says which file could not be written, on one line without the name of the temporary file. If the disk is
// full, it says what to do.
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

// temporaryName is a dot, the name of the file and renameio's random int64, or the ending that older versions used.
var temporaryName = regexp.MustCompile(`^\..*(\D\d{12,19}|.\.tmp-\d+-[0-9a-f]+)$`)

// RemoveTemporaries deletes the temporary files in dir that WriteAtomic left when it was killed. Nobody may be writing
// there.
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

// IsTemporary reports whether a file's name is that of a temporary file of WriteAtomic.
func IsTemporary(name string) bool { return temporaryName.MatchString(name) }
