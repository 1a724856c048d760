package torch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everyDType is one tensor of each element type, −2 … 3, and shapes at the edges. It needs a scope.
func everyDType() []Entry {
	ramp := Arange(6).Reshape(2, 3).AddScalar(-2)
	var out []Entry
	for _, d := range []DType{Uint8, Int8, Int16, Int32, Int64, Float16, Float32, Float64, Bool, BFloat16} {
		out = append(out, Entry{"x." + d.String(), ramp.To(d)})
	}
	nhwc := Arange(24).To(Float32).Reshape(1, 2, 3, 4).Contiguous(ChannelsLast)
	return append(out, Entry{"scalar", Scalar(2.5)}, Entry{"empty", Zeros([]int{0, 3}, Float32)}, Entry{"nhwc", nhwc},
		Entry{"transposed", ramp.T()}, Entry{"trainable", Ones([]int{2}, Float32).Leaf()})
}

// written is everyDType as a file.
func written(t testing.TB) []byte {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, Do(func() error {
		return WriteSafetensors(&file, everyDType(), map[string]string{"step": "12", "näme": "\"ε\"\n"})
	}))
	return file.Bytes()
}

// drop closes what a read returned.
func drop(tensors map[string]Tensor) {
	for _, v := range tensors {
		v.Close()
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	require.NoError(t, os.WriteFile(path, written(t), 0o600))
	in(t, func() {
		got, meta, err := ReadSafetensors(path)
		require.NoError(t, err)
		defer drop(got)
		assert.Equal(t, map[string]string{"step": "12", "näme": "\"ε\"\n"}, meta)
		want := everyDType()
		assert.Len(t, got, len(want))
		for _, e := range want {
			require.Contains(t, got, e.Name)
			assert.Equal(t, e.Tensor.DType(), got[e.Name].DType(), e.Name)
			assert.Equal(t, e.Tensor.Shape(), got[e.Name].Shape(), e.Name)
			assert.Equal(t, e.Tensor.Bytes(), got[e.Name].Bytes(), e.Name)
		}
	})
}

func TestSafetensorsReadsAFileMadeByHand(t *testing.T) {
	in(t, func() {
		got, meta, err := ReadSafetensors("testdata/reference.safetensors") // written by testdata/safetensors.py
		require.NoError(t, err)
		defer drop(got)
		assert.Equal(t, "12", meta["step"])
		third := func(dtype DType) []float64 { // −2/3 … 1 as that type rounds it
			return Arange(6).AddScalar(-2).To(dtype).DivScalar(3).Float64s()
		}
		for name, want := range map[string][]float64{
			"bool": {0, 0, 0, 1, 1, 1}, "u8": {0, 51, 102, 153, 204, 255}, "i8": {-64, -32, 0, 32, 64, 96},
			"i16": {-20000, -10000, 0, 10000, 20000, 30000}, "i32": {-1e9, -5e8, 0, 5e8, 1e9, 1.5e9},
			"i64": {-2e18, -1e18, 0, 1e18, 2e18, 3e18},
			"f16": third(Float16), "bf16": third(BFloat16), "f32": third(Float32), "f64": third(Float64),
			"scalar": {2.5}, "empty": {}, "näme with \"quotes\"": {7},
		} {
			require.Contains(t, got, name)
			assert.Equal(t, want, got[name].Float64s(), name)
		}
		assert.Len(t, got, 13)
		assert.Equal(t, []int{}, got["scalar"].Shape())
		assert.Equal(t, []int{0, 3}, got["empty"].Shape())
	})
}

// TestSafetensorsWritesTheFormat reads a file again without the library: lengths, names, types,
// offsets without holes, and the elements themselves.
func TestSafetensorsWritesTheFormat(t *testing.T) {
	file := written(t)
	size := binary.LittleEndian.Uint64(file)
	assert.Zero(t, size%8, "the data is aligned")
	var head map[string]struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	require.NoError(t, json.Unmarshal(bytes.Replace(file[8:8+size], []byte(`"__metadata__"`), []byte(`"__metadata__\u0000"`), 1), &head))
	delete(head, "__metadata__\x00")
	body := file[8+size:]
	covered := make([]bool, len(body))
	codes := map[DType]string{Uint8: "U8", Int8: "I8", Int16: "I16", Int32: "I32", Int64: "I64", Float16: "F16", Float32: "F32", Float64: "F64", Bool: "BOOL", BFloat16: "BF16"}
	in(t, func() {
		entries := everyDType()
		assert.Len(t, head, len(entries))
		for _, e := range entries {
			h := head[e.Name]
			assert.Equal(t, codes[e.Tensor.DType()], h.DType, e.Name)
			assert.Equal(t, e.Tensor.Shape(), append([]int{}, h.Shape...), e.Name)
			assert.Equal(t, e.Tensor.Bytes(), append([]byte{}, body[h.Offsets[0]:h.Offsets[1]]...), e.Name)
			for i := h.Offsets[0]; i < h.Offsets[1]; i++ {
				assert.False(t, covered[i], "%s overlaps another", e.Name)
				covered[i] = true
			}
		}
	})
	assert.NotContains(t, covered, false, "no holes")
	x := head["x.float32"].Offsets[0]
	assert.Equal(t, float32(-2), math.Float32frombits(binary.LittleEndian.Uint32(body[x:])))
	nhwc := head["nhwc"].Offsets[0]
	assert.Equal(t, float32(1), math.Float32frombits(binary.LittleEndian.Uint32(body[nhwc+4:])), "rows of NCHW, whatever the memory format")
}

func TestSafetensorsBytesAreReproducible(t *testing.T) {
	assert.Equal(t, written(t), written(t), "checksums of checkpoints depend on it")
}

func TestSafetensorsCutShortAnywhereIsAnError(t *testing.T) {
	file := written(t)
	before := Live()
	for n := range file {
		tensors, _, err := ParseSafetensors("run/x.safetensors", file[:n])
		require.Error(t, err, "%d of %d bytes", n, len(file))
		require.Contains(t, err.Error(), "run/x.safetensors")
		require.Nil(t, tensors)
	}
	_, _, err := ParseSafetensors("run/x.safetensors", append(file[:len(file):len(file)], 0))
	assert.ErrorContains(t, err, "run/x.safetensors", "longer than its header says")
	assert.Equal(t, before, Live())
}

// withHeader is a file with this header and n bytes of data.
func withHeader(header string, n int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), make([]byte, n)...)
}

