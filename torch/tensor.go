package torch

// #cgo noescape lt_from_data
// #cgo nocallback lt_from_data
// #cgo noescape lt_to_data
// #cgo nocallback lt_to_data
// #cgo noescape lt_info
// #cgo nocallback lt_info
// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Tensor is a handle on a libtorch tensor. It has 8 bytes and is copied like a time.Time. The zero
// Tensor stands for no tensor, for example for an optional argument or for the bias of a layer without a bias. Scopes own tensors;
// see [Do].
type Tensor struct{ h uint64 }

// Defined reports whether t is not the zero Tensor.
func (t Tensor) Defined() bool { return t.h != 0 }

// Element is a Go type of a tensor's elements.
type Element interface {
	uint8 | int8 | int16 | int32 | int64 | float32 | float64 | bool
}

func dtypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case uint8:
		return Uint8
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case float32:
		return Float32
	case float64:
		return Float64
	}
	return Bool
}

// FromSlice copies data, in row-major order, to a new tensor on the CPU. Without a shape the result is a
// vector.
func FromSlice[T Element](data []T, shape ...int) Tensor {
	if len(shape) == 0 {
		shape = []int{len(data)}
	}
	if numel(shape) != len(data) {
		panic(&Error{Op: "from_slice", Shapes: brackets(shape), Msg: fmt.Sprintf("%d values do not fill it", len(data))})
	}
	return fromBytes("from_slice", unsafe.Pointer(unsafe.SliceData(data)), dtypeOf[T](), shape)
}

// FromBytes copies raw little-endian elements to a new tensor on the CPU.
func FromBytes(data []byte, dtype DType, shape ...int) Tensor {
	if _, known := dtypeNames[dtype]; !known {
		panic(&Error{Op: "from_bytes", Shapes: brackets(shape), Msg: "FromBytes does not know " + dtype.String()})
	}
	want := numel(shape) * dtype.Size()
	if want != len(data) {
		panic(&Error{Op: "from_bytes", Shapes: brackets(shape), Msg: fmt.Sprintf("%d bytes given, but %s of this shape needs %d", len(data), dtype, want)})
	}
	return fromBytes("from_bytes", unsafe.Pointer(unsafe.SliceData(data)), dtype, shape)
}

func fromBytes(op string, p unsafe.Pointer, dtype DType, shape []int) Tensor {
	var sizes [8]int64
	s := sizes[:0]
	for _, n := range shape {
		s = append(s, int64(n))
	}
	var out C.uint64_t
	if text := C.lt_from_data(p, C.int(dtype), (*C.int64_t)(unsafe.SliceData(s)), C.int64_t(len(s)), &out); text != nil {
		err := newError(op, text)
		err.Shapes = brackets(shape)
		panic(err)
	}
	return Tensor{uint64(out)}
}

// ToSlice copies t's elements in row-major order. T must be t's dtype.
func ToSlice[T Element](t Tensor) []T {
	info := t.info("to_slice")
	if DType(info[0]) != dtypeOf[T]() {
		panic(&Error{Op: "to_slice", Shapes: brackets(t.Shape()), Msg: fmt.Sprintf("the tensor is %s, but the slice %s", DType(info[0]), dtypeOf[T]())})
	}
	out := make([]T, info[3])
	check("to_slice", C.lt_to_data(C.uint64_t(t.h), unsafe.Pointer(unsafe.SliceData(out)), C.int64_t(info[3]*info[4])))
	return out
}

// Bytes copies t's elements in row-major order as raw little-endian bytes.
func (t Tensor) Bytes() []byte {
	info := t.info("bytes")
	out := make([]byte, info[3]*info[4])
	check("bytes", C.lt_to_data(C.uint64_t(t.h), unsafe.Pointer(unsafe.SliceData(out)), C.int64_t(len(out))))
	return out
}

// Float64s copies t's elements, whatever their dtype.
func (t Tensor) Float64s() []float64 {
	var out []float64
	Tidy(func() Tensor { out = ToSlice[float64](t.Detach().To(Float64)); return Tensor{} })
	return out
}

// Item is the value of a one-element tensor.
func (t Tensor) Item() float64 {
	switch v := Call("aten::item", t)[0].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case bool:
		return float64(boolWord(v))
	}
	panic(&Error{Op: "aten::item", Msg: "the number is complex"})
}

type info = [7 + 64]int64

// info reads all properties of t in one call. op names the caller in errors.
func (t Tensor) info(op string) (i info) {
	check(op, C.lt_info(C.uint64_t(t.h), (*C.int64_t)(&i[0])))
	return i
}

// DType is the type of t's elements.
func (t Tensor) DType() DType { return DType(t.info("dtype")[0]) }

// Device is the device that has t's elements.
func (t Tensor) Device() Device { return deviceOf(uint64(t.info("device")[1])) }

// RequiresGrad reports whether operators on t are recorded.
func (t Tensor) RequiresGrad() bool { return t.info("requires_grad")[2] != 0 }

// Numel is the number of elements.
func (t Tensor) Numel() int { return int(t.info("numel")[3]) }

// IsChannelsLast reports whether t has four dimensions and the memory format ChannelsLast.
func (t Tensor) IsChannelsLast() bool { return t.info("is_contiguous")[5] != 0 }

// Dim is the number of dimensions.
func (t Tensor) Dim() int { return int(t.info("dim")[6]) }

// Size is the length of dimension i; negative i counts from the end.
func (t Tensor) Size(i int) int {
	info := t.info("size")
	if i < 0 {
		i += int(info[6])
	}
	if i < 0 || i >= int(info[6]) {
		panic(&Error{Op: "size", Shapes: brackets(t.Shape()), Msg: fmt.Sprintf("no dimension %d", i)})
	}
	return int(info[7+i])
}

// Shape is the length of every dimension.
func (t Tensor) Shape() []int {
	info := t.info("shape")
	shape := make([]int, info[6])
	for i := range shape {
		shape[i] = int(info[7+i])
	}
	return shape
}

// AssertShape panics with *[Error] unless t has this shape, and returns t. A length of −1 means any.
func (t Tensor) AssertShape(shape ...int) Tensor {
	got := t.Shape()
	same := slices.EqualFunc(got, shape, func(g, want int) bool { return want < 0 || g == want })
	if !same {
		panic(&Error{Op: "shape", Shapes: brackets(got), Msg: fmt.Sprintf("the shape should be %v", shape)})
	}
	return t
}

// String prints t's elements as PyTorch does.
func (t Tensor) String() string {
	if !t.Defined() {
		return "none"
	}
	var text *C.char
	if err := C.lt_string(C.uint64_t(t.h), &text); err != nil {
		return newError("string", err).Error()
	}
	return goString(text)
}

// brackets writes a shape as errors of operators do: "[2,3]".
func brackets(shape []int) string { return strings.ReplaceAll(fmt.Sprint(shape), " ", ",") }

func numel(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Size is the number of bytes of one element.
func (d DType) Size() int {
	switch d {
	case Uint8, Int8, Bool:
		return 1
	case Int16, Float16, BFloat16:
		return 2
	case Int32, Float32:
		return 4
	}
	return 8
}

func handles(ts []Tensor) *C.uint64_t { return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(ts))) }
