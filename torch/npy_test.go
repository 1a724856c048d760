package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func dropEntries(entries []Entry) {
	for _, e := range entries {
		e.Tensor.Close()
	}
}

func TestNumpyArchivesAreRead(t *testing.T) {
	for _, form := range []string{"npy", "npy.compressed"} {
		t.Run(form, func(t *testing.T) {
			in(t, func() {
				entries, err := ReadNPZ("testdata/" + form + ".npz") // written by testdata/npy.py
				require.NoError(t, err)
				defer dropEntries(entries)
				ramp := Arange(6).Reshape(2, 3).AddScalar(-2)
				want := map[string]Tensor{
					"fortran": Arange(24).To(Float32).Reshape(2, 3, 4), "big.fortran": ramp.To(Float64), "scalar": Scalar(2.5),
					"vector": Arange(3), "empty": Zeros([]int{0, 3}, Float32), "folder/näme": Zeros([]int{1}, Uint8),
				}
				for dtype := range toNumpy {
					want[dtype.String()] = ramp.To(dtype)
				}
				for _, d := range []DType{Int16, Int32, Int64, Float16, Float32, Float64} {
					want["big."+d.String()] = ramp.To(d)
				}
				assert.Len(t, entries, len(want))
				assert.Equal(t, "uint8", entries[0].Name, "the file's order")
				for _, e := range entries {
					w := want[e.Name]
					require.True(t, w.Defined(), e.Name)
					assert.Equal(t, w.DType(), e.Tensor.DType(), e.Name)
					assert.Equal(t, w.Shape(), e.Tensor.Shape(), e.Name)
					assert.Equal(t, w.Bytes(), e.Tensor.Bytes(), e.Name)
				}
			})
		})
	}
}

func TestWriteNPYWritesWhatNumpySaves(t *testing.T) {
	in(t, func() {
		for name, x := range map[string]Tensor{"vector": Arange(3), "scalar": Scalar(2.5), "matrix": Arange(6).Reshape(2, 3).AddScalar(-2).To(Float16)} {
			want, err := os.ReadFile("testdata/" + name + ".npy")
			require.NoError(t, err)
			var got bytes.Buffer
			require.NoError(t, WriteNPY(&got, x))
			assert.Equal(t, want, got.Bytes(), name)
			again, err := ReadNPY("testdata/" + name + ".npy")
			require.NoError(t, err)
			assert.True(t, again.Equal(x), name)
			again.Close()
		}
		x, err := ReadNPY("testdata/version2.npy")
		require.NoError(t, err)
		assert.Equal(t, []int64{0, 1, 2}, ToSlice[int64](x))
		x.Close()
	})
}

func TestNPZRoundTrip(t *testing.T) {
	in(t, func() {
		var entries []Entry
		for _, e := range everyDType() {
			if e.Tensor.DType() != BFloat16 {
				entries = append(entries, e)
			}
		}
		entries = append(entries, Entry{"zeros", Zeros([]int{1 << 16}, Float64)})
		var stored, packed bytes.Buffer
		require.NoError(t, WriteNPZ(&stored, entries))
		require.NoError(t, WriteNPZCompressed(&packed, entries))
		assert.Less(t, packed.Len(), stored.Len()/50)
		for _, file := range [][]byte{stored.Bytes(), packed.Bytes()} {
			got, err := ParseNPZ("x.npz", file)
			require.NoError(t, err)
			require.Len(t, got, len(entries))
			for i, e := range got {
				assert.Equal(t, entries[i].Name, e.Name)
				assert.Equal(t, entries[i].Tensor.DType(), e.Tensor.DType(), e.Name)
				assert.Equal(t, entries[i].Tensor.Shape(), e.Tensor.Shape(), e.Name)
				assert.Equal(t, entries[i].Tensor.Bytes(), e.Tensor.Bytes(), e.Name)
			}
			dropEntries(got)
		}
	})
}

func TestNPYRefuses(t *testing.T) {
	head := func(text string) []byte {
		return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(text)+1)), text+"\n"...)
	}
	good := "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":            {nil, "not a .npy file"},
		"another file":       {[]byte("GIF89a"), "starts with 47 49 46 38 39 61"},
		"a header too long":  {[]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), "cut short: its header ends at 4294967307"},
		"no header":          {head(""), "makes no sense"},
		"no dictionary":      {head("{}"), "makes no sense"},
		"keys in disorder":   {head("{'shape': (1,), 'descr': '<f4', 'fortran_order': False, }"), "makes no sense"},
		"a shape of words":   {head(strings.Replace(good, "1", "one", 1)), "makes no sense"},
		"too few elements":   {append(head(good), 0, 0, 0), "needs 4 bytes, 3 follow"},
		"too many elements":  {append(head(good), 0, 0, 0, 0, 0), "needs 4 bytes, 5 follow"},
		"a negative length":  {head(strings.Replace(good, "1", "-1", 1)), "that fit into memory"},
		"an enormous length": {head(strings.Replace(good, "1", "9223372036854775807", 1)), "that fit into memory"},
		"an overflow":        {head(strings.Replace(good, "1", "4294967296, 4294967296, 4294967296", 1)), "that fit into memory"},
		"nine dimensions":    {append(head(strings.Replace(good, "1,", "1, 1, 1, 1, 1, 1, 1, 1, 1", 1)), 0, 0, 0, 0), "at most 8 dimensions"},
		"complex numbers":    {append(head(strings.Replace(good, "<f4", "<c8", 1)), 0, 0, 0, 0, 0, 0, 0, 0), `"<c8", for which there is no tensor`},
	} {
		t.Run(name, func(t *testing.T) {
			before := Live()
			_, err := ParseNPY("runs/x.npy", c.file)
			require.ErrorContains(t, err, "runs/x.npy: ")
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, before, Live())
		})
	}
	for path, want := range map[string]string{
		"objects": "Python objects", "records": "no tensor", "text": "an array of text", "unsigned": `"<u2", for which there is no tensor: convert`, "no such": "no such file",
	} {
		_, err := ReadNPY("testdata/" + path + ".npy")
		assert.ErrorContains(t, err, "testdata/"+path+".npy")
		assert.ErrorContains(t, err, want)
	}
}

