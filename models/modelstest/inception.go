// Package modelstest has weights for tests of networks whose real weights are too large to come
// with liebm.
package modelstest

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// InceptionState is the state dict of an Inception whose weights are drawn by a formula of their
// names and indices, the one of models/testdata/inception.py, so that both sides have the same
// without a file of 95 MB. It needs an open scope.
func InceptionState(t testing.TB) []torch.Entry {
	t.Helper()
	layout, err := models.InceptionLayout()
	require.NoError(t, err)
	var state []torch.Entry
	for _, w := range layout {
		n := 1
		for _, s := range w.Shape {
			n *= s
		}
		scale, shift := 0.4, -0.2
		switch {
		case len(w.Shape) > 1:
			scale = 2 * math.Sqrt(6/float64(n/w.Shape[0]))
			shift = -scale / 2
		case strings.HasSuffix(w.Name, "bn.weight"):
			scale, shift = 0.4, 0.8
		case strings.HasSuffix(w.Name, "running_var"):
			scale, shift = 0.8, 0.6
		}
		values := make([]float32, n)
		for i, u := range uniform(w.Name, n) {
			values[i] = float32(scale*u + shift)
		}
		state = append(state, torch.Entry{Name: w.Name, Tensor: torch.FromSlice(values, w.Shape...)})
	}
	return state
}

// uniform is n values in [0, 1): the top 53 bits of SplitMix64's outputs from the FNV-1a hash of name.
func uniform(name string, n int) []float64 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	state := hash.Sum64()
	out := make([]float64, n)
	for i := range out {
		state += 0x9e3779b97f4a7c15
		x := state
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		out[i] = float64((x^x>>31)>>11) / (1 << 53)
	}
	return out
}

// InceptionFile is a safetensors file of [InceptionState], for the time of the test.
func InceptionFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.safetensors")
	require.NoError(t, torch.Do(func() error {
		f, err := os.Create(path)
		require.NoError(t, err)
		defer f.Close()
		return torch.WriteSafetensors(f, InceptionState(t), nil)
	}))
	return path
}
