package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
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
			return Device{}, fmt.Errorf("device %s: CUDA is not available: %s; or use --device cpu", s, WhyNoCUDA())
		}
		if have := CUDADevices(); n >= have {
			return Device{}, fmt.Errorf("device %s: this machine has %d, cuda:0 to cuda:%d", s, have, have-1)
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

// SetThreads sets how many threads an operator may use, in every scope that opens from now on. Without
// it the first [Do] sets OMP_NUM_THREADS, or else one per CPU: libtorch by itself may start with one.
func SetThreads(n int) {
	setUp()
	C.lt_set_threads(C.int(max(n, 1)))
}

// Threads is how many threads an operator may use.
func Threads() int { setUp(); return int(C.lt_threads()) }

var setUp = sync.OnceFunc(func() {
	cudaError = loadCUDA() // first: libtorch looks for its CUDA half once, even when it tells its version
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
	// OpenBLAS's own pool, where it has one, fights OpenMP's in the small products of these networks.
	C.lt_blas_threads(1)
	var wrong C.int
	check("onednn", C.lt_check_onednn(&wrong))
	if wrong != 0 {
		oneDNNError = "oneDNN of this libtorch computes convolutions wrongly on this processor, which " +
			"Debian 13's 3.6 was seen to do on AMD's Zen 5: libtorch's own are used in its place, and are slower"
	}
})

// oneDNNError is why oneDNN is not used, once setUp has run.
var oneDNNError string

// WhyNoOneDNN says why libtorch computes without oneDNN (torch.backends.mkldnn) on CPUs, or nothing
// where it may use it. The first use of the package tries a few convolutions.
func WhyNoOneDNN() string { setUp(); return oneDNNError }

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

// cudaError is why libtorch_cuda.so could not be loaded, once setUp has run.
var cudaError string

// loadCUDA loads the CUDA half of the libtorch that is in use, if it has one: nothing links to it,
// so that one binary runs on both kinds of libtorch.
func loadCUDA() string {
	path := filepath.Join(filepath.Dir(LibraryPath()), "libtorch_cuda.so")
	if _, err := os.Stat(path); err != nil {
		return "this libtorch (" + filepath.Dir(path) + ") was built without it; point LIBTORCH, or LD_LIBRARY_PATH at run time, at a build with CUDA (+cu128)"
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if text := C.lt_load_cuda(name); text != nil {
		return "cannot load " + path + ": " + newError("", text).Msg
	}
	return ""
}

// WhyNoCUDA says why [HasCUDA] is false, or nothing where it is true.
func WhyNoCUDA() string {
	switch {
	case HasCUDA():
		return ""
	case cudaError != "":
		return cudaError
	case !exists("/dev/nvidiactl"):
		return "libtorch has it, but this machine has no NVIDIA driver (/dev/nvidiactl is missing); in a container, start it with --gpus all"
	}
	return "libtorch has it and a driver is loaded, but no device is usable: " + newError("", C.lt_cuda_refusal()).Msg +
		": see whether nvidia-smi lists one, CUDA_VISIBLE_DEVICES does not hide it, and the driver is recent enough"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// contexts has the GPUs that were given one.
var contexts sync.Map

// giveContext makes a GPU's context, once: the first pinned memory makes one of the GPU that is
// current, which is 0, unless another has one.
func (d Device) giveContext() {
	if _, had := contexts.LoadOrStore(d.Index, true); !had {
		call1("aten::empty.memory_format", []int{1}, Uint8, Named{"device", d}).Close()
	}
}

// CUDADevices is how many GPUs libtorch can use.
func CUDADevices() int { setUp(); return int(C.lt_cuda_devices()) }

// Memory is how full a device is, in bytes.
type Memory struct{ Free, Total uint64 }

// MemoryStats tells how full a GPU is, counting every process: cudaMemGetInfo. What libtorch keeps
// for reuse counts as taken.
func MemoryStats(d Device) (m Memory, err error) {
	setUp()
	if d.Type != CUDA {
		return m, fmt.Errorf("memory of %s: only a GPU has its own", d)
	}
	var free, total C.uint64_t
	if text := C.lt_cuda_memory(C.int(d.Index), &free, &total); text != nil {
		return m, newError("memory", text)
	}
	return Memory{uint64(free), uint64(total)}, nil
}

// Synchronize waits until a device has done all its work, like torch.cuda.synchronize; timings on a
// GPU need it. On the CPU it has nothing to wait for.
func Synchronize(d Device) {
	setUp()
	if d.Type == CUDA {
		check("synchronize", C.lt_synchronize(C.int(d.Index)))
	}
}

// AllowTF32 lets matrix products and convolutions on a GPU round their inputs to 10 bits of mantissa:
// torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32 at once. PyTorch starts
// with the first off and the second on.
func AllowTF32(allow bool) {
	setUp()
	C.lt_allow_tf32(C.int(boolWord(allow)))
}
