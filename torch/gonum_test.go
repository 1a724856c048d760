package torch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"gonum.org/v1/gonum/mat"
)

func TestMatricesOfGonum(t *testing.T) {
	dense := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	for name, c := range map[string]struct {
		m     mat.Matrix
		shape []int
		want  []float64
	}{
		"dense":      {dense, []int{2, 3}, []float64{1, 2, 3, 4, 5, 6}},
		"transposed": {dense.T(), []int{3, 2}, []float64{1, 4, 2, 5, 3, 6}},
		"a part":     {dense.Slice(0, 2, 1, 3), []int{2, 2}, []float64{2, 3, 5, 6}},
		"symmetric":  {mat.NewSymDense(2, []float64{1, 2, 0, 3}), []int{2, 2}, []float64{1, 2, 2, 3}},
		"diagonal":   {mat.NewDiagDense(2, []float64{1, 2}), []int{2, 2}, []float64{1, 0, 0, 2}},
		"a column":   {dense.ColView(1), []int{2, 1}, []float64{2, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func() {
				x := FromMat(c.m)
				assert.Equal(t, c.shape, x.Shape())
				assert.Equal(t, c.want, ToSlice[float64](x))
				assert.True(t, mat.Equal(c.m, x.Mat()))
			})
		})
	}
	in(t, func() {
		assert.Equal(t, []float64{2, 5}, ToSlice[float64](FromMat(dense.ColView(1)).Flatten(0)))
		assert.True(t, mat.Equal(dense.T(), Arange(6).AddScalar(1).To(Float16).Reshape(2, 3).T().Mat()), "strides and types are followed")
		assert.True(t, mat.Equal(mat.NewVecDense(3, []float64{0, 1, 2}), Arange(3).Unsqueeze(1).Mat()))
		x := FromMat(dense)
		x.ZeroInPlace()
		assert.Equal(t, 1.0, dense.At(0, 0), "a copy")
	})
}

func TestMatricesThatGonumHasNot(t *testing.T) {
	for _, shape := range [][]int{{}, {3}, {1, 2, 3}, {0, 3}} {
		assert.ErrorContains(t, failure(t, func() { Zeros(shape, Float32).Mat() }), "use a tensor [rows,cols]")
	}
}
