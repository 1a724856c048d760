package torch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"image"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/liebm/liebm/torch"
)

// inputs are what the calls of the tables work on. They belong to the scope outside.
type inputs struct {
	x, y, mask          torch.Tensor // [2,3]
	square, vector      torch.Tensor // [3,3], [3]
	index               torch.Tensor // int64 [2]
	pixels              torch.Tensor // uint8 [3,4,4]
	image, kernel, grid torch.Tensor // [2,3,4,4], [3,3,3,3], [2,4,4,2]
	leaf, loss, one     torch.Tensor // [3], requires grad; a scalar of it; a scalar
	rng                 *torch.RNG
}

func newInputs() inputs {
	r := torch.NewRNG(1, 0, "counts")
	leaf := r.Normal(3).Leaf()
	return inputs{r.Normal(2, 3), r.Normal(2, 3), r.Normal(2, 3).LessScalar(0), r.Normal(3, 3), r.Normal(3), torch.FromSlice([]int64{1, 0}),
		torch.Zeros([]int{3, 4, 4}, torch.Uint8), r.Normal(2, 3, 4, 4), r.Normal(3, 3, 3, 3), r.Uniform(-1, 1, 2, 4, 4, 2),
		leaf, leaf.Mul(leaf).Sum(), torch.Scalar(1), r}
}

func (in inputs) all() []torch.Tensor {
	return []torch.Tensor{in.x, in.y, in.mask, in.square, in.vector, in.index, in.pixels, in.image, in.kernel, in.grid, in.leaf, in.loss, in.one}
}

// must is what a job returned, without the error that it must not have.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func file(name string) []byte { return must(os.ReadFile("testdata/" + name)) }

