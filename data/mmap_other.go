//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package data

import (
	"io"
	"os"
)

// mapping reads the first size bytes of f: here Go's syscall package has no Mmap.
func mapping(f *os.File, size int) (data []byte, unmap func() error, err error) {
	data = make([]byte, size)
	_, err = io.ReadFull(f, data)
	return data, func() error { return nil }, err
}
