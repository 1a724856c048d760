package torch

// #include <stdlib.h>
// #include "shim.h"
// #ifdef __GLIBC__
// #include <malloc.h>
// #else
// static int malloc_trim(size_t keep) { return 0; }
// #endif
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
	Index int // number of the GPU; ignored on the CPU
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
			return Device{}, fmt.Errorf("device %s: CUDA is not available: %s; or use the device cpu", s, WhyNoCUDA())
		}
		if have := CUDADevices(); n >= have {
			return Device{}, fmt.Errorf("device %s: this machine has %d, cuda:0 to cuda:%d", s, have, have-1)
		}
		return Device{Type: CUDA, Index: n}, nil
	}
	return Device{}, fmt.Errorf("device %q: use cpu, cuda, cuda:N or auto", s)
}

// HasCUDA reports whether libtorch can use a GPU here.
func HasCUDA() bool { ready(); return C.lt_has_cuda() != 0 }

// Version is the libtorch version of the headers that this binary was built with, "1.13.0".
func Version() string { return C.GoString(C.lt_header_version()) }

// Config describes libtorch's build and its threads, in many lines: torch.__config__.show() and
// torch.__config__.parallel_info().
func Config() string { ready(); return config() }

func config() string {
	var text *C.char
	check("config", C.lt_config(&text))
	return goString(text)
}

// maxThreads is more than any machine has CPUs. OpenMP ends the process if it cannot start a thread.
const maxThreads = 4096

// SetThreads sets the number of threads that an operator may use, in every scope that is opened after
// the call. By default it is the number in OMP_NUM_THREADS, or one per CPU.
func SetThreads(n int) error {
	if err := setUp(); err != nil {
		return err
	}
	return setThreads(n)
}

func setThreads(n int) error {
	if n < 1 || n > maxThreads {
		return &Error{Op: "set_num_threads", Msg: fmt.Sprintf("%d threads: use 1 to %d", n, maxThreads)}
	}
	if text := C.lt_set_threads(C.int(n)); text != nil {
		return newError("set_num_threads", text)
	}
	return nil
}

// ompThreads reads the number of threads from OMP_NUM_THREADS, which may be a list for nested levels.
func ompThreads(env string) (int, error) {
	first, _, _ := strings.Cut(env, ",")
	if first = strings.TrimSpace(first); first == "" {
		return runtime.NumCPU(), nil
	}
	n, err := strconv.Atoi(first)
	if err != nil || n < 1 || n > maxThreads {
		return 0, &Error{Op: "set_num_threads", Msg: fmt.Sprintf("OMP_NUM_THREADS is %q: use 1 to %d, or unset it", env, maxThreads)}
	}
	return n, nil
}

// Threads is the number of threads that an operator may use.
func Threads() int { ready(); return int(C.lt_threads()) }

// ready prepares the process for libtorch, or panics with the reason why it cannot.
func ready() {
	if err := setUp(); err != nil {
		panic(err)
	}
}

var setUp = sync.OnceValue(func() error {
	n, err := ompThreads(os.Getenv("OMP_NUM_THREADS")) // first: libtorch would only print a warning
	if err != nil {
		return err
	}
	cudaError = loadCUDA() // second: libtorch looks for its CUDA half once, even when it tells its version
	if err := checkVersion(); err != nil {
		return err
	}
	if err := setThreads(n); err != nil {
		return err
	}
	// By default glibc returns a freed tensor's pages to the kernel at once, and the next operator has to
	// fault them in again. That took a third of the time of a small network.
	C.lt_tune_malloc()
	// OpenBLAS may have a pool of threads beside OpenMP's. In the small products of these networks the
	// two pools slow each other down.
	C.lt_blas_threads(1)
	if text := C.lt_allow_tf32(0); text != nil {
		return newError("allow_tf32", text)
	}
	var wrong C.int
	if text := C.lt_check_onednn(&wrong); text != nil {
		return newError("onednn", text)
	}
	if wrong != 0 {
		oneDNNError = "the oneDNN of this libtorch computes wrong convolutions on this processor, as Debian 13's " +
			"oneDNN 3.6 does on AMD's Zen 5; libtorch uses its own convolutions, which are slower"
	}
	return nil
})

// oneDNNError says why oneDNN is not used. setUp sets it.
var oneDNNError string

