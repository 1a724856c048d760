package torch

import "fmt"

// Error is the error of an operator. The operator panics with it, and [Do] returns it.
type Error struct {
	Op     string // the operator, "aten::conv2d", or another name of the action
	Shapes string // the shapes of its tensors, "[256,3,32,32], [256,1,3,3]"
	Msg    string // the first line of libtorch's message
}

func (e *Error) Error() string {
	if e.Shapes == "" {
		return "torch: " + e.Op + ": " + e.Msg
	}
	return fmt.Sprintf("torch: %s(%s): %s", e.Op, e.Shapes, e.Msg)
}
