package torch_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// refusal is the *Error that f panics with, in a scope that leaves nothing behind.
func refusal(t *testing.T, f func()) *torch.Error {
	t.Helper()
	before := torch.Live()
	var e *torch.Error
	require.ErrorAs(t, torch.Do(func() error { f(); return nil }), &e)
	assert.Equal(t, before, torch.Live())
	return e
}

func TestBadInputIsOneLineWithOperatorShapesAndReason(t *testing.T) {
	ones := func(dtype torch.DType, shape ...int) torch.Tensor { return torch.Ones(shape, dtype) }
	x := func() torch.Tensor { return ones(torch.Float32, 2, 3) }
	meta := torch.Device{Type: 14} // shapes without data: another device that every libtorch has
	for name, c := range map[string]struct {
		f                func()
		op, shapes, text string
	}{
		"shape of a product": {func() { x().Matmul(x()) }, "aten::matmul", "[2,3], [2,3]", "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"},
		"shape of a sum":     {func() { x().Add(ones(torch.Float32, 4)) }, "aten::add.Tensor", "[2,3], [4]", "must match the size of tensor b (4)"},
		"channels": {func() {
			ones(torch.Float32, 2, 3, 4, 4).Conv2d(ones(torch.Float32, 3, 1, 3, 3), torch.Tensor{}, torch.Conv2dOptions{})
		}, "aten::conv2d", "[2,3,4,4], [3,1,3,3], none", "Given groups=1, weight of size [3, 1, 3, 3]"},
		"shape of a slice":    {func() { torch.FromSlice([]int64{1, 2}, 3) }, "from_slice", "[3]", "2 values do not fill it"},
		"negative shape":      {func() { torch.FromSlice([]int64{1}, -1, -1) }, "from_slice", "[-1,-1]", "negative dimension"},
		"dimension":           {func() { x().SumDim(2) }, "aten::sum.dim_IntList", "[2,3]", "Dimension out of range (expected to be in range of [-2, 1], but got 2)"},
		"size":                {func() { x().Size(2) }, "size", "[2,3]", "no dimension 2"},
		"asserted shape":      {func() { x().AssertShape(2, 4) }, "shape", "[2,3]", "the shape should be [2 4]"},
		"index":               {func() { x().IndexSelect(0, torch.FromSlice([]int64{9})) }, "aten::index_select", "[2,3], [1] Long", "index out of range"},
		"item of many":        {func() { x().Item() }, "aten::item", "[2,3]", "cannot be converted to Scalar"},
		"dtype of a product":  {func() { ones(torch.Int64, 3).Matmul(ones(torch.Float32, 3)) }, "aten::matmul", "[3] Long, [3]", "expected both vectors to have same dtype"},
		"dtype of weights":    {func() { x().Linear(ones(torch.Float64, 3, 3), torch.Tensor{}) }, "aten::linear", "[2,3], [3,3] Double, none", "ouble"}, // 1.13 writes Double, later ones double
		"dtype of a slice":    {func() { torch.ToSlice[int64](x()) }, "to_slice", "[2,3]", "the tensor is float32, but the slice int64"},
		"dtype unknown":       {func() { x().To(torch.DType(-3)) }, "aten::to.dtype", "[2,3]", "libtorch has no dtype -3"},
		"dtype of bytes":      {func() { torch.FromBytes(make([]byte, 16), torch.DType(10), 2) }, "from_bytes", "[2]", "FromBytes does not know dtype 10"},
		"length of bytes":     {func() { torch.FromBytes(make([]byte, 16), torch.Float32, 2) }, "from_bytes", "[2]", "16 bytes given, but float32 of this shape needs 8"},
		"device":              {func() { x().Add(x().ToDevice(meta)) }, "aten::add.Tensor", "[2,3], [2,3] meta", "xpected all tensors to be on the same device"},
		"operator":            {func() { torch.Call("aten::frobnicate", x()) }, "aten::frobnicate", "[2,3]", "has no such operator"},
		"operator without ::": {func() { torch.Call("relu", x()) }, "relu", "[2,3]", "has no such operator"},
		"overload":            {func() { torch.Call("aten::add", x(), x()) }, "aten::add", "[2,3], [2,3]", "has no such operator; it has aten::add."},
		"too few arguments":   {func() { torch.Call("aten::add.Tensor", x()) }, "aten::add.Tensor", "[2,3]", `argument "other" is missing`},
		"too many arguments":  {func() { torch.Call("aten::neg", x(), 1) }, "aten::neg", "[2,3]", "too many arguments: it takes 1"},
		"unknown name":        {func() { torch.Call("aten::neg", x(), torch.Named{Name: "beta", Value: 1}) }, "aten::neg", "[2,3]", `no further argument is called "beta"`},
		"a name twice": {func() {
			torch.Call("aten::add.Tensor", x(), x(), torch.Named{Name: "alpha", Value: 1}, torch.Named{Name: "alpha", Value: 2})
		}, "aten::add.Tensor", "[2,3], [2,3]", `argument "alpha" is given twice`},
		"position after name":  {func() { torch.Call("aten::add.Tensor", x(), torch.Named{Name: "other", Value: x()}, 1) }, "aten::add.Tensor", "[2,3], [2,3]", "a positional argument follows a named one"},
		"Go type":              {func() { torch.Call("aten::add.Tensor", x(), float32(1)) }, "aten::add.Tensor", "[2,3]", "no operator takes a Go value of type float32"},
		"kind of argument":     {func() { torch.Call("aten::transpose.int", x(), 0, 1.5) }, "aten::transpose.int", "[2,3]", `argument "dim1" cannot be a float: its type is int`},
		"string for a tensor":  {func() { torch.Call("aten::neg", "minus") }, "aten::neg", "", `argument "self" cannot be a string: its type is Tensor`},
		"nil for a tensor":     {func() { torch.Call("aten::add.Tensor", x(), nil) }, "aten::add.Tensor", "[2,3]", `argument "other" cannot be nil: its type is Tensor`},
		"nil for a list":       {func() { torch.Call("aten::reshape", x(), nil) }, "aten::reshape", "[2,3]", `argument "shape" cannot be nil`},
		"no tensor":            {func() { x().Add(torch.Tensor{}) }, "aten::add.Tensor", "[2,3], none", `argument "other" cannot be the zero Tensor`},
		"no tensor in a list":  {func() { torch.Cat([]torch.Tensor{x(), {}}, 0) }, "aten::cat", "[2,3], none", "no tensor (the zero Tensor) where one is required"},
		"no tensor at all":     {func() { torch.Tensor{}.Shape() }, "shape", "none", "no tensor (the zero Tensor)"},
		"gradient of many":     {func() { a := x().Leaf(); torch.Grad(a, a, false) }, "autograd::grad", "[2,3] by [2,3]", "grad can be implicitly created only for scalar outputs"},
		"gradient of constant": {func() { a := x().Leaf(); torch.Grad(x().Sum(), a, false) }, "autograd::grad", "[] by [2,3]", "does not require grad"},
		"graph used twice":     {func() { a := x().Leaf(); s := a.Square().Sum(); torch.Grad(s, a, false); torch.Grad(s, a, false) }, "autograd::grad", "[] by [2,3]", "backward through the graph a second time"},
		"leaf in place":        {func() { x().Leaf().MulInPlace(2) }, "aten::mul_.Scalar", "[2,3]", "a leaf Variable that requires grad is being used in an in-place operation"},
		"integers as leaf":     {func() { ones(torch.Int64, 2).Leaf() }, "detach", "[2] Long", "floating point"},
		"no such result":       {func() { torch.Call("aten::neg", x()).Tensor(1) }, "values", "", "no result 1: there are 1"},
		"result before first":  {func() { torch.Call("aten::neg", x()).Tensor(-1) }, "values", "", "no result -1: there are 1"},
		"kind of result":       {func() { torch.Call("aten::size.int", x(), 0).Tensor(0) }, "values", "", "result 0 is a int64, not a torch.Tensor"},
		"result is no list":    {func() { torch.Call("aten::neg", x()).Tensors(0) }, "values", "", "result 0 is a torch.Tensor, not a torch.Results"},
		"element of a list":    {func() { torch.Results{torch.Results{int64(1)}}.Tensors(0) }, "values", "", "result 0 is a int64, not a torch.Tensor"},
		"no RNG":               {func() { x().NormalInPlace(1, nil) }, "aten::normal_", "[2,3]", "the *RNG is nil"},
		"rows of a scalar":     {func() { torch.NewRNG(1, 0, "").Share(0, 2).NormalLike(torch.Scalar(1)) }, "share", "[]", "has no rows"},
		"singular matrix":      {func() { torch.Call("aten::linalg_cholesky", ones(torch.Float32, 2, 2).Neg()) }, "aten::linalg_cholesky", "[2,2]", "not positive-definite"},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusal(t, c.f)
			assert.Equal(t, c.op, e.Op)
			assert.Equal(t, c.shapes, e.Shapes)
			assert.Contains(t, e.Msg, c.text)
			want := "torch: " + c.op + "(" + c.shapes + "): " + e.Msg
			assert.Equal(t, strings.Replace(want, "(): ", ": ", 1), e.Error())
			assert.NotContains(t, e.Error(), "\n")
			assert.NotContains(t, e.Msg, "INTERNAL ASSERT")
			assert.Less(t, len(e.Msg), 600, "libtorch's reason, not its advice")
		})
	}
}

