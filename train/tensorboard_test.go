package train

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fields decodes one protobuf message by the wire format alone: field number → values (uint64 or []byte).
func fields(t *testing.T, data []byte) map[int][]any {
	t.Helper()
	all := map[int][]any{}
	for len(data) > 0 {
		key, n := binary.Uvarint(data)
		require.Positive(t, n)
		data = data[n:]
		var value any
		switch key & 7 {
		case 0:
			v, n := binary.Uvarint(data)
			require.Positive(t, n)
			value, data = v, data[n:]
		case 1:
			value, data = binary.LittleEndian.Uint64(data), data[8:]
		case 2:
			size, n := binary.Uvarint(data)
			require.Positive(t, n)
			value, data = data[n:n+int(size)], data[n+int(size):]
		case 5:
			value, data = uint64(binary.LittleEndian.Uint32(data)), data[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
		all[int(key>>3)] = append(all[int(key>>3)], value)
	}
	return all
}

// events splits an event file into its messages, and checks every checksum with the mask undone.
func events(t *testing.T, path string) []map[int][]any {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	check := func(covered, sum []byte) {
		rotated := binary.LittleEndian.Uint32(sum) - 0xa282ead8
		require.Equal(t, crc32.Checksum(covered, crc32.MakeTable(crc32.Castagnoli)), rotated>>17|rotated<<15)
	}
	var all []map[int][]any
	for len(data) > 0 {
		size := binary.LittleEndian.Uint64(data)
		check(data[:8], data[8:12])
		body := data[12 : 12+size]
		check(body, data[12+size:16+size])
		all = append(all, fields(t, body))
		data = data[16+size:]
	}
	return all
}

func TestTensorBoardEvents(t *testing.T) {
	dir := t.TempDir()
	tb, err := openTensorBoard(dir, 0)
	require.NoError(t, err)
	tb.clock = func() time.Time { return time.UnixMicro(1_700_000_000_250_000) }
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))))
	tb.Scalar(0, "loss/energy", -0.5)
	tb.Scalar(300, "x", math.NaN())
	tb.Image(1<<40, "images/x_neg", picture.Bytes(), 2, 3)
	require.NoError(t, tb.Close())

	got := events(t, tb.path)
	require.Len(t, got, 4)
	assert.Equal(t, "brain.Event:2", string(got[0][3][0].([]byte)))
	summary := func(i int) map[int][]any { return fields(t, fields(t, got[i][5][0].([]byte))[1][0].([]byte)) }

	assert.Equal(t, 1_700_000_000.25, math.Float64frombits(got[1][1][0].(uint64)))
	assert.NotContains(t, got[1], 2, "proto3 leaves out a zero step")
	assert.Equal(t, "loss/energy", string(summary(1)[1][0].([]byte)))
	assert.Equal(t, float32(-0.5), math.Float32frombits(uint32(summary(1)[2][0].(uint64))))

	assert.Equal(t, uint64(300), got[2][2][0])
	assert.True(t, math.IsNaN(float64(math.Float32frombits(uint32(summary(2)[2][0].(uint64))))))

	assert.Equal(t, uint64(1)<<40, got[3][2][0])
	assert.Equal(t, "images/x_neg", string(summary(3)[1][0].([]byte)))
	assert.Equal(t, map[int][]any{1: {uint64(2)}, 2: {uint64(3)}, 3: {uint64(3)}, 4: {picture.Bytes()}},
		fields(t, summary(3)[4][0].([]byte)))
}

// The bytes as they should be, from testdata/tensorboard.py.
func TestTensorBoardRecordBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/scalar.tfevents")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "x")
	file, err := os.Create(path)
	require.NoError(t, err)
	tb := &tensorBoard{path: path, file: file, clock: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	tb.out = bufio.NewWriter(file)
	tb.event(0, message(nil).text(3, "brain.Event:2"))
	tb.Scalar(300, "loss/energy", 1.5)
	require.NoError(t, tb.Close())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestTensorBoardFileNames(t *testing.T) {
	dir := t.TempDir()
	for range 3 { // within one second, as a run that fails and starts again
		tb, err := openTensorBoard(dir, 0)
		require.NoError(t, err)
		require.NoError(t, tb.Close())
	}
	files := contents(t, dir)
	assert.Len(t, files, 3)
	for name := range files {
		assert.Regexp(t, regexp.MustCompile(`^events\.out\.tfevents\.\d{10}\.[^/]+\.\d+\.[012]$`), name)
	}
}

func TestTensorBoardResumeHidesLaterSteps(t *testing.T) {
	tb, err := openTensorBoard(t.TempDir(), 101)
	require.NoError(t, err)
	got := events(t, tb.path) // readable before anything is flushed
	require.Len(t, got, 2)
	assert.Equal(t, uint64(101), got[1][2][0])
	assert.Equal(t, map[int][]any{1: {uint64(1)}}, fields(t, got[1][7][0].([]byte)), "SessionLog START")
	require.NoError(t, tb.Close())
}

// A resumed run hides the steps that it makes again, and not the last step before them.
func TestTensorBoardOfAResumedRun(t *testing.T) {
	cfg, dir := tiny(), filepath.Join(t.TempDir(), "run")
	ctx, watch := stopAfter(t, 5)
	require.ErrorIs(t, Run(ctx, cfg, bars(t), encoder(t), Options{Out: dir, Watch: watch}), context.Canceled)
	require.NoError(t, Run(t.Context(), Config{}, bars(t), "", Options{Out: dir, Resume: true}))
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for i, first := range []uint64{1, 6} {
		start := events(t, files[i])[1]
		assert.Contains(t, start, 7, "SessionLog")
		assert.Equal(t, first, start[2][0])
	}
}

func TestTensorBoardFlush(t *testing.T) {
	tb, err := openTensorBoard(t.TempDir(), 0)
	require.NoError(t, err)
	defer tb.Close()
	tb.Scalar(1, "x", 1)
	assert.Len(t, events(t, tb.path), 1)
	require.NoError(t, tb.Flush())
	assert.Len(t, events(t, tb.path), 2)
}

func TestTensorBoardErrorsNameTheFile(t *testing.T) {
	_, err := openTensorBoard(filepath.Join(t.TempDir(), "gone"), 0)
	require.ErrorContains(t, err, "gone/events.out.tfevents.")

	tb, err := openTensorBoard(t.TempDir(), 0)
	require.NoError(t, err)
	require.NoError(t, tb.file.Close())
	tb.Scalar(1, "x", 1)
	require.ErrorContains(t, tb.Flush(), "write "+tb.path)
	require.ErrorContains(t, tb.Close(), "write "+tb.path)
}