func TestNPZRefuses(t *testing.T) {
	member := func(method uint16, size uint64, contents string, names ...string) []byte {
		var file bytes.Buffer
		w := zip.NewWriter(&file)
		for _, name := range names {
			r, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, CompressedSize64: uint64(len(contents)), UncompressedSize64: size})
			require.NoError(t, err)
			_, err = r.Write([]byte(contents))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return file.Bytes()
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"no zip":               {[]byte("no zip"), "not a readable .npz"},
		"another checksum":     {member(zip.Store, 6, "\x93NUMPY", "x.npy"), `array "x": damaged`},
		"a bomb":               {member(zip.Deflate, 1<<40, "\x03\x00", "x.npy"), "declares 1099511627776 bytes, more than its 2 bytes can hold"},
		"shorter than it says": {member(zip.Deflate, 1000, "\x03\x00", "x.npy"), "cut short or damaged"},
		"longer than it says":  {member(zip.Store, 1000, "\x03\x00", "x.npy"), "cut short"},
		"an unknown method":    {member(99, 2, "\x03\x00", "x.npy"), "unsupported compression"},
		"two of a name":        {member(zip.Deflate, 0, "\x03\x00", "x.npy", "x.npy"), `array "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			before := Live()
			entries, err := ParseNPZ("runs/x.npz", c.file)
			require.ErrorContains(t, err, "runs/x.npz: ")
			assert.ErrorContains(t, err, c.want)
			assert.Nil(t, entries)
			assert.Equal(t, before, Live())
		})
	}
	file, err := os.ReadFile("testdata/npy.npz")
	require.NoError(t, err)
	for n := range file {
		_, err := ParseNPZ("runs/x.npz", file[:n])
		require.ErrorContains(t, err, "runs/x.npz: ", "%d of %d bytes", n, len(file))
	}
	twice := bytes.ReplaceAll(file, []byte("int16.npy"), []byte("int32.npy"))
	_, err = ParseNPZ("runs/x.npz", twice)
	assert.ErrorContains(t, err, "occurs twice")
	_, err = ReadNPZ(filepath.Join(t.TempDir(), "none.npz"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestWriteNPZErrors(t *testing.T) {
	in(t, func() {
		x := Scalar(1)
		assert.ErrorContains(t, WriteNPY(&bytes.Buffer{}, x.To(BFloat16)), "numpy has no bfloat16: convert with To(torch.Float32)")
		assert.ErrorContains(t, WriteNPZ(&bytes.Buffer{}, []Entry{{"x", x.To(BFloat16)}}), "array x: ")
		assert.ErrorContains(t, WriteNPZ(&bytes.Buffer{}, []Entry{{"x", x}, {"x", x}}), `two arrays are called "x"`)
		assert.Error(t, WriteNPY(&bytes.Buffer{}, Tensor{}))
		assert.ErrorIs(t, WriteNPY(&failing{100}, x), os.ErrClosed)
		assert.ErrorIs(t, WriteNPY(&failing{130}, x), os.ErrClosed)
		assert.ErrorIs(t, WriteNPZ(&failing{100}, []Entry{{"x", Zeros([]int{5000}, Float32)}}), os.ErrClosed)
		assert.ErrorIs(t, WriteNPZ(&failing{150}, []Entry{{"x", x}}), os.ErrClosed)
	})
}

// FuzzNPY reads anything without a panic, leaks nothing, and what it reads can be written and read
// again.
func FuzzNPY(f *testing.F) {
	for _, name := range []string{"vector", "scalar", "matrix", "objects", "records", "text", "unsigned", "version2"} {
		file, err := os.ReadFile("testdata/" + name + ".npy")
		require.NoError(f, err)
		f.Add(file)
	}
	f.Add([]byte("\x93NUMPY\x01\x00\x3c\x00{'descr': '>f8', 'fortran_order': True, 'shape': (1, 2), }\n0123456789abcdef"))
	f.Fuzz(func(t *testing.T, file []byte) {
		before := Live()
		defer func() { assert.Equal(t, before, Live()) }()
		x, err := ParseNPY("some/file", file)
		if err != nil {
			require.Contains(t, err.Error(), "some/file: ")
			require.Less(t, len(err.Error()), 400)
			return
		}
		defer x.Close()
		var again bytes.Buffer
		require.NoError(t, WriteNPY(&again, x))
		y, err := ParseNPY("again", again.Bytes())
		require.NoError(t, err)
		defer y.Close()
		assert.Equal(t, x.Shape(), y.Shape())
		assert.Equal(t, x.Bytes(), y.Bytes())
	})
}

// FuzzNPZ reads anything without a panic and leaks nothing.
func FuzzNPZ(f *testing.F) {
	for _, name := range []string{"npy", "npy.compressed"} {
		file, err := os.ReadFile("testdata/" + name + ".npz")
		require.NoError(f, err)
		f.Add(file)
	}
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, file []byte) {
		before := Live()
		defer func() { assert.Equal(t, before, Live()) }()
		entries, err := ParseNPZ("some/file", file)
		if err != nil {
			require.Contains(t, err.Error(), "some/file: ")
		}
		dropEntries(entries)
	})
}
