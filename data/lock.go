package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/gofrs/flock"
)

// ErrInUse says that another process, or another caller in this one, holds a lock.
var ErrInUse = errors.New("in use by another process")

// LockFile locks the file at path until the lock is closed, and makes the file if it is missing. The holder may replace the
// file by another one or remove it. If the file is locked already, LockFile waits or, without wait, returns ErrInUse.
// The kernel drops the lock when the process ends, also by a crash. On a file system without locks, LockFile locks nothing.
func LockFile(path string, wait bool) (lock io.Closer, err error) {
	for {
		l, free := flock.New(path, flock.SetPermissions(0o666)), true
		if wait {
			err = l.Lock()
		} else {
			free, err = l.TryLock()
		}
		switch {
		case err == nil && !free:
			return nil, fmt.Errorf("%s is %w", path, ErrInUse)
		case errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENOLCK):
			return l, nil
		case err != nil:
			return nil, WriteError(path, err)
		}
		mine, errMine := l.Stat()
		named, errNamed := os.Stat(path)
		if errMine == nil && errNamed == nil && os.SameFile(mine, named) {
			return l, nil
		}
		// The holder before replaced or removed the file after this call had opened it.
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
}
