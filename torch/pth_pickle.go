package torch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nlpodyssey/gopickle/types"

	"github.com/liebm/liebm/internal/pickles"
)

// The classes that the pickle in a file of torch.save may name: storages, tensors, and a few others that
// checkpoints have. torch.load(weights_only=True) has a similar list.

// storageTypes maps the classes of storages to their element types.
var storageTypes = map[string]DType{
	"ByteStorage": Uint8, "CharStorage": Int8, "ShortStorage": Int16, "IntStorage": Int32, "LongStorage": Int64,
	"HalfStorage": Float16, "FloatStorage": Float32, "DoubleStorage": Float64, "BoolStorage": Bool, "BFloat16Storage": BFloat16,
}

func (p *pth) rules() pickles.Rules { return pickles.Rules{Class: pthClass, Persistent: p.storage} }

func pthClass(module, name string) (any, error) {
	switch module + "." + name {
	case "collections.OrderedDict":
		return &types.OrderedDictClass{}, nil
	case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor":
		return pickles.Func(rebuildTensor), nil
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.Size":
		return pickles.Func(firstArgument), nil
	case "torch.device":
		return pickles.Func(func(...any) (any, error) { return nil, nil }), nil
	}
	if module == "torch" {
		if dtype, ok := storageTypes[name]; ok {
			return dtype, nil
		}
		for dtype, known := range dtypeNames {
			if name == known {
				return dtype, nil
			}
		}
	}
	return nil, fmt.Errorf("its pickle asks for %.60s.%.60s, which no state dict needs: refused, since it could be any program; save model.state_dict() instead of the model", module, name)
}

// storage returns the storage of a persistent id: ("storage", class, key, device, elements). In the older
// format None follows, or (key, start, elements) for a part of the storage.
func (p *pth) storage(id any) (any, error) {
	t, ok := id.(*types.Tuple)
	if !ok || t.Len() < 5 || t.Get(0) != "storage" {
		return nil, errors.New("an id that is of no storage")
	}
	dtype, isType := t.Get(1).(DType)
	key, isKey := t.Get(2).(string)
	numel, isInt := t.Get(4).(int)
	if !isType || !isKey || !isInt || numel < 0 || numel > p.size/dtype.Size() {
		return nil, fmt.Errorf("storage %.40s of %.20s elements does not fit in %d bytes", fmt.Sprint(t.Get(2)), fmt.Sprint(t.Get(4)), p.size)
	}
	s := p.storages[key]
	if s == nil {
		s = &pthStorage{dtype: dtype, numel: numel}
		p.storages[key] = s
	}
	if s.dtype != dtype || s.numel != numel {
		return nil, fmt.Errorf("storage %.40q is %d %s and also %d %s", key, s.numel, s.dtype, numel, dtype)
	}
	part := &pthPart{s, 0, numel}
	if t.Len() > 5 && t.Get(5) != nil {
		return part, part.narrow(t.Get(5))
	}
	return part, nil
}

// pthPart is numel elements of a storage.
type pthPart struct {
	*pthStorage
	start, numel int
}

func (p *pthPart) narrow(view any) error {
	t, ok := view.(*types.Tuple)
	if !ok || t.Len() != 3 {
		return errors.New("a view needs (key, start, elements)")
	}
	start, isInt := t.Get(1).(int)
	numel, isInt2 := t.Get(2).(int)
	if !isInt || !isInt2 || start < 0 || numel < 0 || start > p.numel || numel > p.numel-start {
		return fmt.Errorf("a view reaches beyond its storage of %d elements", p.numel)
	}
	p.start, p.numel = start, numel
	return nil
}

// pthTensor is a tensor as torch._utils._rebuild_tensor_v2 receives it.
type pthTensor struct {
	storage       *pthStorage
	first, limit  int // the elements of the storage that it may have
	offset        int
	shape, stride []int
}

