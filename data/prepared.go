package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/liebm/liebm/internal/inflate"
)

// A prepared file is a set as it is in memory. All numbers are little-endian:
//
//	0      preparedHead, zeros up to 4096
//	4096   pixels: uint8 [n,h,w,c]
//	Labels int32 [n], or nothing
//	Index  the origins of images: a count, then for each origin its first image and the end of its name as
//	       uint64, then the names; an origin ends at the first image of the next
//	Record a JSON object: how the file was made
//	End    the length of the file
//
// Pixels start on a page, so that the file can be mapped.
type preparedHead struct {
	Magic                      [8]byte
	Version, Start             uint32
	N                          uint64
	H, W, C, _                 uint32
	Labels, Index, Record, End uint64
	Pixels, Contents           [sha256.Size]byte // of pixels; of everything from Start to End
}

const (
	preparedMagic   = "liebmset"
	preparedVersion = 1
	preparedStart   = 4096
	preparedEnding  = ".liebm"
)

// Provenance says how a prepared file was made.
type Provenance struct {
	Name    string   `json:"name"`
	Split   Split    `json:"split"`
	Crop    string   `json:"crop"` // "": none
	Size    int      `json:"size"` // 0: as stored
	Fit     string   `json:"fit"`  // "resize" (bilinear, antialiased), "pad" or ""
	RGB     bool     `json:"rgb"`
	Classes []string `json:"classes,omitempty"`
	Source  string   `json:"source"`        // path
	Stamp   string   `json:"source_stamp"`  // SHA-256 of the names, sizes and times of its files
	SHA256  string   `json:"source_sha256"` // of the SHA-256 of each image as it was read, including images that were left out
	Skipped []string `json:"skipped,omitempty"`
}

var errNotPrepared = errors.New("not a prepared file; prepare it again")

func isPrepared(b []byte) bool { return bytes.HasPrefix(b, []byte(preparedMagic)) }

// head reads and checks the header of a prepared file of size bytes.
func head(b []byte, size int64) (h preparedHead, err error) {
	length := binary.Size(h)
	if len(b) < preparedStart {
		return h, fmt.Errorf("%d bytes: cut short; prepare it again", len(b))
	}
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil {
		return h, err
	}
	if h.Version != preparedVersion {
		return h, fmt.Errorf("prepared by another version (format %d, this is %d); prepare it again", h.Version, preparedVersion)
	}
	padding := b[length+crc32.Size : preparedStart]
	if crc32.ChecksumIEEE(b[:length]) != binary.LittleEndian.Uint32(b[length:]) || len(bytes.Trim(padding, "\x00")) > 0 {
		return h, errors.New("its header is damaged; prepare it again")
	}
	image := uint64(h.H) * uint64(h.W) * uint64(h.C)
	labelled := h.Index - h.Labels
	switch {
	case h.Start != preparedStart || h.H > maxSide || h.W > maxSide || h.C != 1 && h.C != 3 || image == 0 || h.N < 1 || h.N > 1<<50/image,
		h.Labels != preparedStart+h.N*image, labelled != 0 && labelled != 4*h.N, h.Index > h.Record || h.Record > h.End:
		return h, errors.New("its header is damaged; prepare it again")
	case int64(h.End) != size:
		return h, fmt.Errorf("%d bytes, but its header declares %d: cut short or damaged; prepare it again", size, h.End)
	}
	return h, nil
}

// parsePrepared makes a set that is a view of b, a whole prepared file. It does not compare checksums, for which it would
// have to read all of the file.
func parsePrepared(b []byte) (*part, error) {
	h, err := head(b, int64(len(b)))
	if err != nil {
		return nil, err
	}
	var record Provenance
	if err := json.Unmarshal(b[h.Record:], &record); err != nil {
		return nil, errors.New("its record is damaged; prepare it again")
	}
	shape := Shape{int(h.N), int(h.H), int(h.W), int(h.C)}
	set := newSet(shape, b[preparedStart:h.Labels], nil)
	for at := h.Labels; at < h.Index; at += 4 {
		set.Labels = append(set.Labels, int32(binary.LittleEndian.Uint32(b[at:])))
	}
	sum := hex.EncodeToString(h.Pixels[:])
	set.sum = func() string { return sum }
	index := slices.Clone(b[h.Index:h.Record]) // images of the set may outlive the mapping
	if n := len(index); n < 8 || binary.LittleEndian.Uint64(index) > uint64(n-8)/16 {
		return nil, errors.New("its index is damaged; prepare it again")
	}
	set.origin = func(i int) string { return originOf(index, i) }
	set.Name, set.Split, set.Classes, set.record = record.Name, record.Split, record.Classes, &record
	set.Skipped, set.Fit = record.Skipped, record.Fit
	return &part{set, prepared, preparedStart}, nil
}

// Prepared says how the set's file was prepared. It is nil for other sets.
func (s *Set) Prepared() *Provenance { return s.record }

// originOf finds the origin of image i in the index of a prepared file.
func originOf(index []byte, i int) string {
	count := int(binary.LittleEndian.Uint64(index))
	table, names := index[8:8+16*count], index[8+16*count:]
	at := sort.Search(count, func(k int) bool { return binary.LittleEndian.Uint64(table[16*k:]) > uint64(i) }) - 1
	if at < 0 {
		return ""
	}
	start, end := uint64(0), binary.LittleEndian.Uint64(table[16*at+8:])
	if at > 0 {
		start = binary.LittleEndian.Uint64(table[16*at-8:])
	}
	if start > end || end > uint64(len(names)) {
		return "" // damaged: VerifyPrepared says so
	}
	return string(names[start:end])
}

// Verify compares every byte of the prepared file that the set was read from, if there is one, with the checksum in it.
func (s *Set) Verify() error {
	if s.record == nil {
		return nil
	}
	return VerifyPrepared(s.Files[0])
}

// VerifyPrepared compares every byte of a prepared file with the checksum in it.
func VerifyPrepared(path string) error {
	if err := verifyPrepared(path); err != nil {
		return fmt.Errorf("data: %s: %w", path, readError(err))
	}
	return nil
}

func verifyPrepared(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b, err := inflate.UpTo(f, preparedStart)
	if err != nil {
		return err
	}
	if !isPrepared(b) {
		return errNotPrepared
	}
	h, err := head(b, info.Size())
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, h.Contents[:]) {
		return fmt.Errorf("SHA-256 of its contents %x, should be %x: damaged; prepare it again", got, h.Contents)
	}
	return nil
}
