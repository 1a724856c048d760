package torch

// #include "shim.h"
import "C"

// Autocast runs f with mixed precision on one type of device, like torch.autocast. Matrix products and
// convolutions cast their inputs to dtype. Operators that need the range of float32 stay in float32.
// Gradients have the type of the parameters. On the CPU dtype must be BFloat16. On CUDA it may also be
// Float16, whose small gradients need a loss scale. Autocast(…, Float32, …) inside f turns it off.
func Autocast(device DeviceType, dtype DType, f func()) {
	on := C.int(1)
	if dtype == Float32 {
		on, dtype = 0, BFloat16
	}
	wasOn, was := setAutocast(device, on, dtype)
	defer setAutocast(device, wasOn, was)
	f()
}

// setAutocast returns what was set before.
func setAutocast(device DeviceType, on C.int, dtype DType) (wasOn C.int, was DType) {
	var old C.int
	check("autocast", C.lt_autocast(C.int(device), on, C.int(dtype), &wasOn, &old))
	return wasOn, DType(old)
}
