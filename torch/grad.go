package torch

// #cgo noescape lt_grad
// #cgo nocallback lt_grad
// #include "shim.h"
import "C"

// GradOptions are options of [Grads]. The zero value is PyTorch's default.
type GradOptions struct {
	RetainGraph bool // keep the graph for another call
	CreateGraph bool // the result can be differentiated again
}

// Grad returns ∂y/∂x for a scalar y, like torch.autograd.grad. The result is the zero Tensor if y does not
// depend on x. With createGraph it can be differentiated again.
func Grad(y, x Tensor, createGraph bool) Tensor {
	return Grads(y, []Tensor{x}, GradOptions{CreateGraph: createGraph})[0]
}

// Grads returns ∂y/∂x for a scalar y and each x, like torch.autograd.grad with allow_unused. It is the zero
// Tensor for an x that y does not depend on.
func Grads(y Tensor, xs []Tensor, o GradOptions) []Tensor {
	out := make([]Tensor, len(xs))
	if len(xs) == 0 {
		return out
	}
	check("autograd::grad", C.lt_grad(handles([]Tensor{y}), 1, nil, handles(xs), C.int64_t(len(xs)),
		C.int(boolWord(o.RetainGraph)), C.int(boolWord(o.CreateGraph)), handles(out)))
	return out
}

// Backward adds ∂t/∂leaf to the [Tensor.Grad] of every leaf, like Tensor.backward.
func (t Tensor) Backward() { check("autograd::backward", C.lt_backward(C.uint64_t(t.h), 0)) }

// Grad is the gradient that Backward accumulated, or the zero Tensor.
func (t Tensor) Grad() Tensor {
	var out C.uint64_t
	check("grad", C.lt_grad_of(C.uint64_t(t.h), &out))
	return Tensor{uint64(out)}
}

// ZeroGrad drops the accumulated gradient, like zero_grad(set_to_none=True).
func (t Tensor) ZeroGrad() { check("zero_grad", C.lt_clear_grad(C.uint64_t(t.h))) }

// Detach returns an alias of t outside the graph.
func (t Tensor) Detach() Tensor { return t.alias(0) }

// Leaf returns an alias of t outside the graph that requires grad: x.detach().requires_grad_().
func (t Tensor) Leaf() Tensor { return t.alias(1) }

func (t Tensor) alias(requiresGrad C.int) Tensor {
	var out C.uint64_t
	check("detach", C.lt_leaf(C.uint64_t(t.h), requiresGrad, &out))
	return Tensor{uint64(out)}
}
