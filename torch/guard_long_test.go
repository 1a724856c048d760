//go:build long

package torch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// throwing prints the text that guard makes of each kind of C++ exception.
const throwing = `
#include "guard.h"
#include <cstdio>
#include <new>
#include <stdexcept>
void liebm::let_go() noexcept {} // no tensors here

int main() {
  auto shapes = [] { return std::string("[2]"); };
  puts(liebm::guard([] { TORCH_CHECK(false, "a c10::Error\nand more"); }, shapes));
  puts(liebm::guard([] { throw std::invalid_argument("a std::invalid_argument"); }, shapes));
  puts(liebm::guard([] { throw std::bad_alloc(); }, shapes));
  puts(liebm::guard([] { throw 42; }, shapes));
  puts(liebm::guard([] { throw 42; }, []() -> std::string { throw 42; }));
  puts(liebm::guard([] {}) ? "failed" : "succeeded");
  printf("%d\n", liebm::guarded_value(7, []() -> int { throw 42; }));
}
`

func TestEveryCppExceptionBecomesAnError(t *testing.T) {
	program, lib := filepath.Join(t.TempDir(), "throwing"), filepath.Dir(LibraryPath())
	args := append(strings.Fields(os.Getenv("CGO_CXXFLAGS")), "-xc++", "-", "-std=c++20", "-I.", "-I/usr/include/torch/csrc/api/include",
		"-L"+lib, "-Wl,-rpath,"+lib, "-lc10", "-o", program)
	compile := exec.Command("g++", args...)
	compile.Stdin = strings.NewReader(throwing)
	text, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", text)
	out, err := exec.Command(program).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, []string{
		"[2]", "a c10::Error", "[2]", "a std::invalid_argument", "[2]", "std::bad_alloc", "[2]", "a C++ exception of unknown type",
		"", "out of memory while describing an error", "succeeded", "7",
	}, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"))
}