func TestAGPUThatIsNotThereIsNamedWithTheReason(t *testing.T) {
	if torch.HasCUDA() {
		t.Skip("there is one")
	}
	e := refusal(t, func() { torch.Ones([]int{2}, torch.Float32).ToDevice(torch.Device{Type: torch.CUDA}) })
	assert.Equal(t, "torch: aten::to.device([2]): to cuda:0: "+torch.WhyNoCUDA(), e.Error())
}

// outside is the *Error that f panics with on this goroutine, without a scope of its own.
func outside(t *testing.T, f func()) (e *torch.Error) {
	t.Helper()
	defer func() {
		var ok bool
		e, ok = recover().(*torch.Error)
		require.True(t, ok)
	}()
	f()
	return nil
}

const tooLate = "a tensor was used after its scope closed, or after Close"

func TestNothingWorksWithoutAScope(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.Ones([]int{2}, torch.Float32)
		for name, f := range map[string]func(){
			"operator":   func() { x.Add(x) },
			"call":       func() { torch.Call("aten::neg", x) },
			"slice":      func() { torch.FromSlice([]float32{1}) },
			"randomness": func() { torch.NewRNG(1, 0, "").Normal(2) },
			"alias":      func() { x.Detach() },
			"gradient":   func() { torch.Grad(x, x, false) },
		} {
			done := make(chan *torch.Error)
			go func() { done <- outside(t, f) }() // another goroutine: the scope here is not its own
			e := <-done
			assert.Contains(t, e.Error(), "no open scope on this goroutine: call it inside torch.Do", name)
			assert.NotEmpty(t, e.Op, name)
		}
	})
}

