package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// The same binary, on a libtorch that has a CUDA half beside it and on the one without.
func TestTheCUDAHalfOfALibtorchIsLoadedAtRunTime(t *testing.T) {
	torchtest.OnStandInGPU(t, func() {
		assert.True(t, torch.HasCUDA(), torch.WhyNoCUDA())
		assert.Empty(t, torch.WhyNoCUDA())
		assert.Equal(t, 2, torch.CUDADevices())
		gpu := torch.Device{Type: torch.CUDA, Index: 1}
		for name, want := range map[string]torch.Device{"auto": {Type: torch.CUDA}, "cuda:1": gpu, "cpu": {}} {
			got, err := torch.ParseDevice(name)
			assert.NoError(t, err)
			assert.Equal(t, want, got, name)
		}
		_, err := torch.ParseDevice("cuda:2")
		assert.ErrorContains(t, err, "this machine has 2, cuda:0 to cuda:1")

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
			require.ErrorContains(t, torch.Do(func() error { there.Add(x); return nil }), "cuda:1")
			require.ErrorContains(t, torch.Do(func() error { there.Add(x.ToDevice(torch.Device{Type: torch.CUDA})); return nil }), "same device")
		})
	})
	if !torch.HasCUDA() {
		assert.Contains(t, torch.WhyNoCUDA(), "was built without it")
	}
}