func TestSafetensorsRefusesBrokenHeaders(t *testing.T) {
	tensor := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"good":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"bad":{"dtype":%q,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	for name, file := range map[string][]byte{
		"nothing":             {},
		"no JSON":             withHeader("{", 0),
		"a list":              withHeader("[]", 0),
		"unknown type":        withHeader(tensor("F8", "[1]", "[4,5]"), 5),
		"a type without ours": withHeader(tensor("U32", "[1]", "[4,8]"), 8),
		"hole":                withHeader(tensor("F32", "[1]", "[8,12]"), 12),
		"overlap":             withHeader(tensor("F32", "[1]", "[0,4]"), 4),
		"backwards":           withHeader(tensor("F32", "[1]", "[8,4]"), 8),
		"past the end":        withHeader(tensor("F32", "[1]", "[4,8]"), 7),
		"shape and size":      withHeader(tensor("F32", "[2]", "[4,8]"), 8),
		"negative shape":      withHeader(tensor("F32", "[-1]", "[4,8]"), 8),
		"fraction":            withHeader(tensor("F32", "[1.5]", "[4,8]"), 8),
		"overflow":            withHeader(tensor("F32", "[4611686018427387904,4]", "[4,4]"), 4),
		"huge and empty":      withHeader(tensor("F32", "[0,9223372036854775808]", "[4,4]"), 4),
		"nine dimensions":     withHeader(tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[4,8]"), 8),
		"metadata of numbers": withHeader(`{"__metadata__":{"step":12}}`, 0),
		"header past the end": binary.LittleEndian.AppendUint64(nil, 1),
		"header of exabytes":  binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
	} {
		t.Run(name, func(t *testing.T) {
			before := Live()
			_, _, err := ParseSafetensors("run/x.safetensors", file)
			assert.ErrorContains(t, err, "run/x.safetensors")
			assert.Equal(t, before, Live(), "tensors read before the broken one are closed")
		})
	}
	tensors, meta, err := ParseSafetensors("x", withHeader("{}", 0))
	assert.NoError(t, err, "no tensors at all is a whole file")
	assert.Empty(t, tensors)
	assert.Empty(t, meta)
}

func TestSafetensorsErrorsNameTheFile(t *testing.T) {
	_, _, err := ReadSafetensors("testdata/no such file")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "no such file")
	_, _, err = ReadSafetensors("testdata/safetensors.py")
	assert.ErrorContains(t, err, "testdata/safetensors.py: not a whole safetensors file")
}

// failing is a disk that is full after n bytes.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, os.ErrClosed
	}
	return len(p), nil
}

