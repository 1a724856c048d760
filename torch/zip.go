package torch

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/liebm/liebm/internal/inflate"
)

// stored is the contents of a member of an archive that is not compressed: a view of the file.
func stored(file []byte, f *zip.File) ([]byte, error) {
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
		return nil, fmt.Errorf("damaged: its %.80q has another checksum than it should; fetch it again", f.Name)
	}
	return contents, nil
}

// unzipped is the contents of a member of an archive, of no more bytes than the file can hold.
func unzipped(file []byte, f *zip.File) ([]byte, error) {
	if f.Method == zip.Store {
		return stored(file, f)
	}
	contents, err := inflate.Member(f)
	if err != nil {
		return nil, fmt.Errorf("cut short or damaged: its %.80q: %w; fetch it again", f.Name, err)
	}
	return contents, nil
}

// swapped is data with the bytes of each element in reverse.
func swapped(data []byte, size int) []byte {
	out := slices.Clone(data)
	for i := 0; i+size <= len(out); i += size {
		slices.Reverse(out[i : i+size])
	}
	return out
}
