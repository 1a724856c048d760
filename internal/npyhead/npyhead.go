// Package npyhead has npyio read the header of a .npy file that came from anywhere.
package npyhead

import (
	"errors"
	"io"

	"github.com/sbinet/npyio/npy"
)

// Read reads a header. npyio panics on some that make no sense, which is an error here; it believes
// any length, which is the caller's to bound.
func Read(r io.Reader) (h npy.Header, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("no dict of descr, fortran_order and shape")
		}
	}()
	reader, err := npy.NewReader(r)
	if err != nil {
		return h, err
	}
	return reader.Header, nil
}
