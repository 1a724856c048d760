//go:build gotorch

package gotorch

import (
	"fmt"
	"reflect"
	"strconv"

	upstream "github.com/wangkuiyi/gotorch"
	"github.com/wangkuiyi/gotorch/nn"

	"github.com/liebm/liebm/torch"
	ours "github.com/liebm/liebm/torch/nn"
)

// Module is a gotorch network that package nn can walk. Its tensors are the network's, in the order of its
// fields. Their names follow from the fields' names as in package nn. Tensors that gotorch's tag calls buffers
// are buffers. The tensors are kept; nn.Close(m) closes them and leaves the network as it is.
//
// Changes of a tensor in place are seen on both sides: those of package optim, nn.Load, nn.Copy and gotorch's
// To. A new tensor in a field is not seen. Wrap the network again after gotorch's SetStateDict, and do not
// use nn.To and nn.Freeze.
type Module struct {
	Tensors
	name    string
	forward func(upstream.Tensor) upstream.Tensor
}

// Tensors is a struct with the network's fields: a torch.Tensor for each tensor, a pointer to such a
// struct for each module.
type Tensors any

// Wrap wraps a gotorch network. It must have Forward(gotorch.Tensor) gotorch.Tensor, like Linear, or
// Forward(...any) any, like Sequential. Wrap needs an open scope.
func Wrap(net nn.IModule) *Module {
	m := &Module{name: fmt.Sprintf("%T.Forward", net)}
	switch net := net.(type) {
	case interface {
		Forward(upstream.Tensor) upstream.Tensor
	}:
		m.forward = net.Forward
	case interface{ Forward(...any) any }:
		m.forward = func(x upstream.Tensor) upstream.Tensor {
			y, ok := net.Forward(x).(upstream.Tensor)
			if !ok {
				panic(&torch.Error{Op: m.name, Msg: "its result is not a gotorch.Tensor: the last module must return one"})
			}
			return y
		}
	default:
		panic(&torch.Error{Op: m.name, Msg: "it needs Forward(gotorch.Tensor) gotorch.Tensor, like Linear, or Forward(...any) any, like Sequential"})
	}
	m.Tensors = mirror(reflect.ValueOf(net), fmt.Sprintf("%T", net))
	for _, l := range ours.State(m) {
		l.Tensor.Keep()
	}
	return m
}

// Forward calls the network's Forward. Gradients pass through it, and torch.NoGrad applies.
func (m *Module) Forward(x torch.Tensor) (y torch.Tensor) {
	run(m.name, x, func() { y = From(m.forward(To(x))) })
	return y
}

// Energy is Forward as an energy. The network must return one number for each row of x. x: [n,…] → [n].
func (m *Module) Energy(x torch.Tensor) torch.Tensor { return m.Forward(x).Reshape(x.Size(0)) }

var (
	moduleType = reflect.TypeFor[nn.IModule]()
	tensorType = reflect.TypeFor[upstream.Tensor]()
)

// mirror makes a struct like the one that module points to, with the fields that gotorch's own walk
// visits: tensors, modules, slices and arrays of them. It returns a pointer to it, or nil.
func mirror(module reflect.Value, path string) any {
	if module.IsNil() {
		return nil
	}
	module = module.Elem()
	var fields []reflect.StructField
	var values []any
	for i := range module.NumField() {
		f := module.Type().Field(i)
		value := mirrorField(module.Field(i), f, path+"."+f.Name)
		if value == nil {
			continue
		}
		field := reflect.StructField{Name: f.Name, Type: reflect.TypeOf(value)}
		if buffer(f) {
			field.Tag = `nn:"buffer"`
		}
		fields, values = append(fields, field), append(values, value)
	}
	out := reflect.New(reflect.StructOf(fields))
	for i, v := range values {
		out.Elem().Field(i).Set(reflect.ValueOf(v))
	}
	return out.Interface()
}

// mirrorField is the mirror of one field, or nil where gotorch sees nothing in it.
func mirrorField(v reflect.Value, f reflect.StructField, path string) any {
	visible := func(t reflect.Type) bool { return t == tensorType || t.Implements(moduleType) }
	list := v.Kind() == reflect.Slice || v.Kind() == reflect.Array
	if !visible(f.Type) && !(list && (visible(f.Type.Elem()) || f.Type.Elem().Kind() == reflect.Interface)) {
		return nil
	}
	if !f.IsExported() {
		panic(&torch.Error{Op: path, Msg: "gotorch sees exported fields only: begin the name with a capital letter"})
	}
	if !list {
		return mirrorElement(v, path)
	}
	elements := make([]any, v.Len()) // none stay, as nil: the ones behind them keep their numbers
	for i := range elements {
		elements[i] = mirrorElement(v.Index(i), path+"."+strconv.Itoa(i))
		if t, ok := elements[i].(torch.Tensor); ok {
			elements[i] = listed(t, f)
		}
	}
	return elements
}

func mirrorElement(v reflect.Value, path string) any {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
	case v.Type().Implements(moduleType):
		return mirror(v, path)
	case v.Type() == tensorType:
		if t := From(v.Interface().(upstream.Tensor)); t.Defined() {
			return t
		}
	}
	return nil
}

// listed is a tensor of a list, in a struct since only fields have tags.
func listed(t torch.Tensor, f reflect.StructField) any {
	if buffer(f) {
		return &struct {
			Tensor torch.Tensor `nn:"buffer"`
		}{t}
	}
	return &struct{ Tensor torch.Tensor }{t}
}

func buffer(f reflect.StructField) bool { return f.Tag.Get("gotorch") == "buffer" }