// calls has a call of every exported function, and method of other types than Tensor, that takes or
// returns tensors. It returns what the function did.
var calls = map[string]func(in inputs) any{
	"Arange":           func(inputs) any { return torch.Arange(3) },
	"Call":             func(in inputs) any { return torch.Call("aten::max.dim", in.x, 1) },
	"Cat":              func(in inputs) any { return torch.Cat([]torch.Tensor{in.x, in.y}, 0) },
	"Empty":            func(inputs) any { return torch.Empty([]int{2}, torch.Float32) },
	"Eye":              func(inputs) any { return torch.Eye(2, torch.Float32) },
	"ForeachAdd":       func(in inputs) any { torch.ForeachAdd([]torch.Tensor{in.x}, []torch.Tensor{in.y}, 1); return nil },
	"ForeachAddScalar": func(in inputs) any { torch.ForeachAddScalar([]torch.Tensor{in.x}, 1); return nil },
	"ForeachAddcdiv": func(in inputs) any {
		torch.ForeachAddcdiv([]torch.Tensor{in.x}, []torch.Tensor{in.y}, []torch.Tensor{in.y}, 1)
		return nil
	},
	"ForeachAddcmul": func(in inputs) any {
		torch.ForeachAddcmul([]torch.Tensor{in.x}, []torch.Tensor{in.y}, []torch.Tensor{in.y}, 1)
		return nil
	},
	"ForeachDiv":  func(in inputs) any { return torch.ForeachDiv([]torch.Tensor{in.x}, []torch.Tensor{in.y}) },
	"ForeachMul":  func(in inputs) any { torch.ForeachMul([]torch.Tensor{in.x}, 2); return nil },
	"ForeachNorm": func(in inputs) any { return torch.ForeachNorm([]torch.Tensor{in.x, in.y}) },
	"ForeachSqrt": func(in inputs) any { return torch.ForeachSqrt([]torch.Tensor{in.x, in.y}) },
	"FromBytes":   func(inputs) any { return torch.FromBytes([]byte{1, 2}, torch.Uint8, 2) },
	"FromImage":   func(inputs) any { return torch.FromImage(image.NewGray(image.Rect(0, 0, 2, 2))) },
	"FromMat":     func(inputs) any { return torch.FromMat(mat.NewDense(2, 2, nil)) },
	"FromPointer": func(in inputs) any {
		p := in.x.NewPointer()
		defer torch.FreePointer(p)
		return torch.FromPointer(p)
	},
	"FromSlice": func(inputs) any { return torch.FromSlice([]float32{1, 2}) },
	"FrozenConv2d.Forward": func(in inputs) any {
		return torch.Tidy(func() torch.Tensor {
			return torch.NewFrozenConv2d(in.kernel, in.vector, torch.Float32, torch.Conv2dOptions{Padding: 1, ReLU: true}).Forward(in.image)
		})
	},
	"FrozenPooledConv2d.Forward": func(in inputs) any {
		return torch.Tidy(func() torch.Tensor {
			return torch.NewFrozenPooledConv2d(in.kernel, in.vector, torch.Float32, torch.PooledConv2dOptions{ReLU: true}).Forward(in.image, torch.Tensor{})
		})
	},
	"Full":  func(inputs) any { return torch.Full([]int{2}, 1, torch.Float32) },
	"Grad":  func(in inputs) any { return torch.Grad(in.loss, in.leaf, false) },
	"Grads": func(in inputs) any { return torch.Grads(in.loss, []torch.Tensor{in.leaf}, torch.GradOptions{}) },
	"Ones":  func(inputs) any { return torch.Ones([]int{2}, torch.Float32) },
	"NewFrozenConv2d": func(in inputs) any { // holds tensors of its own, out of sight
		return torch.Tidy(func() torch.Tensor {
			torch.NewFrozenConv2d(in.kernel, in.vector, torch.Float64, torch.Conv2dOptions{Padding: 1})
			return torch.Tensor{}
		})
	},
	"NewFrozenPooledConv2d": func(in inputs) any { // as above
		return torch.Tidy(func() torch.Tensor {
			torch.NewFrozenPooledConv2d(in.kernel, in.vector, torch.Float32, torch.PooledConv2dOptions{ReLU: true})
			return torch.Tensor{}
		})
	},

	"ParseCheckpoint": func(inputs) any {
		entries, _, err := torch.ParseCheckpoint("checkpoint.zip.pth", file("checkpoint.zip.pth"))
		return must(entries, err)
	},
	"ParseNPY": func(inputs) any { return must(torch.ParseNPY("vector.npy", file("vector.npy"))) },
	"ParseNPZ": func(inputs) any { return must(torch.ParseNPZ("npy.npz", file("npy.npz"))) },
	"ParseSafetensors": func(inputs) any {
		tensors, _, err := torch.ParseSafetensors("official.safetensors", file("official.safetensors"))
		return must(tensors, err)
	},
	"ReadCheckpoint": func(inputs) any {
		entries, _, err := torch.ReadCheckpoint("testdata/checkpoint.zip.pth")
		return must(entries, err)
	},
	"ReadNPY": func(inputs) any { return must(torch.ReadNPY("testdata/vector.npy")) },
	"ReadNPZ": func(inputs) any { return must(torch.ReadNPZ("testdata/npy.npz")) },
	"ReadSafetensors": func(inputs) any {
		tensors, _, err := torch.ReadSafetensors("testdata/official.safetensors")
		return must(tensors, err)
	},
	"ReadStateDict": func(inputs) any { return must(torch.ReadStateDict("testdata/checkpoint.zip.pth")) },
	"Scalar":        func(inputs) any { return torch.Scalar(1) },
	"Stack":         func(in inputs) any { return torch.Stack([]torch.Tensor{in.x, in.y}, 0) },
	"Tidy":          func(in inputs) any { return torch.Tidy(func() torch.Tensor { return in.x.Add(in.y).Neg() }) },
	"ToSlice":       func(in inputs) any { torch.ToSlice[float32](in.x); return nil },
	"Where":         func(in inputs) any { return torch.Where(in.mask, in.x, in.y) },
	"WriteNPY":      func(in inputs) any { return torch.WriteNPY(io.Discard, in.x) },
	"WriteNPZ":      func(in inputs) any { return torch.WriteNPZ(io.Discard, []torch.Entry{{Name: "x", Tensor: in.x}}) },
	"WriteNPZCompressed": func(in inputs) any {
		return torch.WriteNPZCompressed(io.Discard, []torch.Entry{{Name: "x", Tensor: in.x}})
	},
	"WriteSafetensors": func(in inputs) any {
		return torch.WriteSafetensors(io.Discard, []torch.Entry{{Name: "x", Tensor: in.x}}, nil)
	},
	"Zeros": func(inputs) any { return torch.Zeros([]int{2}, torch.Float32) },

	"RNG.Bernoulli":   func(in inputs) any { return in.rng.Bernoulli(0.5, 2) },
	"RNG.Normal":      func(in inputs) any { return in.rng.Normal(2) },
	"RNG.NormalLike":  func(in inputs) any { return in.rng.NormalLike(in.x) },
	"RNG.Perm":        func(in inputs) any { return in.rng.Perm(3) },
	"RNG.Uniform":     func(in inputs) any { return in.rng.Uniform(0, 1, 2) },
	"RNG.UniformLike": func(in inputs) any { return in.rng.UniformLike(in.x, 0, 1) },

	"Group.AllGather": func(in inputs) any { return alone.AllGather(in.x) },
	"Group.AllReduce": func(in inputs) any { alone.AllReduce(in.x, torch.ReduceSum); return nil },
	"Group.Broadcast": func(in inputs) any { alone.Broadcast(in.x, 0); return nil },
	"Group.Grads":     func(in inputs) any { return alone.Grads(in.loss, []torch.Tensor{in.leaf}) },
	"Group.Sum":       func(in inputs) any { return alone.Sum(in.x) },

	"Results.Tensor":  func(in inputs) any { return torch.Call("aten::neg", in.x).Tensor(0) },
	"Results.Tensors": func(in inputs) any { return torch.Call("aten::unbind.int", in.x).Tensors(0) },
}

