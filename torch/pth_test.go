package torch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// closing reads a file and has the test close what was read.
func closing(t testing.TB, path string) (map[string]Tensor, map[string]any, []string) {
	t.Helper()
	entries, scalars, err := ReadCheckpoint(path)
	require.NoError(t, err)
	tensors, names := map[string]Tensor{}, []string{}
	for _, e := range entries {
		tensors[e.Name], names = e.Tensor, append(names, e.Name)
	}
	return tensors, scalars, names
}

func TestCheckpointsOfTorchSaveAreRead(t *testing.T) {
	for _, form := range []string{"zip", "legacy", "protocol4", "torch2"} {
		t.Run(form, func(t *testing.T) {
			in(t, func() {
				got, scalars, names := closing(t, "testdata/checkpoint."+form+".pth")
				defer drop(got)
				plain := Arange(24).To(Float32)
				want := map[string]Tensor{
					"model.whole": plain, "model.part": plain.Narrow(0, 5, 3), "model.permuted": plain.Reshape(2, 3, 4).Permute(2, 0, 1),
					"model.scalar": Scalar(2.5), "model.empty": Zeros([]int{0, 3}, Float32), "model.expanded": Ones([]int{3}, Float32),
					"model.parameter": FromSlice([]float32{1, 2}), "optimizer.state.0.step": Scalar(4),
				}
				ramp := Arange(6).Reshape(2, 3).AddScalar(-2)
				for dtype, name := range dtypeNames {
					want["model.x."+name] = ramp.To(dtype)
				}
				require.Len(t, got, len(want))
				for name, w := range want {
					require.Contains(t, got, name)
					assert.Equal(t, w.DType(), got[name].DType(), name)
					assert.Equal(t, w.Shape(), got[name].Shape(), name)
					assert.Equal(t, w.Bytes(), got[name].Bytes(), name)
				}
				assert.Equal(t, "model.x.uint8", names[0], "the file's order")
				assert.Equal(t, "optimizer.state.0.step", names[len(names)-1])
				assert.Equal(t, map[string]any{
					"epoch": 3, "done": true, "name": "näme", "optimizer.param_groups.0.lr": 0.5, "optimizer.param_groups.0.params.0": 0,
					"optimizer.param_groups.0.betas.0": 0.5, "optimizer.param_groups.0.betas.1": 0.999, "size.0": 2, "size.1": 3,
				}, scalars)
				got["model.whole"].ZeroInPlace()
				assert.Equal(t, []float32{0, 0, 0}, ToSlice[float32](got["model.part"]), "memory is shared as it was")
			})
		})
	}
}

func TestOtherFormsOfTorchSaveAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want map[string][]float64
	}{
		"a lone tensor":              {"tensor", map[string][]float64{"": {-2, -1, 0, 1, 2, 3}}},
		"the other byte order":       {"bigendian", map[string][]float64{"x": {-2, -1, 0, 1, 2, 3}, "h": {-2, -1, 0, 1, 2, 3}}},
		"a view in the legacy form":  {"view", map[string][]float64{"view": {5, 6, 8, 9}}},
		"all of the storage of view": {"view", map[string][]float64{"all": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func() {
				got, _, _ := closing(t, "testdata/"+c.file+".pth")
				defer drop(got)
				for name, want := range c.want {
					require.Contains(t, got, name)
					assert.Equal(t, want, got[name].Float64s())
				}
			})
		})
	}
}

func TestReadStateDictRefusesByName(t *testing.T) {
	before := Live()
	for path, want := range map[string]string{
		"testdata/model.pth":             "asks for torch.nn.modules.linear.Linear, which no state dict needs: refused, since it could be any program; save model.state_dict() instead",
		"testdata/evil.pth":              "asks for posix.system",
		"testdata/script.pth":            "TorchScript",
		"testdata/pth.py":                "starts with 22 22 22 57",
		"testdata/reference.safetensors": "no file of torch.save",
		"testdata/no such file":          "no such file",
	} {
		_, err := ReadStateDict(path)
		assert.ErrorContains(t, err, path)
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, before, Live())
}

