package torchtest

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

//go:embed testdata/standin_cuda.cc
var standIn string

// OnGPU calls f with a GPU. It is the machine's last one. On a machine without GPUs, OnGPU runs the calling
// test again in another process, with a simulated CUDA half of libtorch that computes on the CPU
// (testdata/standin_cuda.cc). It has two GPUs and refuses operators on tensors of several devices.
func OnGPU(t *testing.T, f func(gpu torch.Device)) {
	t.Helper()
	if os.Getenv(idle) != "" {
		t.Skip("idle GPUs compute nothing")
	}
	if n := torch.CUDADevices(); n > 0 || os.Getenv(inAgain) != "" {
		require.Positive(t, n, "the stand-in is not in use: %s", torch.WhyNoCUDA())
		f(torch.Device{Type: torch.CUDA, Index: n - 1})
		return
	}
	own := filepath.Dir(torch.LibraryPath())
	_, err := os.Stat(filepath.Join(own, "libtorch_cuda.so"))
	if system := strings.HasPrefix(own, "/usr/lib") || strings.HasPrefix(own, "/lib"); err == nil || !system {
		t.Skip("the simulated GPU works only with a system's libtorch without CUDA")
	}
	lib, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for _, pattern := range []string{"libtorch.so*", "libtorch_cpu.so*", "libc10.so*"} {
		found, err := filepath.Glob(filepath.Join(own, pattern))
		require.NoError(t, err)
		for _, from := range found {
			require.NoError(t, os.Symlink(from, filepath.Join(lib, filepath.Base(from))))
		}
	}
	compile := exec.Command("g++", "-xc++", "-", "-shared", "-fPIC", "-std=c++20", "-I/usr/include/torch/csrc/api/include",
		"-o", filepath.Join(lib, "libtorch_cuda.so"))
	compile.Stdin = strings.NewReader(standIn)
	text, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", text)
	again(t, "LD_LIBRARY_PATH="+lib+":"+os.Getenv("LD_LIBRARY_PATH"))
}

// Environment variables. third_party/cuda.sh, which makes a libtorch with idle GPUs, sets idle. OnIdleGPUs
// sets idleCounts to the file of their counts.
const idle, idleCounts = "LIEBM_TEST_IDLE_GPUS", "IDLE_COUNTS"

// IdleCounts counts the calls of CUDA in this process: copies to GPUs (ToGPU), copies from memory that is not
// pinned among them (FromPageable), copies from GPUs (ToHost), waits and kernels. Uses counts the calls made
// while each GPU was the current one. A GPU that has no calls has no context.
type IdleCounts struct {
	ToGPU, FromPageable, ToHost, Waits, Kernels int64
	Uses                                        [2]int64
}

// OnIdleGPUs runs the calling test again in another process, and calls f there. That process has libtorch's
// real CUDA half and two simulated GPUs, on which no kernel runs (testdata/idle_cuda.c). third_party/cuda.sh
// makes them; without them the test is skipped.
func OnIdleGPUs(t *testing.T, f func(counts func() IdleCounts)) {
	t.Helper()
	if os.Getenv(idle) == "" {
		t.Skip("needs third_party/cuda.sh")
	}
	name := os.Getenv(idleCounts)
	if name == "" {
		again(t, idleCounts+"="+filepath.Join(t.TempDir(), "counts"))
		return
	}
	f(func() (c IdleCounts) {
		file, err := os.Open(name)
		require.NoError(t, err)
		defer file.Close()
		require.NoError(t, binary.Read(file, binary.NativeEndian, &c))
		return c
	})
}

// inAgain is set in the process of again.
const inAgain = "LIEBM_TEST_AGAIN"

// again runs the calling test in another process of the test binary.
func again(t *testing.T, env ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	c.Env = append(os.Environ(), append(env, inAgain+"=1")...)
	text, err := c.CombinedOutput()
	require.NoError(t, err, "%s", text)
}
