//go:build !libtorch_pinned

package torch

// Of Debian's BLAS libraries the one that shares OpenMP's threads with libtorch is preferred where it
// is installed, whatever update-alternatives says: the last two lines. The old kind of rpath holds for
// libraries of libraries too.

// #cgo CXXFLAGS: -std=c++20 -O2 -Wall -Wno-unknown-pragmas -I/usr/include/torch/csrc/api/include
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
// #cgo linux,amd64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/x86_64-linux-gnu/openblas-openmp
// #cgo linux,arm64 LDFLAGS: -Wl,--disable-new-dtags -Wl,-rpath,/usr/lib/aarch64-linux-gnu/openblas-openmp
import "C"
