package data

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/liebm/liebm/internal/pickles"
)

// CIFAR's Python batches are pickles (see [pickles.Rules]). The classes that they may name are the Go types below.

// isPickle reports whether b starts as a pickle of protocol 2, which CIFAR has, or later.
func isPickle(b []byte) bool { return len(b) > 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5 }

// parsePickle reads a batch, or returns nil for a pickle without images, such as batches.meta.
func parsePickle(b []byte) (*part, error) {
	value, _, err := rules(len(b)).Load(b)
	if err != nil {
		return nil, err
	}
	dict, ok := value.(*types.Dict)
	if !ok {
		return nil, nil
	}
	fields := map[string]any{}
	for _, e := range *dict {
		if key, ok := text(e.Key); ok {
			fields[key] = e.Value
		}
	}
	if fields["data"] == nil {
		return nil, nil
	}
	return batch(fields)
}

// batch checks the fields of a dict of CIFAR or ImageNet 32 and makes a part of them.
func batch(fields map[string]any) (*part, error) {
	array, ok := fields["data"].(*ndarray)
	if !ok || len(array.shape) != 2 || array.shape[1] != cifarRow || array.dtype != "u1" {
		return nil, fmt.Errorf("its data is %s, not a numpy array of uint8, n×%d", describe(fields["data"]), cifarRow)
	}
	n, size := array.shape[0], len(array.data)
	if n < 1 || size/cifarRow != n || size%cifarRow != 0 {
		return nil, fmt.Errorf("its data holds %d bytes for %d rows of %d; fetch it again", size, n, cifarRow)
	}
	name, list, first, classes := "cifar10", fields["labels"], 0, 10
	says, hasSplit := text(fields["batch_label"])
	if fine, ok := fields["fine_labels"]; ok {
		name, list, classes = "cifar100", fine, 100
	} else if _, ok := fields["filenames"]; !ok && !hasSplit { // CIFAR's always have both
		name, first, classes = "imagenet32", 1, 1000
	}
	labels, err := integers(list, n)
	if err != nil {
		return nil, err
	}
	rows := array.data
	if array.fortran {
		rows = make([]byte, size)
		interleave(rows, array.data, cifarRow)
	}
	p, err := labelled(name, rows, labels, first, classes)
	// "training batch 1 of 5" or "testing batch 1 of 1": the content's own word on the split.
	if err == nil && strings.HasPrefix(says, "training") {
		p.Split = Train
	} else if err == nil && strings.HasPrefix(says, "testing") {
		p.Split = Test
	}
	return p, err
}

// integers are the items of a list of n labels.
func integers(labels any, n int) ([]int, error) {
	list, ok := labels.(*types.List)
	if !ok || list.Len() != n {
		return nil, fmt.Errorf("its labels are %s, not a list of %d, one for each row", describe(labels), n)
	}
	out := make([]int, n)
	for i, v := range *list {
		if out[i], ok = v.(int); !ok {
			return nil, fmt.Errorf("label %d is %s, not an integer", i, describe(v))
		}
	}
	return out, nil
}

// rules allow the classes of arrays, in numpy of any version. The file has size bytes.
func rules(size int) pickles.Rules {
	return pickles.Rules{Class: func(module, name string) (any, error) {
		switch module + "." + name {
		case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
			return pickles.Func(func(...any) (any, error) { return &ndarray{}, nil }), nil
		case "numpy.ndarray":
			return nil, nil // only ever an argument of _reconstruct
		case "numpy.dtype":
			return pickles.Func(newDtype), nil
		case "_codecs.encode":
			return pickles.Func(func(args ...any) (any, error) { return encode(&size, args) }), nil
		}
		return nil, fmt.Errorf("its pickle asks for %.40s.%.40s: refused, since CIFAR needs only numpy arrays", module, name)
	}}
}

// encode is Python's _codecs.encode(text, "latin1"), which is how Python 3 writes bytes in protocol 2. The budget keeps a
// pickle from encoding one long string again and again.
func encode(budget *int, args []any) (any, error) {
	if len(args) != 2 {
		return nil, errors.New("encode needs 2 arguments")
	}
	s, ok := args[0].(string)
	if codec, _ := args[1].(string); !ok || codec != "latin1" && codec != "latin-1" {
		return nil, errors.New("encode takes text in latin1 only")
	}
	if *budget -= len(s); *budget < 0 {
		return nil, errors.New("it encodes more text than it holds")
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, fmt.Errorf("%q is not in latin1", r)
		}
		out = append(out, byte(r))
	}
	return out, nil
}

// dtype is numpy's name of an element type, as "u1".
type dtype string

func newDtype(args ...any) (any, error) {
	if len(args) > 0 {
		if name, ok := text(args[0]); ok {
			d := dtype(strings.TrimPrefix(name, "|"))
			return &d, nil
		}
	}
	return nil, errors.New("dtype needs a name")
}

// PySetState ignores byte order and alignment, which bytes do not have.
func (d *dtype) PySetState(any) error { return nil }

// ndarray is numpy's array as its __setstate__ receives it.
type ndarray struct {
	shape   []int
	dtype   dtype
	fortran bool
	data    []byte
}

// PySetState takes (version, shape, dtype, is Fortran ordered, data).
func (a *ndarray) PySetState(state any) error {
	t, ok := state.(*types.Tuple)
	if !ok || t.Len() != 5 {
		return errors.New("an array needs a state of 5")
	}
	shape, isShape := t.Get(1).(*types.Tuple)
	d, isDtype := t.Get(2).(*dtype)
	fortran, isBool := t.Get(3).(bool)
	if !isShape || !isDtype || !isBool {
		return errors.New("an array needs (version, shape, dtype, order, data)")
	}
	a.shape = nil
	for _, v := range *shape {
		n, ok := v.(int)
		if !ok || n < 0 {
			return errors.New("an array has an impossible shape")
		}
		a.shape = append(a.shape, n)
	}
	switch data := t.Get(4).(type) {
	case []byte:
		a.data = data
	case string: // of Python 2
		a.data = []byte(data)
	}
	a.dtype, a.fortran = *d, fortran
	return nil
}

// text is a string of Python 2, or bytes or a string of Python 3.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

// describe names a value of a pickle in a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case int, bool:
		return fmt.Sprint(v)
	case *ndarray:
		return fmt.Sprintf("an array of %.8q %.60s", v.dtype, fmt.Sprint(v.shape))
	case *types.List:
		return fmt.Sprintf("a list of %d", v.Len())
	}
	return strings.TrimPrefix(fmt.Sprintf("a %T", v), "a *types.")
}
