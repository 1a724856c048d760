// Package datatest has data sets for tests.
package datatest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

// FashionMNIST returns a folder with the first images of both splits of Fashion-MNIST, so that a test on all
// of them takes no time.
func FashionMNIST(t testing.TB, train, test int) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []struct {
		split  data.Split
		prefix string
		n      int
	}{{data.Train, "train", train}, {data.Test, "t10k", test}} {
		set, err := data.Open("fmnist", data.Options{Split: part.split})
		require.NoError(t, err)
		few := set.Head(part.n)
		labels := make([]byte, few.N)
		for i, class := range few.Labels {
			labels[i] = byte(class)
		}
		writeIDX(t, filepath.Join(dir, part.prefix+"-images-idx3-ubyte"), few.Pixels(), few.N, few.H, few.W)
		writeIDX(t, filepath.Join(dir, part.prefix+"-labels-idx1-ubyte"), labels, few.N)
		require.NoError(t, set.Close())
	}
	return dir
}

func writeIDX(t testing.TB, path string, contents []byte, dims ...int) {
	t.Helper()
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	require.NoError(t, os.WriteFile(path, append(b, contents...), 0o666))
}
