package torch

// #cgo noescape lt_call
// #cgo nocallback lt_call
// #cgo noescape lt_shapes
// #cgo nocallback lt_shapes
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Named is an argument of [Call] with its name in the schema. It follows the positional arguments:
//
//	torch.Call("aten::add.Tensor", a, b, torch.Named{"alpha", 2})
type Named struct {
	Name  string
	Value any
}

// Results are an operator's results in the order of its schema. Each is a Tensor, []Tensor, int64,
// float64, bool, string, complex128, Device, nil, or a nested Results.
type Results []any

// Tensor returns result i, which must be a tensor.
func (v Results) Tensor(i int) Tensor { return valueAs[Tensor](v, i) }

func valueAs[T any](v Results, i int) T {
	if i < 0 || i >= len(v) {
		panic(&Error{Op: "values", Msg: fmt.Sprintf("no result %d: there are %d", i, len(v))})
	}
	result, ok := v[i].(T)
	if !ok {
		panic(&Error{Op: "values", Msg: fmt.Sprintf("result %d is a %T, not a %T", i, v[i], result)})
	}
	return result
}

// Tensors returns result i, which must be a list of tensors.
func (v Results) Tensors(i int) []Tensor {
	list := valueAs[Results](v, i)
	out := make([]Tensor, len(list))
	for j := range list {
		out[j] = list.Tensor(j)
	}
	return out
}

// Call runs any ATen operator by its schema name with overload, such as "aten::add.Tensor".
// Arguments are Tensor, []Tensor, int, int64, []int, []int64, float64, []float64, bool, []bool,
// string, []string, complex128, DType, Layout, MemoryFormat, Device, *RNG (for a Generator), nil
// and [Named]. Arguments that are left out have the schema's defaults. The results belong to the open
// scope. Like every operator, Call panics with *[Error]; see [Do].
func Call(op string, args ...any) Results {
	var in, out [64]uint64
	buf := encodeAll(in[:0], op, args)
	cross(op, buf, out[:])
	words := results(&out)
	var vals Results
	for len(words) > 0 {
		var v any
		v, words = decode(words)
		vals = append(vals, v)
	}
	return vals
}

// call0 runs an operator and ignores its results. In-place operators return their argument.
func call0(op string, args ...any) {
	var in [64]uint64
	cross(op, encodeAll(in[:0], op, args), nil)
}

// call1 runs an operator that returns one tensor.
func call1(op string, args ...any) Tensor {
	var in [64]uint64
	var out [4]uint64
	cross(op, encodeAll(in[:0], op, args), out[:])
	return Tensor{out[2]}
}

// Operators lists the schemas of all operators of the loaded libtorch, sorted. [Call] takes their
// names: "aten::relu(Tensor self) -> Tensor".
func Operators() []string {
	ready()
	var text *C.char
	check("operators", C.lt_ops(&text))
	all := strings.Split(strings.TrimSpace(goString(text)), "\n")
	slices.Sort(all)
	return slices.Compact(all)
}

// goString copies text and frees it.
func goString(text *C.char) string {
	defer C.free(unsafe.Pointer(text))
	return C.GoString(text)
}

// callList runs an operator that returns one list of tensors.
func callList(op string, args ...any) []Tensor { return Call(op, args...).Tensors(0) }

type operator struct {
	name   string
	handle uint64
}

var (
	operatorsMu sync.Mutex
	operators   = map[string]*operator{}
	// recent is a cache indexed by the address of the operator's name. The constants in ops.go have
	// fixed addresses, and comparing a string with itself takes no time.
	recent [1024]atomic.Pointer[operator]
)

// lookup returns an operator's handle, or panics if there is none. in has the call's arguments.
func lookup(op string, in []uint64) uint64 {
	at := uintptr(unsafe.Pointer(unsafe.StringData(op)))
	slot := &recent[(at>>3^at>>13)%uintptr(len(recent))]
	if o := slot.Load(); o != nil && o.name == op {
		return o.handle
	}
	o, err := register(op)
	if err != nil {
		err.Shapes = shapes(in)
		panic(err)
	}
	slot.Store(o)
	return o.handle
}

func register(op string) (*operator, *Error) {
	operatorsMu.Lock()
	defer operatorsMu.Unlock()
	if o, ok := operators[op]; ok {
		return o, nil
	}
	name := C.CString(op)
	defer C.free(unsafe.Pointer(name))
	var h C.uint64_t
	if text := C.lt_find_op(name, &h); text != nil {
		return nil, newError(op, text)
	}
	o := &operator{op, uint64(h)}
	operators[o.name] = o
	return o, nil
}

// cross calls an operator. All calls go through it.
func cross(op string, in, out []uint64) {
	h := lookup(op, in)
	check(op, C.lt_call(C.uint64_t(h), words(in), C.int64_t(len(in)), words(out), C.int64_t(len(out))))
}

func words(s []uint64) *C.uint64_t { return (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(s))) }

// check panics with the error that C returned, if any, and frees its text.
func check(op string, text *C.char) {
	if text != nil {
		panic(newError(op, text))
	}
}

// shapes lists the shapes of the tensors among a call's arguments. After a wrong argument these are the
// tensors before it.
func shapes(in []uint64) string { return goString(C.lt_shapes(words(in), C.int64_t(len(in)))) }

