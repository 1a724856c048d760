package torch

// #include "shim.h"
import "C"

// Autocast runs f with mixed precision on one type of device, like torch.autocast: products and
// convolutions cast their inputs to dtype, operators that need the range stay in float32, and
// gradients come back in the type of the parameters. On the CPU dtype is BFloat16, on CUDA it may
// also be Float16, whose small gradients need a loss scale. Autocasts nest; a nested
// Autocast(…, Float32, …) turns it off inside.
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