// rebuildTensor takes (storage, offset, shape, stride, requires_grad, hooks, metadata), where the last
// three are missing in older files.
func rebuildTensor(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, errors.New("a tensor needs (storage, offset, shape, stride)")
	}
	part, isPart := args[0].(*pthPart)
	offset, isInt := args[1].(int)
	shape, isShape := ints(args[2])
	stride, isStride := ints(args[3])
	if !isPart || !isInt || !isShape || !isStride {
		return nil, errors.New("a tensor needs (storage, offset, shape, stride)")
	}
	if len(args) > 6 {
		if d, ok := args[6].(*types.Dict); args[6] != nil && (!ok || d.Len() > 0) {
			return nil, errors.New("a conjugated or negated view: save a clone of it")
		}
	}
	return &pthTensor{part.pthStorage, part.start, part.start + part.numel, part.start + offset, shape, stride}, nil
}

func ints(v any) (out []int, ok bool) {
	t, ok := v.(*types.Tuple)
	if !ok || t.Len() > 8 {
		return nil, false
	}
	out = make([]int, 0, t.Len())
	for _, v := range *t {
		n, ok := v.(int)
		if !ok {
			return nil, false
		}
		out = append(out, n)
	}
	return out, true
}

// firstArgument replaces the calls that make a parameter of a tensor, or a torch.Size of a tuple.
func firstArgument(args ...any) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("it needs an argument")
	}
	return args[0], nil
}

// check refuses a tensor that reaches beyond its storage, or that repeats elements (by strides of 0)
// until it is larger than a file of size bytes justifies.
func (t *pthTensor) check(size int) error {
	fits := len(t.shape) == len(t.stride) && t.offset >= t.first && t.offset <= t.limit &&
		slices.Min(append(t.shape, 0)) == 0 && slices.Min(append(t.stride, 0)) == 0
	if fits && slices.Contains(t.shape, 0) {
		return nil
	}
	elements, last := 1, t.offset
	for i := 0; fits && i < len(t.shape); i++ {
		n, stride := t.shape[i], t.stride[i]
		if elements > max(size, 1<<20)/t.storage.dtype.Size()/n {
			return fmt.Errorf("shape %v repeats the elements of a storage of %d beyond the size of the file; save a clone of it", t.shape, t.limit-t.first)
		}
		elements *= n
		if stride > 0 {
			fits = n-1 <= (t.limit-last)/stride
			last += (n - 1) * stride
		}
	}
	if !fits || last >= t.limit {
		return fmt.Errorf("shape %v with strides %v from %d does not fit in its %d elements; fetch it again", t.shape, t.stride, t.offset-t.first, t.limit-t.first)
	}
	return nil
}

// namedPth is a tensor with its place in the object.
type namedPth struct {
	name string
	*pthTensor
}

// flattening lists the tensors and scalars in a value of dicts and lists.
type flattening struct {
	tensors []namedPth
	scalars map[string]any
	names   map[string]bool
	left    int // bytes of names; the same list may occur in itself, or often
}

const maxDepth = 64 // of dicts in dicts

func (f *flattening) visit(name string, value any, depth int) error {
	if f.left -= len(name) + 1; f.left < 0 || depth > maxDepth {
		return errors.New("its lists and dicts hold each other without end; fetch it again")
	}
	switch v := value.(type) {
	case *pthTensor:
		if f.names[name] {
			return fmt.Errorf("two tensors are called %.120q", name)
		}
		f.names[name] = true
		f.tensors = append(f.tensors, namedPth{name, v})
	case int, float64, bool, string:
		f.scalars[name] = v
	case *types.OrderedDict:
		for e := v.List.Front(); e != nil; e = e.Next() {
			entry := e.Value.(*types.OrderedDictEntry)
			if err := f.item(name, entry.Key, entry.Value, depth); err != nil {
				return err
			}
		}
	case *types.Dict:
		for _, e := range *v {
			if err := f.item(name, e.Key, e.Value, depth); err != nil {
				return err
			}
		}
	case *types.List:
		return f.list(name, *v, depth)
	case *types.Tuple:
		return f.list(name, *v, depth)
	}
	return nil
}

func (f *flattening) list(name string, items []any, depth int) error {
	for i, v := range items {
		if err := f.item(name, i, v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattening) item(parent string, key, value any, depth int) error {
	var name string
	switch k := key.(type) {
	case string:
		name = k
	case int:
		name = strconv.Itoa(k)
	default:
		return fmt.Errorf("a dict in %.120q has a key that is neither a string nor an integer", parent)
	}
	if depth > 0 {
		name = parent + "." + name
	}
	return f.visit(name, value, depth+1)
}
