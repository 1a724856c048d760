// Package inflate unpacks what came from anywhere: no allocation exceeds what the packed bytes can hold, nor by more
// than a factor of two what they did.
package inflate

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	most  = 1032      // deflate cannot expand its input by more
	slack = 64 * 1024 // and a tiny input may be padded
)

// Limit is the most bytes that so many packed ones can hold.
func Limit(packed uint64) int64 { return int64(min(packed, (math.MaxInt64-slack)/most)*most + slack) }

// Exactly reads want bytes, the size that a header declared, from a file of packed bytes, and to its end, where gzip
// and zip compare their checksums.
func Exactly(from io.Reader, want, packed uint64) ([]byte, error) {
	if want > uint64(Limit(packed)) {
		return nil, fmt.Errorf("its header declares %d bytes, more than its %d bytes can hold", want, packed)
	}
	data, err := UpTo(from, int(want))
	if err != nil {
		return nil, err
	}
	if len(data) < int(want) {
		return nil, fmt.Errorf("it ends after %d of %d bytes", len(data), want)
	}
	var one [1]byte
	if n, err := io.ReadFull(from, one[:]); n > 0 {
		return nil, fmt.Errorf("it goes on after the %d bytes that its header declares", want)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// UpTo reads n bytes, or as many as there are. Its buffer grows with what really comes.
func UpTo(from io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, 1<<20))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			bigger := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(bigger, buf)
			buf = bigger
		}
		k, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+k]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// Member reads a member of a zip, checking that its size is possible and its checksum right.
func Member(f *zip.File) ([]byte, error) {
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	return Exactly(from, f.UncompressedSize64, f.CompressedSize64)
}
