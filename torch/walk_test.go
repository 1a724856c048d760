package torch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A value is an argument or a result in testdata/ops.json.
type value struct {
	Name    string   `json:"name"` // of an argument after the schema's star
	Tensor  *[]int   `json:"tensor"`
	DType   string   `json:"dtype"`
	K       int      `json:"k"`
	Values  []any    `json:"values"`
	Tensors []value  `json:"tensors"`
	Int     *int64   `json:"int"`
	Ints    *[]int   `json:"ints"`
	Float   any      `json:"float"`
	Bool    *bool    `json:"bool"`
	List    *[]value `json:"list"`
}

type opCase struct {
	Op      string
	Args    []value
	Results []value
}

// make is the argument that ops.py made from the same recipe.
func (v value) make(requiresGrad bool) any {
	if v.Name != "" {
		name := v.Name
		v.Name = ""
		return Named{name, v.make(requiresGrad)}
	}
	switch {
	case v.Tensor != nil:
		return filled(*v.Tensor, v.DType, v.K, requiresGrad)
	case v.Tensors != nil:
		var list []Tensor
		for _, t := range v.Tensors {
			list = append(list, t.make(requiresGrad).(Tensor))
		}
		return list
	case v.Int != nil:
		return *v.Int
	case v.Ints != nil:
		return *v.Ints
	case v.Bool != nil:
		return *v.Bool
	}
	return v.Float
}

func filled(shape []int, dtype string, k int, requiresGrad bool) Tensor {
	n := numel(shape)
	switch dtype {
	case "int64":
		data := make([]int64, n)
		for i := range data {
			data[i] = int64((i + k) % 2)
		}
		return FromSlice(data, shape...)
	case "bool":
		data := make([]bool, n)
		for i := range data {
			data[i] = i%2 == 0
		}
		return FromSlice(data, shape...)
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(float64((7*i+3*k)%11+1) / 12)
	}
	t := FromSlice(data, shape...)
	if requiresGrad {
		return t.Leaf()
	}
	return t
}

func asFloat(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case string:
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	panic(fmt.Sprintf("%T in ops.json", v))
}

// differs says how a result differs from the golden one, or nothing.
func (v value) differs(got any) string {
	switch got := got.(type) {
	case Tensor:
		if !got.Defined() && v.Tensor == nil {
			return ""
		}
		if v.Tensor == nil || !got.Defined() || !slices.Equal(*v.Tensor, got.Shape()) || v.DType != got.DType().String() {
			return "a tensor " + got.String()
		}
		for i, g := range got.Float64s() {
			want := asFloat(v.Values[i])
			// float32 kernels differ between versions and instruction sets by some ulps of the inputs.
			if math.IsNaN(want) && math.IsNaN(g) || want == g || math.Abs(g-want) <= 2e-5*max(1, math.Abs(want)) {
				continue
			}
			return fmt.Sprintf("element %d is %g, want %g", i, g, want)
		}
		return ""
	case Values:
		if v.List == nil || len(*v.List) != len(got) {
			return fmt.Sprintf("a list of %d", len(got))
		}
		for i := range got {
			if d := (*v.List)[i].differs(got[i]); d != "" {
				return d
			}
		}
		return ""
	case int64:
		if v.Int != nil && *v.Int == got {
			return ""
		}
	case bool:
		if v.Bool != nil && *v.Bool == got {
			return ""
		}
	case float64:
		if v.Float != nil && math.Abs(asFloat(v.Float)-got) < 1e-6 {
			return ""
		}
	case nil:
		return ""
	}
	return fmt.Sprintf("%T %v", got, got)
}

func readCases(t *testing.T) []opCase {
	text, err := os.ReadFile("testdata/ops.json") // written by testdata/ops.py
	require.NoError(t, err)
	var cases []opCase
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n"))[1:] {
		var c opCase
		require.NoError(t, json.Unmarshal(line, &c))
		cases = append(cases, c)
	}
	return cases
}

