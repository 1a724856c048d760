//go:build !asan

package torch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Not under the address sanitizer, for which cgo moves the buffers that C sees to the heap.
func TestSteadyStateAllocatesNothingInGo(t *testing.T) {
	require.NoError(t, Do(func() error {
		x := Ones([]int{4, 4}, Float32)
		n := testing.AllocsPerRun(100, func() { Tidy(func() Tensor { return x.Add(x) }) })
		assert.Zero(t, n)
		return nil
	}))
}