// uses are all ways to use a tensor.
var uses = map[string]func(x torch.Tensor){
	"aten::neg":                  func(x torch.Tensor) { x.Neg() },
	"aten::add.Tensor":           func(x torch.Tensor) { torch.Ones([]int{2}, torch.Float32).Add(x) },
	"aten::cat":                  func(x torch.Tensor) { torch.Cat([]torch.Tensor{x, x}, 0) },
	"aten::mul_.Scalar":          func(x torch.Tensor) { x.MulInPlace(2) },
	"shape":                      func(x torch.Tensor) { x.Shape() },
	"dtype":                      func(x torch.Tensor) { x.DType() },
	"to_slice":                   func(x torch.Tensor) { torch.ToSlice[float32](x) },
	"bytes":                      func(x torch.Tensor) { x.Bytes() },
	"keep":                       func(x torch.Tensor) { x.Keep() },
	"detach":                     func(x torch.Tensor) { x.Leaf() },
	"autograd::grad":             func(x torch.Tensor) { torch.Grad(x, x, false) },
	"autograd::backward":         func(x torch.Tensor) { x.Backward() },
	"grad":                       func(x torch.Tensor) { x.Grad() },
	"zero_grad":                  func(x torch.Tensor) { x.ZeroGrad() },
	"aten::normal_":              func(x torch.Tensor) { x.NormalInPlace(1, torch.NewRNG(1, 0, "")) },
	"aten::_foreach_mul_.Scalar": func(x torch.Tensor) { torch.ForeachMul([]torch.Tensor{x}, 2) },
}

