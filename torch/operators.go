package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"slices"
	"strings"
	"unsafe"
)

// Operators lists the schema of every operator that the loaded libtorch has, as [Call] takes them,
// sorted: "aten::relu(Tensor self) -> Tensor".
func Operators() []string {
	setUp()
	var text *C.char
	check("operators", C.lt_ops(&text))
	defer C.free(unsafe.Pointer(text))
	all := strings.Split(strings.TrimSpace(C.GoString(text)), "\n")
	slices.Sort(all)
	return slices.Compact(all)
}
