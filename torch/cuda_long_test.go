//go:build long

package torch_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// The same binary, on a libtorch that has a CUDA half beside it and on the one without.
func TestTheCUDAHalfOfALibtorchIsLoadedAtRunTime(t *testing.T) {
	torchtest.OnGPU(t, func(gpu torch.Device) {
		assert.True(t, torch.HasCUDA(), torch.WhyNoCUDA())
		assert.Empty(t, torch.WhyNoCUDA())
		first, n := torch.Device{Type: torch.CUDA}, torch.CUDADevices()
		for name, want := range map[string]torch.Device{"auto": first, gpu.String(): gpu, "cpu": {}} {
			got, err := torch.ParseDevice(name)
			assert.NoError(t, err)
			assert.Equal(t, want, got, name)
		}
		_, err := torch.ParseDevice(fmt.Sprintf("cuda:%d", n))
		assert.ErrorContains(t, err, fmt.Sprintf("this machine has %d, cuda:0 to %v", n, gpu))

		torchtest.Scope(t, func() {
			x := torch.FromSlice([]float32{1, 2, 3})
			there := x.ToDevice(gpu)
			assert.Equal(t, gpu, there.Device())
			assert.Equal(t, []float64{2, 4, 6}, there.Add(there).Float64s())
			assert.Equal(t, gpu, torch.NewRNG(1, 0, "x").NormalLike(there).Device())
			leaf := there.Leaf()
			grad := torch.Grad(leaf.Square().Sum(), leaf, false)
			assert.Equal(t, gpu, grad.Device())
			assert.Equal(t, []float64{2, 4, 6}, grad.ToDevice(torch.Device{}).Float64s())
			torch.Synchronize(gpu)
			require.ErrorContains(t, torch.Do(func() error { there.Add(x); return nil }), gpu.String())
			if n > 1 {
				require.ErrorContains(t, torch.Do(func() error { there.Add(x.ToDevice(first)); return nil }), "same device")
			}
		})
	})
	if !torch.HasCUDA() {
		assert.Contains(t, torch.WhyNoCUDA(), "was built without it")
	}
}
