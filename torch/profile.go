package torch

// #include <stdlib.h>
// #include "profile.h"
import "C"

import (
	"time"
	"unsafe"
)

// OpTime sums the calls of one operator in one part of a profiled function. It includes the operators
// that the operator called.
type OpTime struct {
	Part  string
	Op    string // such as aten::conv2d, or in backward aten::convolution_backward
	Calls int
	Time  time.Duration
	FLOPs float64 // of convolutions and matrix products
	Bytes float64 // of the argument and result tensors
}

// Profile runs f and returns the time of the operators that f called, on the CPU, like torch.profiler.
// Operators that f calls after part(name) are counted under that name. Profile needs an open scope.
func Profile(f func(part func(name string)) error) ([]OpTime, error) {
	check("profile", C.lt_profile_start())
	running := true
	stop := func() (rows *C.lt_op_time, n C.int64_t) {
		running = false
		check("profile", C.lt_profile_stop(&rows, &n))
		return rows, n
	}
	defer func() { // where f panics
		if running {
			rows, _ := stop()
			C.free(unsafe.Pointer(rows))
		}
	}()
	parts, index := []string{""}, map[string]int{"": 0}
	err := f(func(name string) {
		i, ok := index[name]
		if !ok {
			i = len(parts)
			parts, index[name] = append(parts, name), i
		}
		C.lt_profile_part(C.int64_t(i))
	})
	rows, n := stop()
	defer C.free(unsafe.Pointer(rows))
	var out []OpTime
	for _, r := range unsafe.Slice(rows, int(n)) {
		out = append(out, OpTime{parts[r.part], C.GoString(r.op), int(r.calls), time.Duration(r.nanoseconds), float64(r.flops), float64(r.bytes)})
	}
	return out, err
}
