//go:build long

package torch

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
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

// TestEveryOperatorCanBeCalledOrRefuses walks all operators of the loaded libtorch in a process of its
// own, since some crash libtorch itself on arguments that it should refuse; the walk goes on after them.
func TestEveryOperatorCanBeCalledOrRefuses(t *testing.T) {
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
