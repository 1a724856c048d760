//go:build libtorch_pinned

package torch

// #cgo CXXFLAGS: -std=c++20 -O2 -g0 -Wall -Wno-unknown-pragmas -I${SRCDIR}/../third_party/libtorch/include -I${SRCDIR}/../third_party/libtorch/include/torch/csrc/api/include
// #cgo LDFLAGS: -L${SRCDIR}/../third_party/libtorch/lib -Wl,-rpath,${SRCDIR}/../third_party/libtorch/lib -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
import "C"
