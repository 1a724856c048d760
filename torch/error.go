package torch

import "fmt"

// Error is what an operator panics with, and what [Do] returns.
type Error struct {
	Op     string // the operator, "aten::conv2d", or what was being done
	Shapes string // the shapes of its tensors, "[256,3,32,32], [256,1,3,3]"
	Msg    string // libtorch's own first line
}

func (e *Error) Error() string {
	return fmt.Sprintf("torch: %s(%s): %s", e.Op, e.Shapes, e.Msg)
}
