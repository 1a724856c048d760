//go:build !libtorch_pinned

package torch

// #cgo CXXFLAGS: -std=c++20 -O2 -Wall -Wno-unknown-pragmas -I/usr/include/torch/csrc/api/include
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
import "C"
