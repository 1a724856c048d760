package torch

import "gonum.org/v1/gonum/mat"

// FromMat copies a matrix of gonum to a float64 tensor [rows,cols] on the CPU. A vector becomes one column.
func FromMat(m mat.Matrix) Tensor {
	rows, cols := m.Dims()
	return FromSlice(mat.DenseCopyOf(m).RawMatrix().Data, rows, cols)
}

// Mat copies a tensor [rows,cols] of any type to a matrix of gonum. It panics with *[Error] for other
// shapes, and for an empty tensor, because gonum has no empty matrix.
func (t Tensor) Mat() *mat.Dense {
	shape := t.Shape()
	if len(shape) != 2 || t.Numel() == 0 {
		panic(&Error{Op: "mat", Shapes: brackets(shape), Msg: "use a tensor [rows,cols] with at least one element"})
	}
	return mat.NewDense(shape[0], shape[1], t.Float64s())
}
