package data

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/sbinet/npyio/npz"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNPZIsReadByALibrary(t *testing.T) {
	for _, n := range []int{1, 10, 12345} { // headers of several lengths
		s, err := New(Shape{N: n, H: 2, W: 3, C: 1}, bytes.Repeat([]byte{1, 2, 3, 4, 5, 6}, n), nil)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "x.npz")
		require.NoError(t, WriteNPZ(path, s))
		f, err := npz.Open(path)
		require.NoError(t, err)
		defer f.Close()
		head := f.Header("arr_0.npy")
		require.NotNil(t, head)
		assert.Equal(t, []int{n, 2, 3, 1}, head.Descr.Shape)
		assert.Equal(t, "|u1", head.Descr.Type)
		var pixels []uint8
		require.NoError(t, f.Read("arr_0.npy", &pixels))
		assert.Equal(t, s.Pixels(), pixels)
	}
}