var alone *torch.Group

// methods has the receiver and the arguments of a call of every exported method of Tensor.
var methods = map[string]func(in inputs) []any{
	"Abs": unary, "Add": binary, "AddInPlace": func(in inputs) []any { return []any{in.x, in.y, 1.0} },
	"AddScalar": scaled, "AddScaled": func(in inputs) []any { return []any{in.x, in.y, 2.0} },
	"ArgMax":      func(in inputs) []any { return []any{in.x, 1} },
	"AssertShape": func(in inputs) []any { return []any{in.x, 2, 3} },
	"AvgPool2d":   func(in inputs) []any { return []any{in.image, 2} },
	"Backward":    func(in inputs) []any { return []any{in.loss} },
	"BatchNorm": func(in inputs) []any {
		return []any{in.image, in.vector, in.vector, torch.Tensor{}, torch.Tensor{}, true, 0.1, 1e-5}
	},
	"Bytes": unary, "Chunk": func(in inputs) []any { return []any{in.x, 2, 0} },
	"Clamp": func(in inputs) []any { return []any{in.x, 0.0, 1.0} },
	"Clone": unary, "CloneAs": func(in inputs) []any { return []any{in.image, torch.ChannelsLast} }, "Close": func(inputs) []any { return []any{torch.Tensor{}} },
	"Contiguous": func(in inputs) []any { return []any{in.image, torch.ChannelsLast} },
	"Conv2d":     func(in inputs) []any { return []any{in.image, in.kernel, in.vector, torch.Conv2dOptions{Padding: 1}} },
	"PooledConv2d": func(in inputs) []any {
		return []any{in.image, in.kernel, in.vector, torch.PooledConv2dOptions{ReLU: true}}
	},
	"CopyFrom": binary, "Cos": unary, "CosineSimilarity": binary,
	"CrossEntropy": func(in inputs) []any { return []any{in.x, in.index} },
	"DType":        unary, "Defined": unary, "Detach": unary, "Device": unary, "Diagonal": func(in inputs) []any { return []any{in.square} }, "Dim": unary,
	"Div": binary, "DivScalar": scaled, "EmptyLike": unary, "Equal": binary, "EqualTo": binary, "Exp": unary,
	"Expand":  func(in inputs) []any { return []any{in.vector, 2, 3} },
	"Flatten": func(in inputs) []any { return []any{in.x, 0} }, "Flip": func(in inputs) []any { return []any{in.x, 0} },
	"Float64s": unary, "Floor": unary, "Gather": func(in inputs) []any { return []any{in.vector, 0, in.index} },
	"Grad": unary, "GreaterEqual": binary, "GridSampleBicubic": func(in inputs) []any { return []any{in.image, in.grid} },
	"IndexSelect":    func(in inputs) []any { return []any{in.x, 0, in.index} },
	"IsChannelsLast": unary, "Item": func(in inputs) []any { return []any{in.one} }, "Keep": func(in inputs) []any { return []any{in.one} },
	"Leaf": unary, "LeakyReLU": scaled, "LessScalar": scaled, "Linear": func(in inputs) []any { return []any{in.x, in.square, in.vector} },
	"Log": unary, "LogSoftmax": func(in inputs) []any { return []any{in.x, 1} }, "Mat": func(in inputs) []any { return []any{in.x} },
	"Matmul": func(in inputs) []any { return []any{in.x, in.square} },
	"Max":    unary, "MaxDim": along, "MaxPool2d": func(in inputs) []any { return []any{in.image, 2, 2, 0} }, "Maximum": binary,
	"Mean": unary, "MeanDim": along, "MeanKeepDim": along, "Min": unary, "MinDim": along, "Minimum": binary,
	"MovingAverage2d": func(in inputs) []any { return []any{in.image, 3, 1} }, "Mul": binary, "MulInPlace": scaled, "MulScalar": scaled,
	"Narrow": func(in inputs) []any { return []any{in.x, 0, 0, 1} }, "Neg": unary, "NewPointer": func(inputs) []any { return []any{torch.Tensor{}} },
	"Norm": along, "NormalInPlace": func(in inputs) []any { return []any{in.x, 1.0, in.rng} }, "Normalize": unary, "Numel": unary,
	"OnesLike": unary, "Pad": func(in inputs) []any { return []any{in.x, 0.0, 1, 1} }, "Permute": func(in inputs) []any { return []any{in.x, 1, 0} },
	"LerpInPlace": func(in inputs) []any { return []any{in.x, in.x, 0.5} }, "Pow": scaled, "ReLU": unary, "ReLUInPlace": unary, "Remainder": scaled, "RequiresGrad": unary, "Reshape": func(in inputs) []any { return []any{in.x, 3, 2} },
	"Rsqrt": unary, "Select": func(in inputs) []any { return []any{in.x, 0, 1} }, "Shape": unary, "Size": func(in inputs) []any { return []any{in.x, 0} },
	"Split": func(in inputs) []any { return []any{in.x, []int{1, 1}, 0} }, "Sqrt": unary, "Square": unary, "Squeeze": func(in inputs) []any { return []any{in.x, 0} },
	"String": unary, "Sub": binary, "Sum": unary, "SumDim": along, "SumKeepDim": along, "T": unary, "Tanh": unary, "To": func(in inputs) []any { return []any{in.x, torch.Float64} },
	"ToDevice": func(in inputs) []any { return []any{in.x, torch.Device{}} }, "ToImage": func(in inputs) []any { return []any{in.pixels} },
	"Transpose": func(in inputs) []any { return []any{in.x, 0, 1} }, "UniformInPlace": func(in inputs) []any { return []any{in.x, 0.0, 1.0, in.rng} },
	"Unsqueeze": func(in inputs) []any { return []any{in.x, 0} }, "UpsampleBilinear2d": func(in inputs) []any { return []any{in.image} },
	"ZeroGrad": unary, "ZeroInPlace": unary, "ZerosLike": unary,
}

