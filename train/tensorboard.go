package train

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/liebm/liebm/data"
)

// A tensorBoard writes one event file of scalars and pictures. It encodes the four messages that it needs itself, with
// the field numbers of tensorflow/core/util/event.proto and framework/summary.proto. If a write fails, the next Flush returns the
// error. It is for one goroutine.
type tensorBoard struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	clock func() time.Time
}

// openTensorBoard starts a new event file in dir. A run that made n steps passes firstStep n+1: TensorBoard then
// hides the events from that step on in older files of dir, so that it draws no step twice. Zero hides nothing.
func openTensorBoard(dir string, firstStep int) (*tensorBoard, error) {
	host, err := os.Hostname()
	if err != nil || strings.ContainsAny(host, `/\`) {
		host = "localhost"
	}
	t := &tensorBoard{clock: time.Now}
	for n := 0; t.file == nil; n++ { // two files within a second differ in n
		name := fmt.Sprintf("events.out.tfevents.%d.%s.%d.%d", t.clock().Unix(), host, os.Getpid(), n)
		t.path = filepath.Join(dir, name)
		t.file, err = os.OpenFile(t.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, data.WriteError(t.path, err)
		}
	}
	t.out = bufio.NewWriter(t.file)
	t.event(0, message(nil).text(3, "brain.Event:2")) // Event.file_version
	if firstStep > 0 {
		t.event(firstStep, message(nil).bytes(7, message(nil).varint(1, 1))) // Event.session_log.status = START
	}
	if err := t.Flush(); err != nil { // so that a run that is killed soon leaves a readable file
		t.file.Close()
		return nil, err
	}
	return t, nil
}

// Scalar records value at step under tag; slashes in a tag group charts (loss/energy). TensorBoard marks NaN and ±Inf.
func (t *tensorBoard) Scalar(step int, tag string, value float64) {
	t.summary(step, tag, message(nil).float(2, float32(value))) // Value.simple_value
}

// Image records a PNG file of h×w pixels at step under tag.
func (t *tensorBoard) Image(step int, tag string, png []byte, h, w int) {
	image := message(nil).varint(1, uint64(h)).varint(2, uint64(w)).varint(3, 3).bytes(4, png) // colorspace 3 is RGB
	t.summary(step, tag, message(nil).bytes(4, image))                                         // Value.image
}

// Flush writes the buffer to the file.
func (t *tensorBoard) Flush() error { return data.WriteError(t.path, t.out.Flush()) }

// Close flushes and closes the file.
func (t *tensorBoard) Close() error {
	return data.WriteError(t.path, cmp.Or(t.out.Flush(), t.file.Close()))
}

func (t *tensorBoard) summary(step int, tag string, value message) {
	value = append(message(nil).text(1, tag), value...)                // Value.tag
	t.event(step, message(nil).bytes(5, message(nil).bytes(1, value))) // Event.summary.value
}

func (t *tensorBoard) event(step int, what message) {
	seconds := float64(t.clock().UnixMicro()) / 1e6
	event := message(nil).double(1, seconds).varint(2, uint64(step)) // Event.wall_time, Event.step
	_, _ = t.out.Write(record(append(event, what...)))               // Flush returns its error
}

// record frames data as TensorFlow's record files do: length, its checksum, data, its checksum.
func record(data []byte) []byte {
	framed := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	framed = binary.LittleEndian.AppendUint32(framed, maskedCRC(framed))
	framed = append(framed, data...)
	return binary.LittleEndian.AppendUint32(framed, maskedCRC(data))
}

// maskedCRC is CRC-32C with the rotation and the constant that the format asks for.
func maskedCRC(data []byte) uint32 {
	crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// A message is a protobuf message under construction; its methods append one field.
type message []byte

func (m message) key(field, wire uint64) message { return binary.AppendUvarint(m, field<<3|wire) }

// varint leaves out zero, as proto3 does.
func (m message) varint(field, v uint64) message {
	if v == 0 {
		return m
	}
	return binary.AppendUvarint(m.key(field, 0), v)
}

func (m message) double(field uint64, v float64) message {
	return binary.LittleEndian.AppendUint64(m.key(field, 1), math.Float64bits(v))
}

func (m message) bytes(field uint64, v []byte) message {
	return append(binary.AppendUvarint(m.key(field, 2), uint64(len(v))), v...)
}

func (m message) text(field uint64, v string) message { return m.bytes(field, []byte(v)) }

func (m message) float(field uint64, v float32) message {
	return binary.LittleEndian.AppendUint32(m.key(field, 5), math.Float32bits(v))
}
