package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// idx is an IDX file of unsigned bytes with the dimensions and contents given.
func idx(contents []byte, dims ...int) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, contents...)
}

// ramp is n bytes that all differ from their neighbours.
func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	return b
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

// folder writes files, by relative name, below a new folder.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b, 0o644))
	}
	return dir
}

// tarred is a tar with every file below dir.
func tarred(t testing.TB, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.AddFS(os.DirFS(dir)))
	require.NoError(t, w.Close())
	return out.Bytes()
}

// cifarPixel is the formula of testdata/cifar_pickle.py.
func cifarPixel(i, b, y, x, c int) byte { return byte(i*37 + b*59 + c*101 + y*5 + x*3) }

// cifarBinary is n rows in the format of the binary batches, with the same pixels and labels.
func cifarBinary(n, b, classes int) (out []byte) {
	for i := range n {
		if classes == 100 {
			out = append(out, byte((i*3+b)%20))
		}
		out = append(out, byte((i*3+b)%classes))
		for c := range 3 {
			for y := range 32 {
				for x := range 32 {
					out = append(out, cifarPixel(i, b, y, x, c))
				}
			}
		}
	}
	return out
}

// requireCIFAR checks rows first…first+n−1 of set against batch b of the formula.
func requireCIFAR(t *testing.T, set *Set, first, n, b, classes int) {
	t.Helper()
	require.Equal(t, Shape{set.N, 32, 32, 3}, set.Shape)
	for i := range n {
		require.Equal(t, (i*3+b)%classes, set.Label(first+i))
		image := set.Image(first + i)
		for _, at := range [][3]int{{0, 0, 0}, {0, 0, 2}, {5, 17, 1}, {31, 31, 2}} {
			y, x, c := at[0], at[1], at[2]
			require.Equal(t, cifarPixel(i, b, y, x, c), image[(y*32+x)*3+c], "row %d, pixel %v", i, at)
		}
	}
}

func mustOpen(t testing.TB, source string, o Options) *Set {
	t.Helper()
	set, err := Open(source, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, set.Close()) })
	return set
}

// testdata reads every file below testdata/name, under the name of its folder.
func testdata(t testing.TB, name string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(filepath.Join("testdata", name), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[filepath.Join(name, d.Name())], err = os.ReadFile(path)
		}
		return err
	}))
	return files
}
