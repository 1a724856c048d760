package torch

// #include "shim.h"
import "C"

// throwForTest raises a C++ exception of each kind inside the shim. cgo is not allowed in tests.
func throwForTest(kind int) *Error { return newError("throw", C.lt_throw(C.int(kind))) }
