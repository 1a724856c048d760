package torchtest

import (
	_ "embed"
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

// OnStandInGPU runs the calling test once more, in a process whose libtorch has a CUDA half made of the
// CPU's memory (testdata/standin_cuda.cc), and calls f there. The same binary serves: that half is
// found at run time. There are two such GPUs, which refuse tensors of several devices in one operator.
func OnStandInGPU(t *testing.T, f func()) {
	t.Helper()
	if os.Getenv("LIEBM_TEST_STANDIN") != "" {
		f()
		return
	}
	own := filepath.Dir(torch.LibraryPath())
	_, err := os.Stat(filepath.Join(own, "libtorch_cuda.so"))
	if system := strings.HasPrefix(own, "/usr/lib") || strings.HasPrefix(own, "/lib"); err == nil || !system {
		t.Skip("the stand-in takes the place of nothing but a system's libtorch without CUDA")
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

	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	again.Env = append(os.Environ(), "LIEBM_TEST_STANDIN=1", "LD_LIBRARY_PATH="+lib+":"+os.Getenv("LD_LIBRARY_PATH"))
	text, err = again.CombinedOutput()
	require.NoError(t, err, "%s", text)
}
