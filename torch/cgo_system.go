//go:build !libtorch_pinned

package torch

// -g0 halves the time that the C++ takes to compile. The last two lines prefer the one of Debian's BLAS
// libraries that shares OpenMP's threads with libtorch, where it is installed, whatever
// update-alternatives says. The old kind of rpath also applies to libraries of libraries.

// #cgo CXXFLAGS: -std=c++20 -O2 -g0 -Wall -Wno-unknown-pragmas -I/usr/include/torch/csrc/api/include
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
// #cgo linux,amd64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/x86_64-linux-gnu/openblas-openmp
// #cgo linux,arm64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/aarch64-linux-gnu/openblas-openmp
import "C"

import _ "github.com/liebm/liebm/torch/internal/needs" // stops the build where libtorch is missing