func unary(in inputs) []any  { return []any{in.x} }
func binary(in inputs) []any { return []any{in.x, in.y} }
func scaled(in inputs) []any { return []any{in.x, 0.5} }
func along(in inputs) []any  { return []any{in.x, 1} }

// call calls a method of Tensor.
func call(name string, args []any) any {
	values := make([]reflect.Value, len(args))
	for i, a := range args {
		values[i] = reflect.ValueOf(a)
	}
	results := values[0].MethodByName(name).Call(values[1:])
	if len(results) == 0 {
		return nil
	}
	return results[0].Interface()
}

// tensorsIn are the tensors of what a function returned.
func tensorsIn(result any) (out []torch.Tensor) {
	switch r := result.(type) {
	case error:
		panic(r)
	case torch.Tensor:
		return []torch.Tensor{r}
	case []torch.Tensor:
		return r
	case torch.Results:
		for _, v := range r {
			out = append(out, tensorsIn(v)...)
		}
	case []torch.Entry:
		for _, e := range r {
			out = append(out, e.Tensor)
		}
	case map[string]torch.Tensor:
		return slices.Collect(maps.Values(r))
	}
	return out
}

// created is how many of these tensors are not among the inputs.
func created(of []torch.Tensor, in inputs) (n int) {
	for _, t := range of {
		if t.Defined() && !slices.Contains(in.all(), t) {
			n++
		}
	}
	return n
}