func TestWriteSafetensorsErrors(t *testing.T) {
	in(t, func() {
		x := Scalar(1)
		assert.ErrorContains(t, WriteSafetensors(&bytes.Buffer{}, []Entry{{"x", x}, {"x", x}}, nil), `two tensors are called "x"`)
		z := Call("aten::complex", x, x).Tensor(0)
		assert.ErrorContains(t, WriteSafetensors(&bytes.Buffer{}, []Entry{{"z", z}}, nil), "tensor z has type dtype 9")
		assert.ErrorContains(t, WriteSafetensors(&bytes.Buffer{}, []Entry{{"none", Tensor{}}}, nil), "no")
		for _, n := range []int{0, 10, 200, 1000} {
			assert.ErrorIs(t, WriteSafetensors(&failing{n}, everyDType(), nil), os.ErrClosed, "%d bytes", n)
		}
	})
}

// FuzzSafetensors reads anything without a panic, leaks nothing, and what it reads can be written
// and read again.
func FuzzSafetensors(f *testing.F) {
	file := written(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(file[:8])
	f.Add(withHeader(`{"x":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}`, 0))
	f.Add(withHeader(`{"x":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"__metadata__":{"a":"b"}}`, 4))
	reference, err := os.ReadFile("testdata/reference.safetensors")
	require.NoError(f, err)
	f.Add(reference)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := Live()
		defer func() { assert.Equal(t, before, Live()) }()
		first, meta, err := ParseSafetensors("some/file", data)
		if err != nil {
			if !strings.Contains(err.Error(), "some/file") {
				t.Fatalf("the error does not name the file: %v", err)
			}
			return
		}
		defer drop(first)
		var entries []Entry
		for name, x := range first {
			entries = append(entries, Entry{name, x})
		}
		var again bytes.Buffer
		require.NoError(t, WriteSafetensors(&again, entries, meta))
		second, meta2, err := ParseSafetensors("again", again.Bytes())
		require.NoError(t, err)
		defer drop(second)
		assert.Equal(t, len(meta), len(meta2))
		require.Len(t, second, len(first))
		for name, x := range first {
			assert.Equal(t, x.Bytes(), second[name].Bytes())
			assert.Equal(t, x.Shape(), second[name].Shape())
		}
	})
}

// official is what testdata/_official.py has the format's own library write.
func official() []Entry {
	ramp := Arange(6).Reshape(2, 3).AddScalar(-2)
	out := []Entry{{"a.float32", ramp.To(Float32)}, {"scalar", Scalar(2.5)}, {"empty", Zeros([]int{0, 3}, Float32)},
		{"half.empty", Zeros([]int{2, 0}, Float16)}, {"quo\"te & <näme>\u2028", FromSlice([]uint8{7})}}
	for dtype, name := range dtypeNames {
		out = append(out, Entry{"x." + name, ramp.To(dtype)})
	}
	return out
}

func TestSafetensorsOfTheOfficialLibraryAreReadAndWrittenByteForByte(t *testing.T) {
	want, err := os.ReadFile("testdata/official.safetensors")
	require.NoError(t, err)
	in(t, func() {
		got, meta, err := ReadSafetensors("testdata/official.safetensors")
		require.NoError(t, err)
		defer drop(got)
		assert.Equal(t, map[string]string{"note": "ε & <\"δ\">\n\x01\u2028"}, meta)
		assert.Len(t, got, 15)
		for _, e := range official() {
			require.Contains(t, got, e.Name)
			assert.Equal(t, e.Tensor.DType(), got[e.Name].DType(), e.Name)
			assert.Equal(t, e.Tensor.Shape(), got[e.Name].Shape(), e.Name)
			assert.Equal(t, e.Tensor.Bytes(), got[e.Name].Bytes(), e.Name)
		}
		var ours bytes.Buffer
		require.NoError(t, WriteSafetensors(&ours, official(), meta))
		assert.Equal(t, string(want), ours.String())
	})
}
