package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// Device is where a tensor lives. The zero value is the CPU.
type Device struct {
	Type  DeviceType
	Index int // which GPU; meaningless on the CPU
}

// DeviceType is c10::DeviceType.
type DeviceType int8

// The device types that liebm runs on.
const (
	CPU  DeviceType = 0
	CUDA DeviceType = 1
)

func (d Device) word() uint64 {
	index := uint32(d.Index)
	if d.Type == CPU {
		index = 0xffffffff // as libtorch writes "cpu": no index
	}
	return uint64(d.Type)<<32 | uint64(index)
}

func deviceOf(word uint64) Device {
	d := Device{Type: DeviceType(word >> 32)}
	if d.Type != CPU {
		d.Index = int(int32(uint32(word)))
	}
	return d
}

func (d Device) String() string {
	if d.Type == CPU {
		return "cpu"
	}
	return "cuda:" + strconv.Itoa(d.Index)
}

// ParseDevice reads "cpu", "cuda", "cuda:N", or "auto": CUDA where libtorch can use it, else the CPU.
func ParseDevice(s string) (Device, error) {
	name, index, indexed := strings.Cut(s, ":")
	switch {
	case s == "auto" && !HasCUDA(), s == "cpu":
		return Device{}, nil
	case s == "auto":
		return Device{Type: CUDA}, nil
	case name == "cuda":
		n, err := strconv.Atoi(index)
		if indexed && (err != nil || n < 0) {
			break
		}
		if !HasCUDA() {
			return Device{}, fmt.Errorf("device %s: this libtorch (%s) sees no usable CUDA device; use --device cpu", s, Version())
		}
		return Device{Type: CUDA, Index: n}, nil
	}
	return Device{}, fmt.Errorf("device %q: want cpu, cuda, cuda:N or auto", s)
}

// HasCUDA reports whether libtorch can use a GPU here.
func HasCUDA() bool { setUp(); return C.lt_has_cuda() != 0 }

// Version is the libtorch version of the headers that this binary was built with, "1.13.0".
func Version() string { return C.GoString(C.lt_header_version()) }

// Config is libtorch's own account of its build and its parallel set-up, many lines.
func Config() string {
	setUp()
	var text *C.char
	check("config", C.lt_config(&text))
	defer C.free(unsafe.Pointer(text))
	return C.GoString(text)
}

// SetThreads sets how many threads an operator may use. Without it the first [Do] sets
// OMP_NUM_THREADS, or else one per CPU: libtorch by itself may start with one.
func SetThreads(n int) {
	setUp()
	C.lt_set_threads(C.int(max(n, 1)))
}

// Threads is how many threads an operator may use.
func Threads() int { setUp(); return int(C.lt_threads()) }

var setUp = sync.OnceFunc(func() {
	if err := checkVersion(); err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(os.Getenv("OMP_NUM_THREADS"))
	if err != nil || n < 1 {
		n = runtime.NumCPU()
	}
	C.lt_set_threads(C.int(n))
	// By default glibc gives a freed tensor's pages back at once, and the next operator faults them
	// all in again: a third of the time of a small network.
	C.lt_tune_malloc()
	// OpenBLAS's own pool fights OpenMP's in the small products of these networks.
	C.lt_blas_threads(1)
})

// checkVersion refuses headers of one libtorch with the library of another: their objects differ
// in layout, and the first operator would crash.
func checkVersion() error {
	var text *C.char
	check("config", C.lt_config(&text))
	defer C.free(unsafe.Pointer(text))
	_, loaded, found := strings.Cut(C.GoString(text), "TORCH_VERSION=")
	if !found {
		return nil
	}
	loaded, _, _ = strings.Cut(loaded, ",")
	minor := func(v string) string { p := strings.SplitN(v, ".", 3); return strings.Join(p[:min(2, len(p))], ".") }
	if minor(loaded) == minor(Version()) {
		return nil
	}
	return &Error{Op: "libtorch", Msg: fmt.Sprintf("built with the headers of %s but loaded the library of %s: rebuild with LIBTORCH pointing at one installation", Version(), loaded)}
}

// LibraryPath is the file of the libtorch that was loaded.
func LibraryPath() string { return C.GoString(C.lt_library_path()) }

// BLAS is the library that matrix products use, as far as it tells.
func BLAS() string { return C.GoString(C.lt_blas_name()) }

// WhyNoCUDA says why [HasCUDA] is false, or nothing where it is true.
func WhyNoCUDA() string {
	if HasCUDA() {
		return ""
	}
	if !strings.Contains(Config(), "USE_CUDA=ON") && !strings.Contains(Config(), "USE_CUDA=1") {
		return "this libtorch was built without it; point LIBTORCH at a build with CUDA (+cu128) and make build again"
	}
	return "libtorch has it but found no usable device: see whether nvidia-smi lists one and the driver is recent enough"
}
