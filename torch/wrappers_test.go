package torch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wrapped has every wrapper of ops.go and foreach.go with a small input and what PyTorch makes of it.
// x is [[1 2] [3 4]], y is [[4 3] [2 1]], img is 0 … 15 as [1,1,4,4].
func wrapped(x, y, img Tensor) map[string]func() (got Tensor, want []float64) {
	type out = func() (Tensor, []float64)
	is := func(f func() Tensor, want ...float64) out { return func() (Tensor, []float64) { return f(), want } }
	changed := func(start Tensor, f func(t Tensor), want ...float64) out {
		return func() (Tensor, []float64) { t := start.Clone(); f(t); return t, want }
	}
	each := func(f func(a, b []Tensor), want ...float64) out {
		return func() (Tensor, []float64) {
			a := []Tensor{x.Clone()}
			f(a, []Tensor{y})
			return a[0], want
		}
	}
	vector := FromSlice([]float32{1, 4})
	return map[string]out{
		"Empty":     is(func() Tensor { return Empty([]int{0, 2}, Float32) }),
		"Zeros":     is(func() Tensor { return Zeros([]int{2}, Int64) }, 0, 0),
		"Ones":      is(func() Tensor { return Ones([]int{2}, Float64) }, 1, 1),
		"Full":      is(func() Tensor { return Full([]int{2}, 0.5, Float32) }, 0.5, 0.5),
		"Scalar":    is(func() Tensor { return Scalar(0.5) }, 0.5),
		"Arange":    is(func() Tensor { return Arange(3) }, 0, 1, 2),
		"Eye":       is(func() Tensor { return Eye(2, Float32) }, 1, 0, 0, 1),
		"EmptyLike": is(func() Tensor { return FromSlice([]float32{}).EmptyLike() }),
		"ZerosLike": is(func() Tensor { return x.ZerosLike() }, 0, 0, 0, 0),
		"OnesLike":  is(func() Tensor { return x.OnesLike() }, 1, 1, 1, 1),

		"To":         is(func() Tensor { return x.To(Int64) }, 1, 2, 3, 4),
		"ToDevice":   is(func() Tensor { return x.ToDevice(Device{}) }, 1, 2, 3, 4),
		"Contiguous": is(func() Tensor { return x.T().Contiguous(Contiguous) }, 1, 3, 2, 4),
		"Clone":      is(func() Tensor { return x.Clone() }, 1, 2, 3, 4),
		"CloneAs":    is(func() Tensor { return x.Reshape(1, 4, 1, 1).CloneAs(ChannelsLast) }, 1, 2, 3, 4),

		"Cat":         is(func() Tensor { return Cat([]Tensor{x, y}, 1) }, 1, 2, 4, 3, 3, 4, 2, 1),
		"Stack":       is(func() Tensor { return Stack([]Tensor{vector, vector}, 1) }, 1, 1, 4, 4),
		"Split":       is(func() Tensor { return x.Split([]int{1, 1}, 1)[1] }, 2, 4),
		"Chunk":       is(func() Tensor { return x.Chunk(2, 0)[1] }, 3, 4),
		"Reshape":     is(func() Tensor { return x.Reshape(4).Narrow(0, 1, 2) }, 2, 3),
		"Flatten":     is(func() Tensor { return x.Flatten(0) }, 1, 2, 3, 4),
		"Permute":     is(func() Tensor { return x.Permute(1, 0) }, 1, 3, 2, 4),
		"Transpose":   is(func() Tensor { return x.Transpose(0, 1) }, 1, 3, 2, 4),
		"T":           is(func() Tensor { return x.T() }, 1, 3, 2, 4),
		"Expand":      is(func() Tensor { return vector.Expand(2, -1) }, 1, 4, 1, 4),
		"Unsqueeze":   is(func() Tensor { return vector.Unsqueeze(0).AssertShape(1, 2) }, 1, 4),
		"Squeeze":     is(func() Tensor { return vector.Reshape(1, 2).Squeeze(0).AssertShape(2) }, 1, 4),
		"Narrow":      is(func() Tensor { return x.Narrow(1, 1, 1) }, 2, 4),
		"Select":      is(func() Tensor { return x.Select(1, 0) }, 1, 3),
		"IndexSelect": is(func() Tensor { return x.IndexSelect(0, FromSlice([]int64{1, 0})) }, 3, 4, 1, 2),
		"Gather":      is(func() Tensor { return x.Gather(1, FromSlice([]int64{1, 0}, 2, 1)) }, 2, 3),
		"Flip":        is(func() Tensor { return x.Flip(0, 1) }, 4, 3, 2, 1),
		"Where":       is(func() Tensor { return Where(x.LessScalar(2.5), x, y) }, 1, 2, 2, 1),
		"Pad":         is(func() Tensor { return vector.Pad(7, 1, 0) }, 7, 1, 4),

		"Add":          is(func() Tensor { return x.Add(y) }, 5, 5, 5, 5),
		"AddScaled":    is(func() Tensor { return x.AddScaled(y, -1) }, -3, -1, 1, 3),
		"AddScalar":    is(func() Tensor { return x.AddScalar(0.5) }, 1.5, 2.5, 3.5, 4.5),
		"Sub":          is(func() Tensor { return x.Sub(y) }, -3, -1, 1, 3),
		"Mul":          is(func() Tensor { return x.Mul(y) }, 4, 6, 6, 4),
		"MulScalar":    is(func() Tensor { return x.MulScalar(2) }, 2, 4, 6, 8),
		"Div":          is(func() Tensor { return x.Div(y).Narrow(1, 0, 1) }, 0.25, 1.5),
		"DivScalar":    is(func() Tensor { return x.DivScalar(2) }, 0.5, 1, 1.5, 2),
		"Neg":          is(func() Tensor { return x.Neg() }, -1, -2, -3, -4),
		"Abs":          is(func() Tensor { return x.Neg().Abs() }, 1, 2, 3, 4),
		"Square":       is(func() Tensor { return x.Square() }, 1, 4, 9, 16),
		"Sqrt":         is(func() Tensor { return vector.Sqrt() }, 1, 2),
		"Rsqrt":        is(func() Tensor { return vector.Rsqrt() }, 1, 0.5),
		"Exp":          is(func() Tensor { return Scalar(0).Exp() }, 1),
		"Log":          is(func() Tensor { return Scalar(1).Log() }, 0),
		"Floor":        is(func() Tensor { return Scalar(-0.5).Floor() }, -1),
		"Cos":          is(func() Tensor { return Scalar(0).Cos() }, 1),
		"Pow":          is(func() Tensor { return x.Pow(3) }, 1, 8, 27, 64),
		"Remainder":    is(func() Tensor { return x.Neg().Remainder(3) }, 2, 1, 0, 2),
		"Clamp":        is(func() Tensor { return x.Clamp(2, 3) }, 2, 2, 3, 3),
		"Minimum":      is(func() Tensor { return x.Minimum(y) }, 1, 2, 2, 1),
		"Maximum":      is(func() Tensor { return x.Maximum(y) }, 4, 3, 3, 4),
		"LessScalar":   is(func() Tensor { return x.LessScalar(3) }, 1, 1, 0, 0),
		"GreaterEqual": is(func() Tensor { return x.GreaterEqual(y) }, 0, 0, 1, 1),
		"EqualTo":      is(func() Tensor { return x.EqualTo(x.Flip(1).Flip(1)) }, 1, 1, 1, 1),

		"Sum":         is(func() Tensor { return x.Sum() }, 10),
		"SumDim":      is(func() Tensor { return x.SumDim(0).AssertShape(2) }, 4, 6),
		"SumKeepDim":  is(func() Tensor { return x.SumKeepDim(0).AssertShape(1, 2) }, 4, 6),
		"Mean":        is(func() Tensor { return x.Mean() }, 2.5),
		"MeanKeepDim": is(func() Tensor { return x.MeanKeepDim(1).AssertShape(2, 1) }, 1.5, 3.5),
		"MeanDim":     is(func() Tensor { return x.MeanDim(1).AssertShape(2) }, 1.5, 3.5),
		"Norm":        is(func() Tensor { return FromSlice([]float32{3, 4}).Norm(0) }, 5),
		"Max":         is(func() Tensor { return x.Max() }, 4),
		"Min":         is(func() Tensor { return x.Min() }, 1),
		"MaxDim":      is(func() Tensor { return x.MaxDim(0) }, 3, 4),
		"MinDim":      is(func() Tensor { return x.MinDim(1).AssertShape(2) }, 1, 3),
		"ArgMax":      is(func() Tensor { return y.ArgMax(1) }, 0, 0),
		"Equal":       is(func() Tensor { return Scalar(float64(boolWord(x.Equal(x.Clone()) && !x.Equal(y)))) }, 1),

		"Diagonal": is(func() Tensor { return x.Diagonal() }, 1, 4),
		"Matmul":   is(func() Tensor { return x.Matmul(y) }, 8, 5, 20, 13),

		"Conv2d": is(func() Tensor {
			return img.Conv2d(Ones([]int{1, 1, 2, 2}, Float32), Scalar(1).Reshape(1), Conv2dOptions{Stride: 2})
		}, 11, 19, 43, 51),
		"Linear":             is(func() Tensor { return x.Linear(y, vector) }, 11, 8, 25, 14),
		"AvgPool2d":          is(func() Tensor { return img.AvgPool2d(2) }, 2.5, 4.5, 10.5, 12.5),
		"MovingAverage2d":    is(func() Tensor { return img.MovingAverage2d(3, 1).Narrow(2, 0, 1).Narrow(3, 0, 2) }, 10.0/9, 18.0/9),
		"MaxPool2d":          is(func() Tensor { return img.MaxPool2d(3, 2, 1) }, 5, 7, 13, 15),
		"UpsampleBilinear2d": is(func() Tensor { return x.Reshape(1, 1, 2, 2).UpsampleBilinear2d().Narrow(2, 0, 1) }, 1, 4.0/3, 5.0/3, 2),
		"GridSampleBicubic":  is(func() Tensor { return img.GridSampleBicubic(Zeros([]int{1, 1, 1, 2}, Float32)) }, 7.5),
		"BatchNorm": is(func() Tensor {
			return x.BatchNorm(Tensor{}, Tensor{}, vector, vector, false, 0.1, 0).Narrow(1, 0, 1)
		}, 0, 2),
		"ReLU":             is(func() Tensor { return x.AddScalar(-3).ReLU() }, 0, 0, 0, 1),
		"LeakyReLU":        is(func() Tensor { return x.AddScalar(-3).LeakyReLU(0.5) }, -1, -0.5, 0, 1),
		"Tanh":             is(func() Tensor { return Scalar(100).Tanh() }, 1),
		"LogSoftmax":       is(func() Tensor { return Zeros([]int{1, 1}, Float32).LogSoftmax(1) }, 0),
		"CrossEntropy":     is(func() Tensor { return FromSlice([]float32{0, 100}, 1, 2).CrossEntropy(FromSlice([]int64{0})) }, 100),
		"CosineSimilarity": is(func() Tensor { return x.CosineSimilarity(x.MulScalar(-2)) }, -1, -1),
		"Normalize":        is(func() Tensor { return FromSlice([]float64{3, 4, 0, 0}, 2, 2).Normalize() }, 0.6, 0.8, 0, 0),

		"CopyFrom":       changed(x, func(t Tensor) { t.CopyFrom(Arange(2)) }, 0, 1, 0, 1),
		"ZeroInPlace":    changed(x, func(t Tensor) { t.ZeroInPlace() }, 0, 0, 0, 0),
		"AddInPlace":     changed(x, func(t Tensor) { t.AddInPlace(y, 2) }, 9, 8, 7, 6),
		"MulInPlace":     changed(x, func(t Tensor) { t.MulInPlace(2) }, 2, 4, 6, 8),
		"LerpInPlace":    changed(x, func(t Tensor) { t.LerpInPlace(y, 0.25) }, 1.75, 2.25, 2.75, 3.25),
		"ReLUInPlace":    changed(x, func(t Tensor) { t.AddInPlace(y, -1); t.ReLUInPlace() }, 0, 0, 1, 3),
		"NormalInPlace":  changed(x, func(t Tensor) { t.NormalInPlace(0, NewRNG(1, 0, "")) }, 0, 0, 0, 0),
		"UniformInPlace": changed(x, func(t Tensor) { t.UniformInPlace(2, 2, NewRNG(1, 0, "")) }, 2, 2, 2, 2),

		"ForeachAdd":       each(func(a, b []Tensor) { ForeachAdd(a, b, 2) }, 9, 8, 7, 6),
		"ForeachMul":       each(func(a, _ []Tensor) { ForeachMul(a, 2) }, 2, 4, 6, 8),
		"ForeachDiv":       is(func() Tensor { return ForeachDiv([]Tensor{x}, []Tensor{x.AddScalar(1)})[0] }, 0.5, 2.0/3, 0.75, 0.8),
		"ForeachAddScalar": each(func(a, _ []Tensor) { ForeachAddScalar(a, 2) }, 3, 4, 5, 6),
		"ForeachAddcmul":   each(func(a, b []Tensor) { ForeachAddcmul(a, b, b, 2) }, 33, 20, 11, 6),
		"ForeachAddcdiv":   each(func(a, b []Tensor) { ForeachAddcdiv(a, b, b, 2) }, 3, 4, 5, 6),
		"ForeachSqrt":      is(func() Tensor { return ForeachSqrt([]Tensor{x, vector})[1] }, 1, 2),
		"ForeachNorm":      is(func() Tensor { return ForeachNorm([]Tensor{FromSlice([]float32{3, 4})})[0] }, 5),
	}
}

// needsCUDA are the wrappers that a machine without a GPU cannot run.
var needsCUDA = []string{"Pin"}

func TestEveryWrapperDoesWhatPyTorchDoes(t *testing.T) {
	in(t, func() {
		x, y := FromSlice([]float32{1, 2, 3, 4}, 2, 2), FromSlice([]float32{4, 3, 2, 1}, 2, 2)
		table := wrapped(x, y, Arange(16).To(Float32).Reshape(1, 1, 4, 4))
		assert.ElementsMatch(t, exportedOf(t, "ops.go", "foreach.go"), slices.Concat(slices.Collect(maps.Keys(table)), needsCUDA),
			"a wrapper without a line in the table, or the other way round")
		for name, f := range table {
			got, want := f()
			assert.Len(t, got.Float64s(), len(want), name)
			for i, g := range got.Float64s() {
				assert.InDelta(t, want[i], g, 1e-6, "%s, element %d", name, i) // float32 rounding of numbers below 100
			}
		}
	})
}

// exportedOf lists the exported functions and methods of files.
func exportedOf(t *testing.T, files ...string) (names []string) {
	t.Helper()
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.IsExported() {
				names = append(names, fn.Name.Name)
			}
		}
	}
	return names
}