func TestACallCreatesItsResultsAndNothingElse(t *testing.T) {
	table := maps.Clone(calls)
	for name, args := range methods {
		table["Tensor."+name] = func(in inputs) any { return call(name, args(in)) }
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		t.Run(name, func(t *testing.T) {
			base := torch.Live()
			require.NoError(t, torch.Do(func() error {
				in := newInputs()
				defer in.one.Close() // Keep takes it out of the scope
				before := torch.Live()
				results := tensorsIn(table[name](in))
				made := created(results, in)
				assert.Equal(t, before+made, torch.Live(), "created: %d results", made)
				for _, r := range results {
					if created([]torch.Tensor{r}, in) > 0 {
						r.Close()
					}
				}
				assert.Equal(t, before, torch.Live(), "freed")
				return nil
			}))
			assert.Equal(t, base, torch.Live(), "freed with its scope")

			require.NoError(t, torch.Do(func() error {
				in := newInputs()
				defer in.one.Close()
				before, moved := torch.Live(), 0
				result := torch.Tidy(func() torch.Tensor {
					results := tensorsIn(table[name](in))
					for i, r := range results { // what a job returns is kept
						if i > 0 && created([]torch.Tensor{r}, in) > 0 {
							r.Close()
						}
					}
					if len(results) == 0 {
						return torch.Tensor{}
					}
					moved = created(results[:1], in)
					return results[0]
				})
				assert.Equal(t, before+moved, torch.Live(), "moved")
				if moved > 0 {
					result.Close()
				}
				return nil
			}))
			assert.Equal(t, base, torch.Live(), "freed after Tidy")
		})
	}
}

// TestEveryOperatorIsCounted fails where a new operator has no line in the tables.
func TestEveryOperatorIsCounted(t *testing.T) {
	tensor := reflect.TypeFor[torch.Tensor]()
	for i := range tensor.NumMethod() {
		name := tensor.Method(i).Name
		assert.True(t, name == "Pin" || methods[name] != nil, "no call of Tensor.%s", name) // Pin needs a GPU
	}
	takesTensors := regexp.MustCompile(`\b(Tensor|Entry|Results)\b`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				name = strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*") + "." + name
			}
			if !strings.HasPrefix(name, "Tensor.") && takesTensors.MatchString(types.ExprString(fn.Type)) {
				assert.True(t, calls[name] != nil, "no call of %s", name)
			}
		}
	}
}