// dtypes is how many element types the loaded libtorch numbers.
var dtypes = sync.OnceValue(func() uint8 { return uint8(C.lt_dtypes()) })

func newError(op string, text *C.char) *Error {
	shapes, msg, _ := strings.Cut(goString(text), "\n")
	return &Error{Op: op, Shapes: shapes, Msg: msg}
}

func encodeAll(buf []uint64, op string, args []any) []uint64 {
	for _, a := range args {
		if named, ok := a.(Named); ok {
			buf, a = appendText(buf, C.LT_NAMED, named.Name), named.Value
		}
		buf = encode(buf, op, a)
	}
	return buf
}

// encode appends one value. No argument may escape to the heap here, so that a call allocates nothing.
func encode(buf []uint64, op string, arg any) []uint64 {
	switch v := arg.(type) {
	case nil:
		return append(buf, C.LT_NONE)
	case Tensor:
		return append(buf, C.LT_TENSOR, v.h)
	case int:
		return append(buf, C.LT_INT, uint64(v))
	case int64:
		return append(buf, C.LT_INT, uint64(v))
	case float64:
		return append(buf, C.LT_FLOAT, math.Float64bits(v))
	case bool:
		return append(buf, C.LT_BOOL, boolWord(v))
	case DType:
		if uint8(v) >= dtypes() { // libtorch indexes a table with it
			panic(&Error{Op: op, Shapes: shapes(buf), Msg: "libtorch has no " + v.String()})
		}
		return append(buf, C.LT_INT, uint64(v))
	case MemoryFormat:
		return append(buf, C.LT_INT, uint64(v))
	case Layout:
		return append(buf, C.LT_INT, uint64(v))
	case Device:
		return append(buf, C.LT_DEVICE, v.word())
	case *RNG:
		if v == nil {
			panic(&Error{Op: op, Shapes: shapes(buf), Msg: "the *RNG is nil"})
		}
		return append(buf, C.LT_SEED, v.next())
	case string:
		return appendText(buf, C.LT_STRING, v)
	case complex128:
		return append(buf, C.LT_COMPLEX, math.Float64bits(real(v)), math.Float64bits(imag(v)))
	case []Tensor:
		return appendList(buf, C.LT_TENSORS, v, func(t Tensor) uint64 { return t.h })
	case []int:
		return appendList(buf, C.LT_INTS, v, func(n int) uint64 { return uint64(n) })
	case []int64:
		return appendList(buf, C.LT_INTS, v, func(n int64) uint64 { return uint64(n) })
	case []float64:
		return appendList(buf, C.LT_FLOATS, v, math.Float64bits)
	case []bool:
		return appendList(buf, C.LT_BOOLS, v, boolWord)
	case []string:
		buf = append(buf, header(C.LT_STRINGS, len(v)))
		for _, s := range v {
			buf = appendText(buf, C.LT_STRING, s)
		}
		return buf
	}
	panic(&Error{Op: op, Shapes: shapes(buf), Msg: "no operator takes a Go value of type " + reflect.TypeOf(arg).String()})
}

// appendList appends a list whose elements have one word each.
func appendList[T any](buf []uint64, tag int, list []T, word func(T) uint64) []uint64 {
	buf = append(buf, header(tag, len(list)))
	for _, v := range list {
		buf = append(buf, word(v))
	}
	return buf
}

func header(tag, n int) uint64 { return uint64(tag) | uint64(n)<<8 }

func boolWord(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func appendText(buf []uint64, tag int, s string) []uint64 {
	buf = append(buf, header(tag, len(s)))
	for len(s) > 0 {
		var word [8]byte
		n := copy(word[:], s)
		buf = append(buf, *(*uint64)(unsafe.Pointer(&word)))
		s = s[n:]
	}
	return buf
}

// results returns the words of a call's results. They are in out, or in a block that out points to if
// they do not fit.
func results(out *[64]uint64) []uint64 {
	n := int(out[0])
	if n < len(out) {
		return out[1 : 1+n]
	}
	block := *(*unsafe.Pointer)(unsafe.Pointer(&out[1]))
	defer C.free(block)
	return append([]uint64(nil), unsafe.Slice((*uint64)(block), n)...)
}

// decode reads one result and returns the words after it.
func decode(w []uint64) (any, []uint64) {
	tag, n := int(w[0]&0xff), int(w[0]>>8)
	w = w[1:]
	switch tag {
	case C.LT_NONE:
		return nil, w
	case C.LT_TENSOR:
		return Tensor{w[0]}, w[1:]
	case C.LT_INT:
		return int64(w[0]), w[1:]
	case C.LT_FLOAT:
		return math.Float64frombits(w[0]), w[1:]
	case C.LT_BOOL:
		return w[0] != 0, w[1:]
	case C.LT_DEVICE:
		return deviceOf(w[0]), w[1:]
	case C.LT_COMPLEX:
		return complex(math.Float64frombits(w[0]), math.Float64frombits(w[1])), w[2:]
	case C.LT_STRING:
		size := (n + 7) / 8
		if n == 0 {
			return "", w
		}
		return string(unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), n)), w[size:]
	case C.LT_LIST:
		list := make(Results, n)
		for i := range list {
			list[i], w = decode(w)
		}
		return list, w
	}
	panic(&Error{Op: "call", Msg: fmt.Sprintf("unknown result tag %d", tag)}) // shim.h and this file disagree
}
