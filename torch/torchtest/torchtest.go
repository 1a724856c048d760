// Package torchtest has helpers for tests of tensor code: scopes that check for leaks, golden files and
// comparisons.
package torchtest

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// Run runs f as a subtest in its own scope, and fails the subtest if a tensor outlives the scope.
func Run(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { t.Helper(); Scope(t, func() { f(t) }) })
}

// Scope runs f in a scope and fails the test if a tensor outlives it.
func Scope(t testing.TB, f func()) {
	t.Helper()
	before := torch.Live()
	require.NoError(t, torch.Do(func() error { f(); return nil }))
	require.Equal(t, before, torch.Live(), "tensors outlived their scope: close what is kept")
}

// Golden is a file of expected arrays. A script beside the file writes it.
type Golden struct {
	t      testing.TB
	path   string
	arrays map[string]array
}

type array struct {
	dtype torch.DType
	shape []int
	data  []byte
}

// Load reads testdata/x.npz, written by testdata/x.py (make golden).
func Load(t testing.TB, path string) *Golden {
	t.Helper()
	entries, err := torch.ReadNPZ(path)
	require.NoError(t, err)
	g := &Golden{t, path, map[string]array{}}
	for _, e := range entries {
		shape := e.Tensor.Shape()
		if len(shape) == 0 {
			shape = []int{1}
		}
		g.arrays[e.Name] = array{e.Tensor.DType(), shape, e.Tensor.Bytes()}
		e.Tensor.Close()
	}
	return g
}

// Tensor makes a tensor of one array in the open scope. A scalar's shape is [1].
func (g *Golden) Tensor(name string) torch.Tensor {
	g.t.Helper()
	a, ok := g.arrays[name]
	require.True(g.t, ok, "%s has no array %q", g.path, name)
	return torch.FromBytes(a.data, a.dtype, a.shape...)
}

// Item reads an array of one element.
func (g *Golden) Item(name string) float64 { g.t.Helper(); return g.Tensor(name).Item() }

// State reads every array whose name starts with prefix. The keys of the map are the names without
// the prefix.
func (g *Golden) State(prefix string) map[string]torch.Tensor {
	g.t.Helper()
	out := map[string]torch.Tensor{}
	for key := range g.arrays {
		if name, ok := strings.CutPrefix(key, prefix); ok && name != "" {
			out[name] = g.Tensor(key)
		}
	}
	return out
}

// InDelta fails unless got has want's shape and no element is further than tol from want's,
// relative to the larger of 1 and want's greatest magnitude.
func InDelta(t testing.TB, want, got torch.Tensor, tol float64) {
	t.Helper()
	require.Equal(t, want.Shape(), got.Shape())
	w, g := want.Float64s(), got.Float64s()
	scale := 1.0
	for _, v := range w {
		scale = max(scale, math.Abs(v))
	}
	worst, at := 0.0, 0
	for i := range w {
		if d := math.Abs(w[i] - g[i]); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tol*scale) {
		t.Fatalf("element %d is %v, want %v: off by %.3g, allowed %.3g", at, g[at], w[at], worst, tol*scale)
	}
}

// GradCheck compares the autograd gradient of a scalar function at the float64 point x with
// central differences.
func GradCheck(t testing.TB, f func(x torch.Tensor) torch.Tensor, x torch.Tensor, tol float64) {
	t.Helper()
	leaf := x.Leaf()
	got := torch.Grad(f(leaf), leaf, false)
	data := torch.ToSlice[float64](x)
	numeric := make([]float64, len(data))
	const h = 1e-5
	at := func(i int, v float64) float64 {
		old := data[i]
		defer func() { data[i] = old }()
		data[i] = v
		var y float64
		torch.Tidy(func() torch.Tensor {
			y = f(torch.FromSlice(data, x.Shape()...)).Item()
			return torch.Tensor{}
		})
		return y
	}
	for i, v := range data {
		numeric[i] = (at(i, v+h) - at(i, v-h)) / (2 * h)
	}
	InDelta(t, torch.FromSlice(numeric, x.Shape()...), got, tol)
}