func TestCheckpointsCutShortAnywhereAreErrors(t *testing.T) {
	before := Live()
	for _, form := range []string{"zip", "legacy", "protocol4"} {
		file, err := os.ReadFile("testdata/checkpoint." + form + ".pth")
		require.NoError(t, err)
		for n := range file {
			entries, _, err := ParseCheckpoint("runs/x.pth", file[:n])
			require.Error(t, err, "%s: %d of %d bytes", form, n, len(file))
			require.Contains(t, err.Error(), "runs/x.pth: ")
			require.Nil(t, entries)
		}
	}
	_, _, err := ParseCheckpoint("runs/x.pth", append(read(t, "view"), 0))
	assert.ErrorContains(t, err, "1 bytes follow")
	assert.Equal(t, before, Live())
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/" + name + ".pth")
	require.NoError(t, err)
	return file
}

// archive is a zip as torch.save writes it.
func archive(t testing.TB, method uint16, records ...string) []byte {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for i := 0; i < len(records); i += 2 {
		r, err := w.CreateHeader(&zip.FileHeader{Name: "top/" + records[i], Method: method})
		require.NoError(t, err)
		_, err = r.Write([]byte(records[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return file.Bytes()
}

// Pickles in the text of their opcodes: I…\n is not allowed, so that integers are J and four bytes.
func number(n int) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func word(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func tuple(ns ...int) string {
	s := "("
	for _, n := range ns {
		s += number(n)
	}
	return s + "t"
}

// storageOf is a persistent id, and tensorOf a call of _rebuild_tensor_v2, of storage 0.
func storageOf(numel int) string {
	return "(" + word("storage") + "ctorch\nFloatStorage\n" + word("0") + word("cpu") + number(numel) + "tQ"
}

func tensorOf(numel, offset int, shape, stride string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(numel) + number(offset) + shape + stride + "\x89N" + "tR"
}

func TestHostileCheckpointsAreRefused(t *testing.T) {
	const four = "0123456789abcdef" // as four float32
	file := func(pickle string) []byte {
		return archive(t, zip.Store, "data.pkl", "\x80\x02"+pickle+".", "data/0", four)
	}
	echo := "(" + word(strings.Repeat("x", 1000)) + "q\x01" + strings.Repeat("h\x01", 1000) + "t)R"
	other := bytes.Replace(file(tensorOf(4, 0, tuple(4), tuple(1))), []byte("top/data/0"), []byte("top/data/1"), -1)
	damaged := file(tensorOf(4, 0, tuple(4), tuple(1)))
	damaged[bytes.Index(damaged, []byte(four))]++
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"negative shape":          {file(tensorOf(4, 0, tuple(-4), tuple(1))), "does not fit"},
		"negative stride":         {file(tensorOf(4, 3, tuple(4), tuple(-1))), "does not fit"},
		"negative offset":         {file(tensorOf(4, -1, tuple(4), tuple(1))), "does not fit"},
		"one too many":            {file(tensorOf(4, 0, tuple(5), tuple(1))), "does not fit"},
		"beyond by offset":        {file(tensorOf(4, 1, tuple(4), tuple(1))), "does not fit"},
		"beyond by stride":        {file(tensorOf(4, 0, tuple(2, 2), tuple(3, 1))), "does not fit"},
		"a scalar beyond":         {file(tensorOf(4, 4, tuple(), tuple())), "does not fit"},
		"strides missing":         {file(tensorOf(4, 0, tuple(2, 2), tuple(1))), "does not fit"},
		"shape overflows":         {file(tensorOf(4, 0, tuple(1<<30, 1<<30, 1<<30), tuple(0, 0, 0))), "repeats the elements"},
		"nine dimensions":         {file(tensorOf(4, 0, tuple(1, 1, 1, 1, 1, 1, 1, 1, 1), tuple(1, 1, 1, 1, 1, 1, 1, 1, 1))), "(storage, offset, shape, stride)"},
		"huge storage":            {file(tensorOf(1<<30, 0, tuple(4), tuple(1))), "does not fit in"},
		"negative storage":        {file(tensorOf(-1, 0, tuple(0), tuple(1))), "does not fit in"},
		"storage of another size": {file(tensorOf(5, 0, tuple(4), tuple(1))), "5 float32 need 20"},
		"storage of two sizes":    {file("(" + tensorOf(4, 0, tuple(4), tuple(1)) + tensorOf(3, 0, tuple(3), tuple(1)) + "t"), "4 float32 and also 3"},
		"missing storage":         {other, "is missing"},
		"another checksum":        {damaged, "checksum"},
		"compressed":              {archive(t, zip.Deflate, "data.pkl", "\x80\x02N."), "compressed"},
		"two of a name":           {archive(t, zip.Store, "data.pkl", "\x80\x02N.", "data.pkl", "\x80\x02N."), "two records"},
		"no pickle":               {archive(t, zip.Store, "version", "3"), "without the data.pkl"},
		"a string of gigabytes":   {file("X\xff\xff\xff\x7f"), "2147483651 bytes announced"},
		"a frame of exabytes":     {file("\x95\xff\xff\xff\xff\xff\xff\xff\x7f"), "frame"},
		"a list in itself":        {file("]q\x01h\x01a"), "without end"},
		"lists doubled 60 times":  {file("]" + strings.Repeat("q\x01(h\x01h\x01t", 60)), "without end"},
		"lists 100 deep":          {file("]" + strings.Repeat("\x85", 100)), "without end"},
		"100 open marks":          {file(strings.Repeat("(", 100)), "more complicated"},
		"a million dicts":         {file(strings.Repeat("}", 1<<20)), "more complicated"},
		"a string again and again": {
			file(echo), "more complicated"},
		"a call of a tuple":      {file("(NNt)R"), "REDUCE requires"},
		"odd items":              {file("}(Nu"), "makes no sense"},
		"a class by its name":    {file("\x8c\x02os\x8c\x06system\x93"), "asks for os.system"},
		"a key that is a list":   {file("}]Ns"), "neither a string nor an integer"},
		"two tensors of a name":  {file("}" + word("x") + tensorOf(4, 0, tuple(4), tuple(1)) + "s" + word("x") + tensorOf(4, 0, tuple(4), tuple(1)) + "s"), `two tensors are called "x"`},
		"a storage without tag":  {file("(" + word("module") + "NNNNtQ"), "no storage"},
		"a conjugated view":      {file("ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + number(0) + tuple(4) + tuple(1) + "\x89N}" + word("neg") + "\x88stR"), "negated view"},
		"a pickle of another":    {[]byte("\x80\x02K\x01."), "none of torch.save"},
		"opcodes that are old":   {file("(ios\nsystem\n"), "opcode 0x69"},
		"a tar of the old times": {append(make([]byte, 257), "ustar\x00"...), "before 0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			before := Live()
			_, _, err := ParseCheckpoint("runs/x.pth", c.file)
			require.ErrorContains(t, err, "runs/x.pth: ")
			assert.ErrorContains(t, err, c.want)
			assert.Less(t, len(err.Error()), 400)
			assert.Equal(t, before, Live())
		})
	}
}

func TestATensorMayRepeatItsElements(t *testing.T) {
	in(t, func() {
		entries, _, err := ParseCheckpoint("x", archive(t, zip.Store, "data.pkl", "\x80\x02"+tensorOf(1, 0, tuple(2, 1000), tuple(0, 0))+".", "data/0", "\x00\x00\x80\x3f"))
		require.NoError(t, err)
		defer entries[0].Tensor.Close()
		assert.Equal(t, 2000.0, entries[0].Tensor.Sum().Item())
	})
}

// TestOverlappingRecordsAreNotMultiplied has 100 records of a directory that all lie in the same 64 KiB.
func TestOverlappingRecordsAreNotMultiplied(t *testing.T) {
	contents, entries := make([]byte, 1<<16), []string{"(" + word("storage") + "ctorch\nByteStorage\n"}
	local := func(name string) []byte {
		h := append([]byte("PK\x03\x04\x14\x00"), make([]byte, 24)...)
		binary.LittleEndian.PutUint16(h[26:], uint16(len(name)))
		return append(h, name...)
	}
	var file, directory []byte
	record := func(name string, at int, data []byte) {
		d := append([]byte("PK\x01\x02\x14\x00\x14\x00"), make([]byte, 38)...)
		binary.LittleEndian.PutUint32(d[16:], crc32.ChecksumIEEE(data))
		binary.LittleEndian.PutUint32(d[20:], uint32(len(data)))
		binary.LittleEndian.PutUint32(d[24:], uint32(len(data)))
		binary.LittleEndian.PutUint16(d[28:], uint16(len(name)))
		binary.LittleEndian.PutUint32(d[42:], uint32(at))
		directory = append(append(directory, d...), name...)
	}
	pickle := "\x80\x02("
	for i := range 100 {
		pickle += entries[0] + word(fmt.Sprint(i)) + word("cpu") + number(len(contents)) + "tQ"
	}
	pickle += "t."
	file = append(append(file, local("data.pkl")...), pickle...)
	record("data.pkl", 0, []byte(pickle))
	at := len(file)
	file = append(append(file, local("0")...), contents...)
	for i := range 100 {
		record(fmt.Sprint("data/", i), at, contents)
	}
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	binary.LittleEndian.PutUint16(end[8:], 101)
	binary.LittleEndian.PutUint16(end[10:], 101)
	binary.LittleEndian.PutUint32(end[12:], uint32(len(directory)))
	binary.LittleEndian.PutUint32(end[16:], uint32(len(file)))
	_, _, err := ParseCheckpoint("x", append(append(file, directory...), end...))
	assert.ErrorContains(t, err, "overlap")
}

// TestHostilePicklesAllocateByTheirSize: what costs most per byte, at a megabyte each.
func TestHostilePicklesAllocateByTheirSize(t *testing.T) {
	for name, program := range map[string]string{
		"nothing at all": strings.Repeat("N", 1<<20),
		"tuples":         strings.Repeat(")", 1<<20),
		"marks":          strings.Repeat("(t", 1<<19),
		"dicts":          strings.Repeat("}NNNNNNN", 1<<17),
		"calls":          "ccollections\nOrderedDict\nq\x01" + strings.Repeat("h\x01)RNNNN", 1<<17),
		"memo":           strings.Repeat("Nr\x00\x01\x02\x03", 1<<18),
		"frames":         strings.Repeat("\x95\x01\x00\x00\x00\x00\x00\x00\x00N", 1<<17),
	} {
		file := archive(t, zip.Store, "data.pkl", "\x80\x04"+program+".")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, _ = ParseCheckpoint("x", file)
		runtime.ReadMemStats(&after)
		// 100 times, and twice that where a stack grew by copying.
		assert.Less(t, int(after.TotalAlloc-before.TotalAlloc), 200*len(file), name)
	}
}

// FuzzCheckpoint reads anything without a panic, leaks nothing, and no tensor is larger than its file
// justifies.
func FuzzCheckpoint(f *testing.F) {
	for _, name := range []string{"checkpoint.zip", "checkpoint.legacy", "checkpoint.protocol4", "tensor", "view", "bigendian", "evil", "model"} {
		f.Add(read(f, name))
	}
	f.Add(archive(f, zip.Store, "data.pkl", "\x80\x02"+tensorOf(4, 0, tuple(2, 2), tuple(2, 1))+".", "data/0", "0123456789abcdef"))
	f.Fuzz(func(t *testing.T, file []byte) {
		fuzzCheckpoint(t, file)
	})
}

// FuzzCheckpointPickle does the same within a zip, whose checksums would stop most changes.
func FuzzCheckpointPickle(f *testing.F) {
	for _, s := range []string{
		"\x80\x02" + tensorOf(4, 0, tuple(2, 2), tuple(2, 1)) + ".",
		"\x80\x02ccollections\nOrderedDict\nq\x01)R(" + word("x") + "q\x02ctorch._utils\n_rebuild_parameter\n" + tensorOf(4, 1, tuple(3), tuple(1)) + "\x88h\x01)R\x87Ru}" + word("_metadata") + "}sb.",
		"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94(\x88\x89Neu.",
		"\x80\x02}q\x00(X\x01\x00\x00\x00sctorch\nSize\nq\x01K\x02K\x03\x86\x85RX\x01\x00\x00\x00dctorch\nfloat32\nX\x01\x00\x00\x00lG@\x00\x00\x00\x00\x00\x00\x00u.",
		"\x80\x02" + strings.Repeat("]q\x01(h\x01h\x01e", 3) + ".",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pickle string) {
		fuzzCheckpoint(t, archive(t, zip.Store, "data.pkl", pickle, "data/0", "0123456789abcdef"))
	})
}

func fuzzCheckpoint(t *testing.T, file []byte) {
	before := Live()
	defer func() { assert.Equal(t, before, Live()) }()
	entries, _, err := ParseCheckpoint("some/file", file)
	if err != nil {
		require.Contains(t, err.Error(), "some/file: ")
		require.Less(t, len(err.Error()), 1000)
		return
	}
	for _, e := range entries {
		assert.LessOrEqual(t, len(e.Tensor.Bytes()), max(len(file), 1<<20))
		e.Tensor.Close()
	}
}