func TestATensorUsedTooLateIsAnError(t *testing.T) {
	ones := func() torch.Tensor { return torch.Ones([]int{2}, torch.Float32) }
	for name, dead := range map[string]func() torch.Tensor{
		"its scope ended": func() (x torch.Tensor) {
			require.NoError(t, torch.Do(func() error { x = ones(); return nil }))
			return x
		},
		"an inner scope ended": func() (x torch.Tensor) {
			torch.Tidy(func() torch.Tensor { x = ones(); return torch.Tensor{} })
			return x
		},
		"another goroutine's scope ended": func() torch.Tensor {
			made := make(chan torch.Tensor)
			go func() {
				var x torch.Tensor
				assert.NoError(t, torch.Do(func() error { x = ones(); return nil }))
				made <- x
			}()
			return <-made
		},
		"closed": func() torch.Tensor {
			x := ones()
			x.Close()
			x.Close() // twice is harmless
			return x
		},
		"kept and closed": func() torch.Tensor {
			x := ones().Keep()
			x.Close()
			x.Close()
			return x
		},
		"its slot is another's": func() torch.Tensor {
			x := ones()
			x.Close()
			for range 100 {
				ones()
			}
			return x
		},
	} {
		for op, use := range uses {
			e := refusal(t, func() { use(dead()) })
			assert.Equal(t, op, e.Op, name)
			assert.Contains(t, e.Msg, tooLate, "%s: %s", name, op)
			assert.Contains(t, e.Shapes, "closed", "%s: %s", name, op)
		}
		torchtest.Scope(t, func() { assert.True(t, strings.Contains(dead().String(), tooLate), "printed") })
	}
}

func TestATensorHasOneKeeper(t *testing.T) {
	var kept torch.Tensor
	torchtest.Scope(t, func() {
		kept = torch.Ones([]int{2}, torch.Float32).Keep()
		defer kept.Close()
		e := refusal(t, func() { kept.Keep() })
		assert.Equal(t, "keep", e.Op)
		assert.Equal(t, "[2]", e.Shapes)
		assert.Contains(t, e.Msg, "it is kept already")
		alias := kept.Detach().Keep() // the remedy that it names
		kept.Close()
		assert.Equal(t, 2.0, alias.Sum().Item(), "the alias lives on")
		alias.Close()
	})
}

func TestClosingAKeptTensorDoesNotBreakItsGraph(t *testing.T) {
	torchtest.Scope(t, func() {
		w := torch.FromSlice([]float32{1, 2}).Leaf().Keep()
		leaf := w.Detach().Leaf()
		loss := leaf.Square().Mul(w).Sum() // the graph needs w's values
		w.Close()
		assert.Equal(t, []float32{2, 8}, torch.ToSlice[float32](torch.Grad(loss, leaf, false)))
	})
}
