package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A writer makes a prepared file. While it works, it keeps two other files. out.partial has the pixels so far. out.journal has a
// first line that identifies the work, and then one line for each chunk. The line of a chunk is written after its pixels, and has
// the checksum of all pixels up to there. After a power cut, only chunks with the right checksum are kept.
type writer struct {
	Shape   // of the images so far
	out     string
	root    string    // folder that the names in the index are relative to
	lock    io.Closer // of the journal, which is there as long as the writer
	record  Provenance
	pixels  hash.Hash // of all pixels so far
	partial *os.File
	journal *os.File
	lines   []journalLine
}

type journalHead struct {
	Format int    `json:"liebm_prepare"`
	Stamp  string `json:"stamp"`
}

// A journalLine describes a chunk: everything but its pixels.
type journalLine struct {
	Shape   [3]int   `json:"shape"` // h, w, c
	Labels  []int32  `json:"labels"`
	Origins []string `json:"origins"` // one for each image, or one for all
	Skipped []string `json:"skipped,omitempty"`
	Raw     string   `json:"raw"`    // SHA-256 of the checksums of the images as read
	Pixels  string   `json:"pixels"` // SHA-256 of all pixels so far
}

func (w *writer) partialName() string { return w.out + ".partial" }
func (w *writer) journalName() string { return w.out + ".journal" }

// openWriter continues the work that lies beside out, or starts it if that is other work.
func openWriter(out string, record Provenance) (*writer, error) {
	w := &writer{out: out, record: record, pixels: sha256.New()}
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return nil, err
	}
	var err error
	if w.lock, err = LockFile(w.journalName(), false); errors.Is(err, ErrInUse) {
		err = fmt.Errorf("%s: another process is preparing it; wait for that one", out)
	}
	if err != nil {
		return nil, err
	}
	if w.partial, err = os.OpenFile(w.partialName(), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		w.close()
		return nil, err
	}
	if w.journal, err = os.OpenFile(w.journalName(), os.O_RDWR|os.O_CREATE, 0o666); err == nil {
		err = w.recover()
	}
	if err != nil {
		w.close()
		return nil, WriteError(out, err)
	}
	return w, nil
}

func (w *writer) close() {
	w.partial.Close() // nil, too, may be closed
	w.journal.Close()
	w.lock.Close()
}

// discard removes the files of the writer.
func (w *writer) discard() {
	os.Remove(w.partialName())
	os.Remove(w.journalName())
}

// recover reads the journal up to the last line whose pixels are in the partial file, and truncates both files there.
func (w *writer) recover() error {
	if _, err := w.partial.Seek(preparedStart, io.SeekStart); err != nil {
		return err
	}
	good, lines, head, want := int64(0), json.NewDecoder(w.journal), journalHead{}, journalHead{preparedVersion, w.record.Stamp}
	if lines.Decode(&head) == nil && head == want {
		good = lines.InputOffset()
		for line := (journalLine{}); lines.Decode(&line) == nil && w.replay(line); line = (journalLine{}) {
			good = lines.InputOffset()
		}
	}
	end := preparedStart + int64(w.N)*int64(w.ImageBytes())
	for file, size := range map[*os.File]int64{w.partial: end, w.journal: good} {
		if err := file.Truncate(size); err != nil {
			return err
		}
		if _, err := file.Seek(size, io.SeekStart); err != nil {
			return err
		}
	}
	if good == 0 {
		return w.log(want)
	}
	return nil
}

// log adds a line to the journal.
func (w *writer) log(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.journal.Write(append(text, '\n'))
	return err
}

// replay keeps a line of the journal if the pixels that follow in the partial file have its checksum.
func (w *writer) replay(line journalLine) bool {
	count, shape := len(line.Labels), Shape{0, line.Shape[0], line.Shape[1], line.Shape[2]}
	if count > 0 && (!sides(shape.H, shape.W) || shape.C != 1 && shape.C != 3) {
		return false
	}
	before, err := w.pixels.(hash.Cloner).Clone()
	if err != nil {
		return false
	}
	if _, err := io.CopyN(before, w.partial, int64(count*shape.ImageBytes())); err != nil || hex.EncodeToString(before.Sum(nil)) != line.Pixels {
		return false
	}
	w.pixels = before
	w.keep(line)
	return true
}