// TestOperatorsAgreeWithPyTorch calls every operator that ops.py could call, with and without gradients
// being recorded, and compares all results.
func TestOperatorsAgreeWithPyTorch(t *testing.T) {
	have := map[string]bool{}
	for _, schema := range Operators() {
		have[schema[:strings.IndexByte(schema, '(')]] = true
	}
	compared, differ := 0, 0
	for _, c := range readCases(t) {
		if !have[c.Op] { // TorchScript's own, or gone from this version
			continue
		}
		before := Live()
		compared++
		for _, requiresGrad := range []bool{false, true} {
			var diff string
			err := Do(func() error {
				args := make([]any, len(c.Args))
				for i, a := range c.Args {
					args[i] = a.make(requiresGrad)
				}
				got := Call(c.Op, args...)
				for i, want := range c.Results {
					if d := want.differs(got[i]); d != "" && diff == "" {
						diff = d
					}
				}
				return nil
			})
			if requiresGrad && err != nil {
				continue // in place on a leaf, or no gradient: PyTorch refuses too
			}
			if err != nil || diff != "" {
				differ++
				t.Logf("%s: %s %v", c.Op, diff, err)
				break
			}
		}
		require.Equal(t, before, Live(), "%s left tensors behind", c.Op)
	}
	t.Logf("libtorch %s: %d operators compared, %d differ", Version(), compared, differ)
	assert.Greater(t, compared, 800)
	if strings.HasPrefix(Version(), "1.13") {
		assert.Zero(t, differ, "the goldens are this version's")
	}
	assert.LessOrEqual(t, differ, compared/20, "versions change some operators, not many")
}

// TestEveryOperatorCanBeCalledOrRefuses walks all operators of the loaded libtorch in a process of its
// own, since some crash libtorch itself on arguments that it should refuse; the walk goes on after them.
func TestEveryOperatorCanBeCalledOrRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	schemas := atenOperators()
	ran, refused, unknown := 0, 0, map[string]int{}
	var crashed []string
	for from := 0; from < len(schemas); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		child := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestWalkFrom$", "-test.v")
		child.Env = append(os.Environ(), "LIEBM_WALK_FROM="+strconv.Itoa(from), "OMP_NUM_THREADS=1")
		child.Dir = t.TempDir() // aten::from_file and its like
		out, err := child.CombinedOutput()
		cancel()
		last := -1
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			var i int
			var what string
			if n, _ := fmt.Sscanf(lines.Text(), "walk %d %s", &i, &what); n != 2 {
				continue
			}
			last = i
			switch what {
			case "ran":
				ran++
			case "refused":
				refused++
			case "live":
				t.Errorf("%s left tensors behind", schemas[i])
			case "foreign":
				t.Errorf("%s: %s", schemas[i], lines.Text())
			case "called":
			default:
				unknown[what]++
			}
		}
		if err == nil {
			break
		}
		require.GreaterOrEqual(t, last, from, "the walk did not start:\n%s", out)
		crashed = append(crashed, schemas[last])
		from = last + 1
	}
	t.Logf("libtorch %s: of %d operators %d ran, %d refused what they were given, %d crashed libtorch; of types that have no Go form: %v",
		Version(), len(schemas), ran, refused, len(crashed), unknown)
	for _, c := range crashed {
		t.Logf("crashed: %s", c)
	}
	assert.Greater(t, ran, len(schemas)/3)
	assert.Less(t, len(crashed), len(schemas)/50)
	for kind := range unknown {
		assert.Contains(t, []string{"Storage", "Stream", "Class"}, kind)
	}
}

// TestWalkFrom is the walk's child; by itself it does nothing.
func TestWalkFrom(t *testing.T) {
	from, err := strconv.Atoi(os.Getenv("LIEBM_WALK_FROM"))
	if err != nil {
		t.Skip("started by TestEveryOperatorCanBeCalledOrRefuses")
	}
	for i, schema := range atenOperators() {
		if i < from {
			continue
		}
		fmt.Printf("walk %d called\n", i)
		fmt.Printf("walk %d %s\n", i, attempt(schema))
	}
}

