package torch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

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
	case Results:
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
