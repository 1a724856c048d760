package data

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireRows checks three images against the formula of testdata/photos.py.
func requireRows(t *testing.T, set *Set) {
	t.Helper()
	require.Equal(t, Shape{3, 32, 32, 3}, set.Shape)
	for i := range 3 {
		for y := range 32 {
			for x := range 32 {
				for c := range 3 {
					require.Equal(t, byte(i*37+c*101+y*5+x*3), set.Image(i)[(y*32+x)*3+c], "image %d, y %d, x %d, channel %d", i, y, x, c)
				}
			}
		}
	}
}

func TestSVHN(t *testing.T) {
	for _, name := range []string{"train_32x32.mat", "plain.mat", "double.mat"} {
		t.Run(name, func(t *testing.T) {
			set := mustOpen(t, filepath.Join("testdata/photos", name), Options{})
			requireRows(t, set)
			assert.Equal(t, []int32{1, 0, 9}, set.Labels, "10 is the digit 0")
			assert.Equal(t, "svhn", set.Name)
			assert.Len(t, set.Classes, 10)
		})
	}
	t.Run("folder", func(t *testing.T) {
		dir := folder(t, map[string][]byte{"train_32x32.mat": photo(t, "train_32x32.mat"), "extra_32x32.mat": photo(t, "plain.mat")})
		assert.Equal(t, Train, mustOpen(t, dir, Options{}).Split)
		assert.Equal(t, Extra, mustOpen(t, dir, Options{Split: Extra}).Split)
		_, err := Open(dir, Options{Split: Test})
		require.ErrorContains(t, err, "no test images there")
	})
	t.Run("known", func(t *testing.T) {
		_, err := Open("svhn", Options{Path: "testdata/photos/train_32x32.mat"})
		require.ErrorContains(t, err, "SVHN has 73257×32×32×3")
	})
}

func TestMATRefuses(t *testing.T) {
	plain, packed := photo(t, "plain.mat"), photo(t, "train_32x32.mat")
	edit := func(at int, b ...byte) []byte {
		out := bytes.Clone(plain)
		copy(out[at:], b)
		return out
	}
	labels := bytes.LastIndex(plain, []byte{1, 10, 9})
	var bomb bytes.Buffer // a variable that declares 4 GB
	z := zlib.NewWriter(&bomb)
	_, err := z.Write(binary.LittleEndian.AppendUint32([]byte{miMATRIX, 0, 0, 0}, 0xffffffff))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	hostile := append(bytes.Clone(packed[:matHead]), miCOMPRESSED, 0, 0, 0, byte(bomb.Len()), 0, 0, 0)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"no MAT-file":    {[]byte("<html>"), "not a MATLAB 5.0 MAT-file"},
		"other contents": {photo(t, "other.mat"), "no variable X"},
		"cut short":      {plain[:5000], "cut short"},
		"packed, cut":    {packed[:700], "cut short"},
		"one byte less":  {plain[:len(plain)-1], "cut short"},
		"label 11":       {edit(labels, 11), "label 0 is 11: SVHN has 1…10"},
		"label 0":        {edit(labels, 0), "label 0 is 0"},
		"a bomb":         {append(hostile, bomb.Bytes()...), "4294967295 bytes"},
		"another type":   {edit(matHead, 99), "type 99"},
		"damaged zlib":   {append(bytes.Clone(packed[:200]), packed[210:]...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(folder(t, map[string][]byte{"train_32x32.mat": c.b}), Options{})
			require.ErrorContains(t, err, "train_32x32.mat: ")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	t.Run("any one byte changed never panics", func(t *testing.T) {
		source := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			b := bytes.Clone(plain)
			b[matHead+source.IntN(80)] = byte(source.Uint32())
			if p, err := parseMAT(b); err == nil {
				require.Len(t, p.pixels, p.N*matRow)
			}
		}
	})
}

func TestImageNet32(t *testing.T) {
	npz, pickled := photo(t, "train_data_batch_1.npz"), photo(t, "train_data_batch_1")
	for form, files := range map[string]map[string][]byte{
		"npz":          {"train_data_batch_1.npz": npz},
		"pickle":       {"train_data_batch_1": pickled},
		"zip of npz":   {"Imagenet32_train_npz.zip": zipped(t, map[string][]byte{"train_data_batch_1.npz": npz})},
		"train of two": {"train_data_batch_1.npz": npz, "val_data.npz": npz},
	} {
		t.Run(form, func(t *testing.T) {
			set := mustOpen(t, folder(t, files), Options{})
			requireRows(t, set)
			assert.Equal(t, []int32{0, 999, 499}, set.Labels)
			assert.Equal(t, "imagenet32", set.Name)
		})
	}
}

func TestNPYOfImages(t *testing.T) {
	requireRows(t, mustOpen(t, "testdata/photos/nchw.npy", Options{}))
	requireRows(t, mustOpen(t, "testdata/photos/samples.npz", Options{}))
	good := photo(t, "nchw.npy")
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"cut short": {good[:500], "needs 9216 bytes, 372 follow"},
		"floats":    {bytes.Replace(good, []byte("|u1"), []byte("<f4"), 1), `type "<f4": images are uint8`},
		"objects":   {bytes.Replace(good, []byte("|u1"), []byte("|O8"), 1), `type "|O8"`},
		"huge":      {bytes.Replace(good, []byte("(3, 3, 32, 32)"), []byte("(9999999999,9)"), 1), "needs"},
		"nonsense":  {bytes.Replace(good, []byte("shape"), []byte("shope"), 1), "makes no sense"},
		"version 2": {bytes.Replace(good, []byte("NUMPY\x01"), []byte("NUMPY\x02"), 1), "cut short: its header ends at"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(filepath.Join(folder(t, map[string][]byte{"x.npy": c.b}), "x.npy"), Options{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzMAT(f *testing.F) {
	f.Add(photo(f, "plain.mat"))
	f.Add(photo(f, "train_32x32.mat"))
	f.Add(photo(f, "other.mat"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseMAT(b); err == nil {
			require.Len(t, p.pixels, p.N*matRow)
			require.Len(t, p.Labels, p.N)
		}
	})
}

func FuzzNPY(f *testing.F) {
	f.Add(photo(f, "nchw.npy"))
	f.Add(photo(f, "hwc.npy"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseImages(b); err == nil {
			require.Len(t, p.pixels, p.N*p.ImageBytes())
		}
	})
}

func FuzzZip(f *testing.F) {
	f.Add(photo(f, "train_data_batch_1.npz"))
	f.Add(photo(f, "samples.npz"))
	f.Add(zipped(f, map[string][]byte{"a/1.png": photo(f, "rgb.png")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseNPZ(b); err == nil {
			require.Len(t, p.pixels, p.N*p.ImageBytes())
		}
		r := reader{}
		_ = r.zip("x.zip", b)
	})
}
