package nn

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/liebm/liebm/torch"
)

// Leaf is a tensor of a module. It is a parameter, or a buffer, which no gradient changes.
type Leaf struct {
	torch.Entry
	Buffer  bool // running statistics, spectral-norm vectors
	Carried bool // a buffer that optim.UpdateEMA copies instead of averaging it

	field reflect.Value
}

// State lists a module's tensors by walking its exported fields in order. A tensor's name is the
// path of field names in snake case, "blocks.0.conv1.weight". A torch.Tensor field is a parameter
// unless tagged `nn:"buffer"` or `nn:"carried"`; nil pointers and zero tensors are skipped.
func State(module any) []Leaf {
	var out []Leaf
	walk(reflect.ValueOf(module), "", func(l Leaf) { out = append(out, l) })
	return out
}

var tensorType = reflect.TypeFor[torch.Tensor]()

func walk(v reflect.Value, path string, visit func(Leaf)) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), path, visit)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(v.Index(i), join(strconv.Itoa(i)), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if f.Anonymous {
				walk(v.Field(i), path, visit)
				continue
			}
			if f.Type != tensorType {
				walk(v.Field(i), join(snake(f.Name)), visit)
				continue
			}
			if t := v.Field(i).Interface().(torch.Tensor); t.Defined() {
				tag := f.Tag.Get("nn")
				visit(Leaf{torch.Entry{Name: join(snake(f.Name)), Tensor: t}, tag != "", tag == "carried", v.Field(i)})
			}
		}
	}
}

// snake turns RunningMean into running_mean and Conv1 into conv1.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 && !unicode.IsUpper(rune(name[i-1])) {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Entries lists a module's tensors, to be saved. All names begin with prefix.
func Entries(prefix string, module any) []torch.Entry {
	var out []torch.Entry
	for _, l := range State(module) {
		out = append(out, torch.Entry{Name: prefix + l.Name, Tensor: l.Tensor})
	}
	return out
}

// Params lists a module's parameters in order.
func Params(module any) []torch.Tensor {
	var out []torch.Tensor
	for _, l := range State(module) {
		if !l.Buffer {
			out = append(out, l.Tensor)
		}
	}
	return out
}

// CountParams is the number of parameters, without buffers.
func CountParams(module any) int {
	n := 0
	for _, t := range Params(module) {
		n += t.Numel()
	}
	return n
}

// Close frees a module's tensors.
func Close(module any) {
	for _, l := range State(module) {
		l.Tensor.Close()
	}
}

// Load copies the tensors named prefix+name into the module. Every tensor of the module must be in from,
// with the same shape. The error names the first three that are missing or have another shape.
func Load(module any, prefix string, from map[string]torch.Tensor) error {
	return LoadEntries(Entries(prefix, module), from)
}

// LoadEntries is Load into tensors that are not a module's, such as an optimiser's state.
func LoadEntries(to []torch.Entry, from map[string]torch.Tensor) error {
	return torch.Do(func() error {
		var wrong []string
		for _, e := range to {
			src, ok := from[e.Name]
			switch {
			case !ok:
				wrong = append(wrong, e.Name+" is missing")
			case !slices.Equal(src.Shape(), e.Tensor.Shape()):
				wrong = append(wrong, fmt.Sprintf("%s is %v, it must be %v", e.Name, src.Shape(), e.Tensor.Shape()))
			default:
				torch.NoGrad(func() { e.Tensor.CopyFrom(src) })
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		return fmt.Errorf("%d weights do not fit: %s", len(wrong), strings.Join(wrong[:min(3, len(wrong))], "; "))
	})
}

// Copy copies every tensor of src to dst, a module with the same fields.
func Copy(dst, src any) {
	from := State(src)
	torch.NoGrad(func() {
		for i, l := range State(dst) {
			l.Tensor.CopyFrom(from[i].Tensor)
		}
	})
}

// To moves a module to a device and converts its tensors to a dtype. It replaces the tensors by new ones, so
// make optimisers after it.
func To(module any, device torch.Device, dtype torch.DType) {
	for _, l := range State(module) {
		next := l.Tensor.Detach().To(dtype).ToDevice(device)
		if next.Dim() == 4 {
			next = next.CloneAs(torch.ChannelsLast)
		}
		l.field.Set(reflect.ValueOf(keep(next, !l.Buffer)))
		l.Tensor.Close()
	}
}

// Freeze makes a module's parameters constants, which have no gradients.
func Freeze(module any) {
	for _, l := range State(module) {
		l.field.Set(reflect.ValueOf(keep(l.Tensor, false)))
		l.Tensor.Close()
	}
}

// Init draws the first weights of every layer. Each layer has its own source of random numbers, named by its
// path, so that a change to one layer does not change the weights of the others.
func Init(module any, rng *torch.RNG) {
	layers(reflect.ValueOf(module), "", func(layer initialiser, path string) {
		torch.NoGrad(func() {
			torch.Tidy(func() torch.Tensor { layer.reset(rng.Fork(path)); return torch.Tensor{} })
		})
	})
}

// initialiser is a layer that knows its starting weights.
type initialiser interface{ reset(rng *torch.RNG) }

// layers visits every layer that is an L, with the path of field names that leads to it.
func layers[L any](v reflect.Value, path string, visit func(layer L, path string)) {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return
	}
	if layer, ok := v.Interface().(L); ok {
		visit(layer, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		layers(v.Elem(), path, visit)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			layers(v.Index(i), path+"."+strconv.Itoa(i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				layers(v.Field(i), path+"."+snake(f.Name), visit)
			}
		}
	}
}

// keep makes a tensor of a module: outside scopes, and a leaf if it is a parameter.
func keep(t torch.Tensor, param bool) torch.Tensor {
	if param {
		return t.Leaf().Keep()
	}
	return t.Detach().Keep()
}

func param(shape ...int) torch.Tensor {
	t := torch.Zeros(shape, torch.Float32)
	if len(shape) == 4 {
		t = t.CloneAs(torch.ChannelsLast)
	}
	return keep(t, true)
}
