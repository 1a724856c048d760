package data

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/liebm/liebm/internal/pickles"
)

// CIFAR's Python batches are pickles, and a pickle is a program. It may build numbers, strings, lists, dicts and numpy
// arrays, and nothing else (see [pickles.Rules]). The classes that it may name are the Go types below.

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

// batch checks the fields of a CIFAR dict and makes a part of them.
func batch(fields map[string]any) (*part, error) {
	set, labels := layouts[0], fields["labels"]
	if fine, ok := fields["fine_labels"]; ok {
		set, labels = layouts[1], fine
	}
	_, says := fields["batch_label"]
	_, names := fields["filenames"]
	imageNet := !says && !names && fields["fine_labels"] == nil // CIFAR's always have both
	array, ok := fields["data"].(*ndarray)
	if !ok || len(array.shape) != 2 || array.shape[1] != cifarRow || array.dtype != "u1" {
		return nil, fmt.Errorf("its data is %s, not a numpy array of uint8, n×%d", describe(fields["data"]), cifarRow)
	}
	n := array.shape[0]
	if n < 1 || array.size()/cifarRow != n || array.size()%cifarRow != 0 {
		return nil, fmt.Errorf("its data holds %d bytes for %d rows of %d; fetch it again", array.size(), n, cifarRow)
	}
	list, ok := labels.(*types.List)
	if !ok || list.Len() != n {
		return nil, fmt.Errorf("its labels are %s, not a list of %d, one for each row", describe(labels), n)
	}
	if imageNet {
		return imageNetBatch(array, *list)
	}
	p := newCIFAR(set.name, n)
	limit := set.limits[set.label]
	for i, v := range *list {
		label, ok := v.(int)
		if !ok || label < 0 || label >= limit {
			return nil, fmt.Errorf("label %d is %s: %s has 0…%d", i, describe(v), set.name, limit-1)
		}
		p.labels[i] = int32(label)
	}
	array.rows(p.pixels)
	// "training batch 1 of 5" or "testing batch 1 of 1": the content's own word on the split.
	if says, _ := text(fields["batch_label"]); strings.HasPrefix(says, "training") {
		p.split = Train
	} else if strings.HasPrefix(says, "testing") {
		p.split = Test
	}
	return p, nil
}

// imageNetBatch is a batch of ImageNet 32.
func imageNetBatch(array *ndarray, list types.List) (*part, error) {
	labels := make([]int, len(list))
	for i, v := range list {
		label, ok := v.(int)
		if !ok {
			return nil, fmt.Errorf("label %d is %s, not one of 1…1000", i, describe(v))
		}
		labels[i] = label
	}
	p, err := imageNetRows(array.shape[0], labels)
	if err != nil {
		return nil, err
	}
	array.rows(p.pixels)
	return p, nil
}

// rules are the rules for a batch whose file has size bytes. CIFAR-100 needs a quarter of the steps, and 150 objects.
func rules(size int) pickles.Rules {
	return pickles.Rules{Kind: "a batch of CIFAR", Opcodes: pickles.Protocol2, Steps: 1 << 20, Objects: 1 << 10, Integer: 8,
		Class: func(module, name string) (any, error) {
			switch classes[module+"."+name] {
			case "reconstruct":
				return pickles.Func(func(...any) (any, error) { return &ndarray{}, nil }), nil
			case "ndarray":
				return nil, nil // only ever an argument of reconstruct
			case "dtype":
				return pickles.Func(newDtype), nil
			case "encode":
				return pickles.Func(func(args ...any) (any, error) { return encode(&size, args) }), nil
			}
			return nil, refused(module, name)
		}}
}

// classes lists the names that a pickle may use: those of arrays, in numpy of any version.
var classes = map[string]string{
	"numpy.core.multiarray._reconstruct":  "reconstruct",
	"numpy._core.multiarray._reconstruct": "reconstruct",
	"numpy.ndarray":                       "ndarray",
	"numpy.dtype":                         "dtype",
	"_codecs.encode":                      "encode",
}

func refused(module, name string) error {
	return fmt.Errorf("its pickle asks for %.40s.%.40s: refused, since CIFAR needs only numpy arrays", module, name)
}

// encode is Python's _codecs.encode(text, "latin1"), which is how Python 3 writes bytes in protocol 2. The budget keeps a
// pickle from encoding one long string again and again.
func encode(budget *int, args []any) (any, error) {
	if len(args) != 2 {
		return nil, errors.New("encode wants 2 arguments")
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
	return nil, errors.New("dtype wants a name")
}

// PySetState ignores byte order and alignment, which bytes do not have.
func (d *dtype) PySetState(any) error { return nil }

// ndarray is numpy's array as its __setstate__ receives it.
type ndarray struct {
	shape   []int
	dtype   dtype
	fortran bool
	data    any // string or []byte
}

// PySetState takes (version, shape, dtype, is Fortran ordered, data).
func (a *ndarray) PySetState(state any) error {
	t, ok := state.(*types.Tuple)
	if !ok || t.Len() != 5 {
		return errors.New("an array wants a state of 5")
	}
	shape, isShape := t.Get(1).(*types.Tuple)
	d, isDtype := t.Get(2).(*dtype)
	fortran, isBool := t.Get(3).(bool)
	if !isShape || !isDtype || !isBool {
		return errors.New("an array wants (version, shape, dtype, order, data)")
	}
	a.shape = nil
	for _, v := range *shape {
		n, ok := v.(int)
		if !ok || n < 0 {
			return errors.New("an array has an impossible shape")
		}
		a.shape = append(a.shape, n)
	}
	a.dtype, a.fortran, a.data = *d, fortran, t.Get(4)
	return nil
}

func (a *ndarray) size() int {
	switch data := a.data.(type) {
	case []byte:
		return len(data)
	case string:
		return len(data)
	}
	return 0
}

// rows writes the images of a, which must be n×3072, to pixels.
func (a *ndarray) rows(pixels []byte) {
	switch data := a.data.(type) {
	case []byte:
		interleaveRows(pixels, data, a.fortran)
	case string:
		interleaveRows(pixels, data, a.fortran)
	}
}

func interleaveRows[T []byte | string](pixels []byte, data T, fortran bool) {
	n := len(pixels) / cifarRow
	var column [cifarRow]byte
	for i := range n {
		to := pixels[i*cifarRow : (i+1)*cifarRow]
		if !fortran {
			interleave(to, data[i*cifarRow:(i+1)*cifarRow])
			continue
		}
		for j := range column {
			column[j] = data[j*n+i]
		}
		interleave(to, column[:])
	}
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
