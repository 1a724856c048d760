package data

import (
	"bufio"
	"bytes"
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

// A writer makes a prepared file. Until the file is whole, two others lie beside it: out.partial has the pixels so far,
// and out.journal a line that identifies the work and then one line for each chunk. The line of a chunk is written after
// its pixels and has the checksum of all pixels up to there. After a power cut, only chunks with the right checksum are
// kept.
type writer struct {
	out     string
	root    string // folder that the names in the index are relative to
	record  Record
	shape   Shape
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
func openWriter(out string, record Record) (*writer, error) {
	w := &writer{out: out, record: record, pixels: sha256.New()}
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return nil, err
	}
	var err error
	if w.partial, err = os.OpenFile(w.partialName(), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	if err := lock(w.partial); err != nil {
		w.close()
		return nil, fmt.Errorf("%s: another process is preparing it; wait for that one", out)
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
	if w.partial != nil {
		w.partial.Close()
	}
	if w.journal != nil {
		w.journal.Close()
	}
}

// discard removes the files of the writer.
func (w *writer) discard() {
	os.Remove(w.partialName())
	os.Remove(w.journalName())
}

// recover reads the journal up to the last line whose pixels are in the partial file, and truncates both files there.
func (w *writer) recover() error {
	good := int64(0)
	lines := bufio.NewReader(w.journal)
	first, err := lines.ReadBytes('\n')
	var head journalHead
	if err == nil && json.Unmarshal(first, &head) == nil && head == (journalHead{preparedVersion, w.record.Stamp}) {
		good = int64(len(first))
		if _, err := w.partial.Seek(preparedStart, io.SeekStart); err != nil {
			return err
		}
		for {
			text, err := lines.ReadBytes('\n')
			var line journalLine
			if err != nil || json.Unmarshal(text, &line) != nil || !w.replay(line) {
				break
			}
			good += int64(len(text))
		}
	}
	if good == 0 {
		start, err := json.Marshal(journalHead{preparedVersion, w.record.Stamp})
		if err != nil {
			return err
		}
		if err := os.Truncate(w.journalName(), 0); err != nil {
			return err
		}
		if _, err := w.journal.WriteAt(append(start, '\n'), 0); err != nil {
			return err
		}
		good = int64(len(start)) + 1
	}
	if err := w.rewind(); err != nil {
		return err
	}
	if err := w.journal.Truncate(good); err != nil {
		return err
	}
	_, err = w.journal.Seek(good, io.SeekStart)
	return err
}

// rewind truncates the partial file to the pixels of the lines that were kept.
func (w *writer) rewind() error {
	end := preparedStart + int64(w.n())*int64(w.shape.ImageBytes())
	if err := w.partial.Truncate(end); err != nil {
		return err
	}
	_, err := w.partial.Seek(end, io.SeekStart)
	return err
}

// replay keeps a line of the journal if the pixels that follow in the partial file have its checksum.
func (w *writer) replay(line journalLine) bool {
	shape := Shape{0, line.Shape[0], line.Shape[1], line.Shape[2]}
	count := len(line.Labels)
	if count > 0 && (!sides(shape.H, shape.W) || shape.C != 1 && shape.C != 3) {
		return false
	}
	before, err := w.pixels.(hash.Cloner).Clone()
	if err != nil {
		return false
	}
	copied, err := io.CopyN(before, w.partial, int64(count*shape.ImageBytes()))
	if err != nil || copied != int64(count*shape.ImageBytes()) || hex.EncodeToString(before.Sum(nil)) != line.Pixels {
		return false
	}
	w.pixels = before
	w.keep(line, shape)
	return true
}

func (w *writer) keep(line journalLine, shape Shape) {
	if len(line.Labels) > 0 {
		w.shape.H, w.shape.W, w.shape.C = shape.H, shape.W, shape.C
	}
	w.shape.N += len(line.Labels)
	w.record.Skipped = append(w.record.Skipped, line.Skipped...)
	w.lines = append(w.lines, line)
}

func (w *writer) n() int { return w.shape.N }

// chunk decodes a chunk and writes first its pixels, then its line.
func (w *writer) chunk(ctx context.Context, c chunk, s shaper, skip bool) error {
	shape := Shape{0, w.shape.H, w.shape.W, w.shape.C}
	pixels, sums, wrong, err := c.shape(ctx, s, &shape, nil)
	if err != nil {
		return err
	}
	if len(wrong) > 0 && !skip {
		return refuse(wrong)
	}
	line := journalLine{Shape: [3]int{shape.H, shape.W, shape.C}}
	raw := sha256.New()
	for i := range c.n {
		raw.Write(sums[i][:])
		if len(wrong) > 0 && wrong[0].index == i {
			line.Skipped = append(line.Skipped, wrong[0].err.Error())
			wrong = wrong[1:]
			continue
		}
		line.Labels = append(line.Labels, c.label(i))
		if name := c.origin(i); len(line.Origins) == 0 || name != line.Origins[len(line.Origins)-1] {
			line.Origins = append(line.Origins, name)
		}
	}
	w.pixels.Write(pixels)
	line.Raw, line.Pixels = hex.EncodeToString(raw.Sum(nil)), hex.EncodeToString(w.pixels.Sum(nil))
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := w.partial.Write(pixels); err != nil {
		return WriteError(w.out, err)
	}
	if _, err := w.journal.Write(append(text, '\n')); err != nil {
		return WriteError(w.out, err)
	}
	w.keep(line, shape)
	return nil
}

// refuse is the error for the images of a chunk that cannot be used. It names at most ten.
func refuse(wrong []imageError) error {
	const most = 10
	var errs []error
	for _, b := range wrong[:min(most, len(wrong))] {
		errs = append(errs, b.err)
	}
	if len(wrong) > most {
		errs = append(errs, fmt.Errorf("and %d more like these", len(wrong)-most))
	}
	return errors.Join(append(errs, ErrBadImage)...)
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
	h = preparedHead{Version: preparedVersion, Start: preparedStart, N: uint64(w.n()),
		H: uint32(w.shape.H), W: uint32(w.shape.W), C: uint32(w.shape.C)}
	copy(h.Magic[:], preparedMagic)
	h.Labels = preparedStart + h.N*uint64(w.shape.ImageBytes())
	h.Index = h.Labels + uint64(len(labels))
	h.Record = h.Index + uint64(len(index))
	h.End = h.Record + uint64(len(record))
	copy(h.Pixels[:], w.pixels.Sum(nil))
	tail := slices.Concat(labels, index, record)
	w.pixels.Write(tail) // from here on the checksum of all contents
	copy(h.Contents[:], w.pixels.Sum(nil))

	var first bytes.Buffer
	if err := binary.Write(&first, binary.LittleEndian, h); err != nil {
		return h, err
	}
	first.Write(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(first.Bytes())))
	if _, err = w.partial.Write(tail); err == nil {
		err = w.partial.Sync() // before the header, whose presence means that the file is whole
	}
	if err == nil {
		_, err = w.partial.WriteAt(first.Bytes(), 0)
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

// index is the part Index of the file, see preparedHead. Names are relative to the source.
func (w *writer) index() []byte {
	var table, names []byte
	count, first, last := uint64(0), 0, ""
	for _, line := range w.lines {
		for i, name := range line.Origins {
			if rel, err := filepath.Rel(w.root, name); err == nil && rel != "." {
				name = filepath.ToSlash(rel)
			}
			if name == last && count > 0 {
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
