package torch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// The same binary, on a libtorch that has a CUDA half beside it and on the one without.
func TestTheCUDAHalfOfALibtorchIsLoadedAtRunTime(t *testing.T) {
	const folder = "LIEBM_TEST_CUDA_HALF"
	if lib := os.Getenv(folder); lib != "" {
		assert.Equal(t, lib, filepath.Dir(torch.LibraryPath()))
		assert.True(t, torch.HasCUDA(), torch.WhyNoCUDA())
		assert.Empty(t, torch.WhyNoCUDA())
		assert.Equal(t, 2, torch.CUDADevices())
		for name, want := range map[string]torch.Device{"auto": {Type: torch.CUDA}, "cuda:1": {Type: torch.CUDA, Index: 1}, "cpu": {}} {
			got, err := torch.ParseDevice(name)
			assert.NoError(t, err)
			assert.Equal(t, want, got, name)
		}
		_, err := torch.ParseDevice("cuda:2")
		assert.ErrorContains(t, err, "this machine has 2, cuda:0 to cuda:1")
		return
	}
	if torch.HasCUDA() {
		t.Skip("this libtorch has a CUDA half of its own")
	}
	assert.Contains(t, torch.WhyNoCUDA(), "was built without it")
	if strings.Contains(os.Getenv("CGO_LDFLAGS"), "-rpath") {
		t.Skip("built for one libtorch, wherever LD_LIBRARY_PATH points")
	}

	lib, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	own := filepath.Dir(torch.LibraryPath())
	for _, pattern := range []string{"libtorch.so*", "libtorch_cpu.so*", "libc10.so*"} {
		found, err := filepath.Glob(filepath.Join(own, pattern))
		require.NoError(t, err)
		for _, from := range found {
			require.NoError(t, os.Symlink(from, filepath.Join(lib, filepath.Base(from))))
		}
	}
	compile := append([]string{"-shared", "-fPIC", "-std=c++20", "-o", filepath.Join(lib, "libtorch_cuda.so")}, strings.Fields(os.Getenv("CGO_CXXFLAGS"))...)
	text, err := exec.Command("g++", append(compile, "testdata/cuda_half.cc")...).CombinedOutput()
	require.NoError(t, err, "%s", text)

	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), "LD_LIBRARY_PATH="+lib, folder+"="+lib)
	text, err = again.CombinedOutput()
	assert.NoError(t, err, "%s", text)
}
