// Package inflate unpacks files of unknown origin. No allocation exceeds what the packed bytes can hold, nor what they
// really hold.
package inflate

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

const (
	most  = 1032      // deflate cannot expand its input by more
	slack = 64 * 1024 // and a tiny input may be padded
)

// Limit is the largest number of bytes that packed bytes can hold.
func Limit(packed uint64) int64 { return int64(min(packed, (math.MaxInt64-slack)/most)*most + slack) }

// Exactly reads want bytes, the size in a header, from a file of packed bytes. It reads to the end, where gzip and zip
// compare their checksums.
func Exactly(from io.Reader, want, packed uint64) ([]byte, error) {
	if want > uint64(Limit(packed)) {
		return nil, fmt.Errorf("its header declares %d bytes, more than its %d bytes can hold", want, packed)
	}
	data, err := UpTo(from, int(want)+1)
	switch {
	case err != nil:
		return nil, err
	case len(data) < int(want):
		return nil, fmt.Errorf("it ends after %d of %d bytes", len(data), want)
	case len(data) > int(want):
		return nil, fmt.Errorf("it goes on after the %d bytes that its header declares", want)
	}
	return data, nil
}

// UpTo reads n bytes, or fewer if there are fewer.
func UpTo(from io.Reader, n int) ([]byte, error) { return io.ReadAll(io.LimitReader(from, int64(n))) }

// Stored is the contents of a member of the zip in file that is not compressed: a view of the file, whose checksum was
// compared.
func Stored(file []byte, f *zip.File) ([]byte, error) {
	at, err := f.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("damaged: its %.80q: %w; fetch it again", f.Name, err)
	}
	size := f.UncompressedSize64
	if at < 0 || at > int64(len(file)) || size != f.CompressedSize64 || size > uint64(int64(len(file))-at) {
		return nil, fmt.Errorf("cut short: its %.80q has %d bytes at %d of %d; fetch it again", f.Name, size, at, len(file))
	}
	contents := file[at : at+int64(size)]
	if crc32.ChecksumIEEE(contents) != f.CRC32 {
		return nil, fmt.Errorf("damaged: its %.80q has a wrong checksum; fetch it again", f.Name)
	}
	return contents, nil
}

// Contents is the contents of any member of the zip in file.
func Contents(file []byte, f *zip.File) ([]byte, error) {
	if f.Method == zip.Store {
		return Stored(file, f)
	}
	contents, err := Member(f)
	if err != nil {
		return nil, fmt.Errorf("cut short or damaged: its %.80q: %w; fetch it again", f.Name, err)
	}
	return contents, nil
}

// Member reads a member of a zip. It checks that the size is possible and the checksum right.
func Member(f *zip.File) ([]byte, error) {
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	return Exactly(from, f.UncompressedSize64, f.CompressedSize64)
}
