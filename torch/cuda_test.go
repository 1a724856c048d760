package torch_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestAGPUIsUsedAsItShouldBe(t *testing.T) {
	torchtest.OnIdleGPUs(t, func(counts func() torchtest.IdleCounts) {
		runtime.LockOSThread() // a thread has its own current device
		defer runtime.UnlockOSThread()
		gpu := torch.Device{Type: torch.CUDA, Index: 1}
		require.Equal(t, 2, torch.CUDADevices(), torch.WhyNoCUDA())
		before, err := torch.MemoryStats(gpu)
		require.NoError(t, err)
		assert.Equal(t, torch.Memory{Free: 4 << 30, Total: 4 << 30}, before)
		torchtest.Scope(t, func() {
			x := torch.FromSlice(make([]float32, 1<<20)).ToDevice(gpu)
			assert.Equal(t, gpu, x.Device())
			after, err := torch.MemoryStats(gpu)
			require.NoError(t, err)
			assert.LessOrEqual(t, after.Free, before.Free-4<<20)
			host := torch.FromSlice([]float32{1, 2, 3})
			assert.Equal(t, []float64{1, 2, 3}, host.ToDevice(gpu).ToDevice(torch.Device{}).Float64s(), "there and back")

			err = torch.Do(func() error { zeros(gpu, 5<<30); return nil })
			require.ErrorContains(t, err, "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 1 has a total capacity of 4.00 GiB")
			zeros(gpu, 1<<20) // and the next one is as good as the first
		})
		_, err = torch.MemoryStats(torch.Device{Type: torch.CUDA, Index: 2})
		require.Error(t, err)
		c := counts()
		assert.Positive(t, c.ToGPU)
		assert.Zero(t, c.FromPageable, "every copy to a GPU is from pinned memory")
		assert.Zero(t, c.Uses[0], "nothing made a context of the other GPU")
	})
}

func zeros(d torch.Device, shape ...int) torch.Tensor {
	return torch.Call("aten::zeros", shape, torch.Float32, torch.Named{Name: "device", Value: d})[0].(torch.Tensor)
}

// back is what a GPU has, converted here.
func back(t torch.Tensor) []float64 { return t.ToDevice(torch.Device{}).Float64s() }

func TestAGPUThatIsRefusedIsExplained(t *testing.T) {
	t.Setenv("IDLE_OLD_DRIVER", "1")
	torchtest.OnIdleGPUs(t, func(func() torchtest.IdleCounts) {
		require.False(t, torch.HasCUDA())
		assert.Contains(t, torch.WhyNoCUDA(), "no device is usable: CUDA driver version is insufficient for CUDA runtime version: see whether")
	})
}

// twoGPUs skips a test on a machine without two GPUs: real ones, or those of third_party/cuda.sh.
func twoGPUs(t *testing.T) {
	if torch.CUDADevices() < 2 {
		t.Skip("needs two GPUs")
	}
}

func TestNCCLReducesAcrossGPUs(t *testing.T) {
	twoGPUs(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		require.NoError(t, joined(t, o, func(g *torch.Group) {
			gpu, rank := torch.Device{Type: torch.CUDA, Index: o.Rank}, float32(g.Rank())
			x := torch.FromSlice([]float32{rank, 10 * rank, 1, 2}, 2, 2).ToDevice(gpu)
			sum, most, from := x.Clone(), x.Clone(), x.Clone()
			g.AllReduce(sum, torch.ReduceSum)
			g.AllReduce(most, torch.ReduceMax)
			g.Broadcast(from, 1)
			g.Barrier()
			assert.Equal(t, gpu, sum.Device())
			assert.Equal(t, []float64{1, 10, 2, 4}, back(sum))
			assert.Equal(t, []float64{1, 10, 1, 2}, back(most))
			assert.Equal(t, []float64{1, 10, 1, 2}, back(from))
			assert.Equal(t, []float64{1, 10, 2, 4}, back(g.Sum(x)))
			for r, part := range g.AllGather(x) {
				assert.Equal(t, []float64{float64(r), 10 * float64(r), 1, 2}, back(part))
			}
			p := x.Leaf()
			g.Grads(p.Square().Sum(), []torch.Tensor{p}) // idle GPUs compute none, but its reduction ends
		}))
	})
	torchtest.Succeeded(t, ended)
	for rank, p := range ended {
		assert.NotContains(t, p.Output, "Warning", "rank %d", rank)
	}
}

// NCCL sees no connection break: the loss shows when the time for an answer is over.
func TestNCCLNamesALostPeer(t *testing.T) {
	twoGPUs(t)
	ended := torchtest.Processes(t, 2, func(o torch.GroupOptions) {
		o.Timeout = 3 * time.Second
		require.ErrorIs(t, joined(t, o, func(g *torch.Group) {
			x := zeros(torch.Device{Type: torch.CUDA, Index: o.Rank}, 1)
			g.AllReduce(x, torch.ReduceSum)
			if g.Rank() == 1 {
				require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
				select {}
			}
			g.AllReduce(x, torch.ReduceSum)
			x.Float64s()
		}), torch.ErrPeerLost)
	})
	if ended == nil {
		return
	}
	torchtest.Succeeded(t, ended[:1])
	assert.Equal(t, -1, ended[1].Code)
}
