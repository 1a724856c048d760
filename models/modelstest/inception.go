// Package modelstest has weights for tests of networks whose real weights are too large to come
// with liebm.
package modelstest

import (
	_ "embed"
	"fmt"
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

// convolutions has the name and the shape [out,in,kh,kw] of every convolution of torchvision's inception_v3.
//
//go:embed inception.txt
var convolutions string

// InceptionShapes are the shapes of the tensors in an Inception's state dict, by name.
func InceptionShapes() map[string][]int {
	shapes := map[string][]int{"fc.weight": {models.InceptionClasses, models.InceptionFeatures}, "fc.bias": {models.InceptionClasses}}
	for line := range strings.Lines(convolutions) {
		var name string
		var out, in, kh, kw int
		fmt.Sscan(line, &name, &out, &in, &kh, &kw)
		shapes[name+".conv.weight"] = []int{out, in, kh, kw}
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			shapes[name+".bn."+part] = []int{out}
		}
	}
	return shapes
}

// InceptionState is the state dict of an Inception for tests. A formula computes each weight from
// its name and index. models/testdata/inception.py has the same formula, so Go and Python have the
// same weights without a file of 95 MB. It needs an open scope.
func InceptionState() (state []torch.Entry) {
	for name, shape := range InceptionShapes() {
		n := 1
		for _, s := range shape {
			n *= s
		}
		scale, shift := 0.4, -0.2
		switch {
		case len(shape) > 1:
			scale = 2 * math.Sqrt(6/float64(n/shape[0]))
			shift = -scale / 2
		case strings.HasSuffix(name, "bn.weight"):
			scale, shift = 0.4, 0.8
		case strings.HasSuffix(name, "running_var"):
			scale, shift = 0.8, 0.6
		}
		values := make([]float32, n)
		for i, u := range uniform(name, n) {
			values[i] = float32(scale*u + shift)
		}
		state = append(state, torch.Entry{Name: name, Tensor: torch.FromSlice(values, shape...)})
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
		return torch.WriteSafetensors(f, InceptionState(), nil)
	}))
	return path
}