func atenOperators() []string {
	return slices.DeleteFunc(Operators(), func(s string) bool { return !strings.HasPrefix(s, "aten::") })
}

func attempt(schema string) string {
	s := ParseSchema(schema)
	name, args := s.Name, arguments(s)
	for _, a := range args {
		if a.Kind == "Storage" || a.Kind == "Stream" || strings.Contains(a.Kind, "__torch__") {
			kind, _, _ := strings.Cut(a.Kind, ".")
			return strings.Replace(strings.TrimSuffix(kind, "[]"), "__torch__", "Class", 1)
		}
	}
	before, outcome := Live(), "refused"
	for _, dtype := range []string{"float32", "int64", "bool"} {
		for _, shape := range [][]int{{3, 3}, {3}, {2, 3, 4}, {2, 3, 8, 8}} {
			err := Do(func() error {
				in := make([]any, len(args))
				for i, a := range args {
					if in[i] = a.make(shape, dtype, i); a.byName {
						in[i] = Named{a.Name, in[i]}
					}
				}
				Call(name, in...)
				return nil
			})
			if err == nil {
				outcome = "ran"
			} else if !strings.HasPrefix(err.Error(), "torch: "+name) {
				return "foreign " + err.Error()
			}
			if Live() != before {
				return "live"
			}
			if outcome == "ran" {
				return outcome
			}
		}
	}
	return outcome
}

type argument struct {
	Param
	byName bool // it follows one that was left out
}

// arguments are what an operator cannot be called without.
func arguments(s Schema) (args []argument) {
	left := false
	for _, p := range s.Params {
		if left = left || p.Default; !p.Default {
			args = append(args, argument{p, left})
		}
	}
	return args
}

func (a argument) make(shape []int, dtype string, k int) any {
	kind, _, _ := strings.Cut(a.Kind, "(") // Tensor(a!) is a Tensor
	suffix := strings.TrimLeft(strings.TrimPrefix(a.Kind, kind), "(abcdefgh!)*-> |")
	switch {
	case strings.HasSuffix(a.Kind, "?"):
		return nil
	case strings.HasPrefix(kind, "Tensor") && (strings.Contains(kind, "[") || strings.Contains(suffix, "[")):
		return []Tensor{filled(shape, dtype, k, false), filled(shape, dtype, k+1, false)}
	case kind == "Tensor":
		if a.Name == "index" || a.Name == "indices" || a.Name == "target" {
			dtype = "int64"
		} else if strings.Contains(a.Name, "mask") || a.Name == "condition" {
			dtype = "bool"
		}
		return filled(shape, dtype, k, false)
	}
	base, list, isList := strings.Cut(a.Kind, "[")
	if isList {
		n := len(shape)
		if fixed, err := strconv.Atoi(strings.TrimRight(list, "]")); err == nil {
			n = fixed
		}
		switch base {
		case "int", "SymInt":
			if strings.Contains(a.Name, "size") {
				return shape
			}
			return slices.Repeat([]int{1}, n)
		case "bool":
			return slices.Repeat([]bool{true}, n)
		case "str", "Dimname":
			return slices.Repeat([]string{"x"}, n)
		}
		return slices.Repeat([]float64{.5}, n)
	}
	switch base {
	case "int", "SymInt":
		if strings.Contains(a.Name, "dim") || a.Name == "index" {
			return 0
		}
		return 1
	case "float", "Scalar", "number":
		return .5
	case "bool":
		return true
	case "str", "Dimname":
		return "sum"
	case "ScalarType":
		return Float32
	case "Layout":
		return Strided
	case "MemoryFormat":
		return Contiguous
	case "Device":
		return Device{}
	}
	return nil
}