// WhyNoOneDNN returns why libtorch does not use oneDNN (torch.backends.mkldnn) on the CPU, or "" if it
// may use it. The package tests oneDNN with a few convolutions when it is first used.
func WhyNoOneDNN() string { ready(); return oneDNNError }

// checkVersion returns an error if the headers and the library are of two versions of libtorch. Their
// objects differ in layout, and the first operator would crash.
func checkVersion() error {
	_, loaded, found := strings.Cut(config(), "TORCH_VERSION=")
	if !found {
		return nil
	}
	loaded, _, _ = strings.Cut(loaded, ",")
	minor := func(v string) string { p := strings.SplitN(v, ".", 3); return strings.Join(p[:min(2, len(p))], ".") }
	if minor(loaded) == minor(Version()) {
		return nil
	}
	return &Error{Op: "libtorch", Msg: fmt.Sprintf("the binary was built with the headers of %s but loaded the library of %s: rebuild with LIBTORCH pointing at one installation", Version(), loaded)}
}

// LibraryPath is the path of the loaded libtorch.
func LibraryPath() string { return C.GoString(C.lt_library_path()) }

// BLAS names the library of matrix products, if it is OpenBLAS.
func BLAS() string { return C.GoString(C.lt_blas_name()) }

// cudaError says why libtorch_cuda.so could not be loaded. setUp sets it.
var cudaError string

// loadCUDA loads the CUDA half of the loaded libtorch, if it has one. The binary does not link to it, so
// that the same binary runs with both kinds of libtorch. loadCUDA returns the reason of a failure.
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

// WhyNoCUDA returns why [HasCUDA] is false, or "" if it is true.
func WhyNoCUDA() string {
	switch {
	case HasCUDA():
		return ""
	case cudaError != "":
		return cudaError
	case !exists("/dev/nvidiactl"):
		return "libtorch has it, but this machine has no NVIDIA driver (/dev/nvidiactl is missing); start a container with --gpus all"
	}
	return "libtorch has it and a driver is loaded, but no device is usable: " + newError("", C.lt_cuda_refusal()).Msg +
		": see whether nvidia-smi lists one, CUDA_VISIBLE_DEVICES does not hide it, and the driver is recent enough"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// contexts has the indices of the GPUs that have a context.
var contexts sync.Map

// giveContext makes a GPU's context once. Without any context, the first allocation of pinned memory
// would make one on GPU 0.
func (d Device) giveContext() {
	if _, had := contexts.LoadOrStore(d.Index, true); !had {
		call1("aten::empty.memory_format", []int{1}, Uint8, Named{"device", d}).Close()
	}
}

// CUDADevices is the number of GPUs that libtorch can use.
func CUDADevices() int { ready(); return int(C.lt_cuda_devices()) }

// Memory is the memory of a device in bytes.
type Memory struct{ Free, Total uint64 }

// MemoryStats returns the free and total memory of a GPU: cudaMemGetInfo. It counts all processes.
// Memory that libtorch keeps for reuse is not free.
func MemoryStats(d Device) (m Memory, err error) {
	if err := setUp(); err != nil {
		return m, err
	}
	if d.Type != CUDA {
		return m, fmt.Errorf("memory of %s: only a GPU has memory of its own", d)
	}
	var free, total C.uint64_t
	if text := C.lt_cuda_memory(C.int(d.Index), &free, &total); text != nil {
		return m, newError("memory", text)
	}
	return Memory{uint64(free), uint64(total)}, nil
}

// ReleaseMemory gives the memory of freed tensors back to the system. Until this call, the allocator of the CPU keeps it for
// later tensors. Memory of GPUs stays as it is.
func ReleaseMemory() { C.malloc_trim(0) }

// Synchronize waits until a device has done all its work, like torch.cuda.synchronize. Call it before
// reading a clock. On the CPU it returns at once.
func Synchronize(d Device) {
	ready()
	if d.Type == CUDA {
		check("synchronize", C.lt_synchronize(C.int(d.Index)))
	}
}

// AllowTF32 lets matrix products and convolutions on a GPU round their inputs to 10 bits of mantissa:
// torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32 together. Both are off until
// it is called, so that float32 means the same on every device; PyTorch has the second on.
func AllowTF32(allow bool) {
	ready()
	check("allow_tf32", C.lt_allow_tf32(C.int(boolWord(allow))))
}
