package torch_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// takes reports whether a Go value of type t can be argument p.
func takes(p torch.Param, t types.Type) bool {
	kind, optional := strings.CutSuffix(p.Kind, "?")
	if b, ok := t.(*types.Basic); ok && b.Kind() == types.UntypedNil {
		return optional
	}
	kind, _, _ = strings.Cut(strings.Replace(kind, "SymInt", "int", 1), "(") // Tensor(a!) is a Tensor
	base, _, list := strings.Cut(kind, "[")
	base = strings.TrimSuffix(base, "?") // Tensor?[]
	of := goKind(t)
	switch {
	case base == "Tensor" && strings.Contains(p.Kind, "["):
		return of == "[]Tensor"
	case list:
		one := of == "int" && base == "int" // a single int stands for all
		return one || of == "[]"+goListKind[base] || base == "int" && of == "[]int64"
	case base == "Tensor":
		return of == "Tensor"
	case base == "Scalar", base == "number":
		return of == "int" || of == "float64" || of == "bool" || of == "complex128"
	case base == "float":
		return of == "float64" || of == "int"
	case base == "int", base == "ScalarType", base == "Layout", base == "MemoryFormat":
		return of == "int" || of == "DType" || of == "Layout" || of == "MemoryFormat"
	case base == "Generator":
		return of == "*RNG"
	}
	return of == map[string]string{"bool": "bool", "str": "string", "Device": "Device"}[base]
}

var goListKind = map[string]string{"int": "int", "float": "float64", "bool": "bool", "str": "string", "Scalar": "float64", "number": "float64"}

// goKind names a type as Call's documentation does; its package does not matter.
func goKind(t types.Type) string {
	kind := types.TypeString(types.Default(types.Unalias(t)), func(*types.Package) string { return "" })
	if kind == "int64" {
		return "int"
	}
	return kind
}

// operatorCalls finds the calls of Call, call0, call1 and callList with an operator's name in
// it, and reports each that does not fit its schema.
func operatorCalls(t *testing.T, c *checked, schemas map[string]torch.Schema) (found int) {
	for _, file := range c.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			caller := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				caller = f.Name
			case *ast.SelectorExpr:
				caller = f.Sel.Name
			}
			if !strings.HasPrefix(strings.ToLower(caller), "call") {
				return true
			}
			if name, ok := literal(call.Args[0]); ok && strings.Contains(name, "::") {
				found++
				if problem := fits(c.info, call, caller, name, schemas); problem != "" {
					t.Errorf("%s: %s %s", c.fset.Position(call.Pos()), name, problem)
				}
			}
			return true
		})
	}
	return found
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// fits says how a call contradicts the operator's schema, or nothing.
func fits(info *types.Info, call *ast.CallExpr, caller, name string, schemas map[string]torch.Schema) string {
	s, ok := schemas[name]
	if !ok {
		return "is no operator of this libtorch"
	}
	given := map[string]bool{}
	for i, arg := range call.Args[1:] {
		var p torch.Param
		if lit, ok := arg.(*ast.CompositeLit); ok && goKind(info.TypeOf(lit)) == "Named" {
			name, value := namedFields(lit)
			for _, candidate := range s.Params {
				if candidate.Name == name {
					p = candidate
				}
			}
			if p.Name == "" || given[name] {
				return "takes no further argument " + name
			}
			arg = value
		} else if i >= len(s.Params) {
			return "takes only " + strconv.Itoa(len(s.Params)) + " arguments"
		} else {
			p = s.Params[i]
		}
		given[p.Name] = true
		tv := info.Types[arg]
		if !takes(p, tv.Type) {
			return "takes " + p.Kind + " " + p.Name + ", not " + tv.Type.String()
		}
	}
	for _, p := range s.Params {
		if !p.Default && !given[p.Name] && !strings.HasSuffix(p.Kind, "?") {
			return "needs " + p.Kind + " " + p.Name
		}
	}
	want := map[string]string{"call1": "Tensor", "callList": "Tensor[]"}[caller]
	if got := strings.Join(s.Returns, " "); !strings.HasPrefix(bare(got), want) {
		return "returns " + got + ", not " + want
	}
	return ""
}

// bare drops alias marks: Tensor(a!) → Tensor.
func bare(kind string) string {
	for {
		open := strings.IndexByte(kind, '(')
		if open < 0 {
			return kind
		}
		kind = kind[:open] + kind[open+strings.IndexByte(kind[open:], ')')+1:]
	}
}

func namedFields(lit *ast.CompositeLit) (name string, value ast.Expr) {
	for i, e := range lit.Elts {
		field := []string{"Name", "Value"}[i]
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			field, e = kv.Key.(*ast.Ident).Name, kv.Value
		}
		if field == "Name" {
			name, _ = literal(e)
		} else {
			value = e
		}
	}
	return name, value
}

func operatorSchemas() map[string]torch.Schema {
	out := map[string]torch.Schema{}
	for _, text := range torch.Operators() {
		s := torch.ParseSchema(text)
		out[s.Name] = s
	}
	return out
}

// TestEveryOperatorCallFitsItsSchema type-checks the whole module and compares every call of an
// operator, in this package's wrappers and everywhere else, with what the loaded libtorch takes.
func TestEveryOperatorCallFitsItsSchema(t *testing.T) {
	m, schemas, found := loadModule(t), operatorSchemas(), map[string]int{}
	for _, p := range m.packages() {
		found[p.ImportPath] = operatorCalls(t, m.check(t, p), schemas)
	}
	t.Log(found)
	assert.Greater(t, found["github.com/liebm/liebm/torch"], 100)
	assert.NotZero(t, found["github.com/liebm/liebm/torch/nn"]+found["github.com/liebm/liebm/eval"]+found["github.com/liebm/liebm/models"])
}

func TestCallsThatDoNotFitAreFound(t *testing.T) {
	m, schemas := loadModule(t), operatorSchemas()
	for call, want := range map[string]string{
		`torch.Call("aten::frobnicate", x)`:                                      "no operator",
		`torch.Call("aten::add.Tensor", x)`:                                      "needs Tensor other",
		`torch.Call("aten::neg", x, 1)`:                                          "takes only 1",
		`torch.Call("aten::transpose.int", x, 0, 1.5)`:                           "dim1, not float64",
		`torch.Call("aten::cat", x)`:                                             "Tensor[] tensors, not",
		`torch.Call("aten::neg", nil)`:                                           "self, not untyped nil",
		`torch.Call("aten::add.Tensor", x, x, torch.Named{Name: "b", Value: 1})`: "no further argument b",
		`torch.Call("aten::relu", float32(1))`:                                   "self, not float32",
	} {
		c := m.source(t, "package p\nimport \"github.com/liebm/liebm/torch\"\nvar x torch.Tensor\nvar _ = "+call)
		var got string
		ast.Inspect(c.files[0], func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name, ok := literal(call.Args[0]); ok {
					got = fits(c.info, call, "Call", name, schemas)
				}
			}
			return true
		})
		assert.Contains(t, got, want, call)
	}
	require.NotEmpty(t, schemas)
}
