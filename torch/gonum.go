package torch

import (
	"gonum.org/v1/gonum/mat"
)

// FromMat copies a matrix of gonum to a float64 tensor [rows,cols] on the CPU. A vector becomes one column.
func FromMat(m mat.Matrix) Tensor {
	rows, cols := m.Dims()
	return FromSlice(mat.DenseCopyOf(m).RawMatrix().Data, rows, cols)
}
