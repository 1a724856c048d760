package torch

import "fmt"

// DType is c10::ScalarType.
type DType int8

// The element types, numbered as in libtorch.
const (
	Uint8    DType = 0
	Int8     DType = 1
	Int16    DType = 2
	Int32    DType = 3
	Int64    DType = 4
	Float16  DType = 5
	Float32  DType = 6
	Float64  DType = 7
	Bool     DType = 11
	BFloat16 DType = 15
)

var dtypeNames = map[DType]string{
	Uint8: "uint8", Int8: "int8", Int16: "int16", Int32: "int32", Int64: "int64",
	Float16: "float16", Float32: "float32", Float64: "float64", Bool: "bool", BFloat16: "bfloat16",
}

func (d DType) String() string {
	if s, ok := dtypeNames[d]; ok {
		return s
	}
	return fmt.Sprintf("dtype %d", int8(d))
}

// Layout is c10::Layout.
type Layout int8

// Strided is the dense layout, the only one that liebm uses.
const Strided Layout = 0

// MemoryFormat is c10::MemoryFormat.
type MemoryFormat int8

// The orders of a tensor's elements in memory.
const (
	Contiguous   MemoryFormat = 0 // NCHW
	Preserve     MemoryFormat = 1
	ChannelsLast MemoryFormat = 2 // NHWC
)