func (w *writer) keep(line journalLine) {
	if n := len(line.Labels); n > 0 {
		w.Shape = Shape{w.N + n, line.Shape[0], line.Shape[1], line.Shape[2]}
	}
	w.record.Skipped = append(w.record.Skipped, line.Skipped...)
	w.lines = append(w.lines, line)
}

// add decodes a chunk and writes first its pixels, then its line.
func (w *writer) add(ctx context.Context, chunk []entry, o Options) error {
	d := decoded{Shape: Shape{0, w.H, w.W, w.C}}
	err := d.add(ctx, chunk, o)
	if err != nil {
		return err
	}
	w.pixels.Write(d.pixels)
	line := journalLine{Shape: [3]int{d.H, d.W, d.C}, Labels: d.labels, Origins: slices.Compact(d.origins),
		Skipped: texts(d.skipped), Raw: d.raw, Pixels: hex.EncodeToString(w.pixels.Sum(nil))}
	if _, err = w.partial.Write(d.pixels); err == nil {
		err = w.log(line)
	}
	if err != nil {
		return WriteError(w.out, err)
	}
	w.keep(line)
	return nil
}

// finish writes labels, index and record after the pixels, then the header, and gives the file its name.
func (w *writer) finish() (h preparedHead, err error) {
	raw := sha256.New()
	for _, line := range w.lines {
		raw.Write([]byte(line.Raw))
	}
	w.record.SHA256 = hex.EncodeToString(raw.Sum(nil))
	labels, index := w.labels(), w.index()
	record, err := json.Marshal(w.record)
	if err != nil {
		return h, err
	}
	h = preparedHead{Version: preparedVersion, Start: preparedStart, N: uint64(w.N),
		H: uint32(w.H), W: uint32(w.W), C: uint32(w.C)}
	copy(h.Magic[:], preparedMagic)
	h.Labels = preparedStart + h.N*uint64(w.ImageBytes())
	h.Index = h.Labels + uint64(len(labels))
	h.Record = h.Index + uint64(len(index))
	h.End = h.Record + uint64(len(record))
	copy(h.Pixels[:], w.pixels.Sum(nil))
	tail := slices.Concat(labels, index, record)
	w.pixels.Write(tail) // from here on the checksum of all contents
	copy(h.Contents[:], w.pixels.Sum(nil))

	first, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		return h, err
	}
	first = binary.LittleEndian.AppendUint32(first, crc32.ChecksumIEEE(first))
	if _, err = w.partial.Write(tail); err == nil {
		err = w.partial.Sync() // before the header, whose presence means that the file is whole
	}
	if err == nil {
		_, err = w.partial.WriteAt(first, 0)
	}
	if err == nil {
		err = w.partial.Sync()
	}
	if err == nil {
		err = os.Rename(w.partialName(), w.out)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(w.out))
	}
	if err == nil {
		err = os.Remove(w.journalName())
	}
	return h, err
}

// labels is int32 [n], or nothing if an image has none.
func (w *writer) labels() (out []byte) {
	for _, line := range w.lines {
		for _, l := range line.Labels {
			if l < 0 {
				return nil
			}
			out = binary.LittleEndian.AppendUint32(out, uint32(l))
		}
	}
	return out
}

// inside is the path of a file in the folder or archive at root.
func inside(root, name string) string {
	if rel, err := filepath.Rel(root, name); err == nil && rel != "." {
		return filepath.ToSlash(rel)
	}
	return name
}

// index is the part Index of the file, see preparedHead. Names are relative to the source.
func (w *writer) index() []byte {
	var table, names []byte
	count, first, last := uint64(0), 0, ""
	for _, line := range w.lines {
		for i, name := range line.Origins {
			if name = inside(w.root, name); name == last && count > 0 {
				continue
			}
			names, last = append(names, name...), name
			table = binary.LittleEndian.AppendUint64(table, uint64(first+i))
			table = binary.LittleEndian.AppendUint64(table, uint64(len(names)))
			count++
		}
		first += len(line.Labels)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, count), table, names)
}
