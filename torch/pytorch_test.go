package torch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const pytorchPage = "../docs/pytorch.md"

// TestThePageAboutPyTorchIsTrue type-checks all Go in docs/pytorch.md, blocks and what stands in
// lines, and compares every operator that it calls with its schema.
func TestThePageAboutPyTorchIsTrue(t *testing.T) {
	text, err := os.ReadFile(pytorchPage)
	require.NoError(t, err)
	m := loadModule(t)
	source, spans := goOfPage(string(text))
	c := m.source(t, source)
	for _, e := range c.errs {
		t.Errorf("%s: %s", m.fset.Position(e.Pos), e.Msg)
	}
	assert.Greater(t, spans, 200)
	assert.Greater(t, operatorCalls(t, c, operatorSchemas()), 15)
}

func TestErrorsOfThePageAreFound(t *testing.T) {
	m := loadModule(t)
	source, spans := goOfPage(strings.Join([]string{
		"```go", `import "github.com/liebm/liebm/torch"`, "var x torch.Tensor", "```",
		"| PyTorch | here |", "|---|---|", "| `nn.Linear(1)` | `x.Sin()`, `x.Neg()` |", "prose of `torch.Frobnicate` and `torch.manual_seed`",
		"```go", "return x.Neg()", "```",
	}, "\n"))
	assert.Equal(t, 3, spans)
	var got []string
	for _, e := range m.source(t, source).errs {
		got = append(got, fmt.Sprintf("%d %s", m.fset.Position(e.Pos).Line, e.Msg))
	}
	require.Len(t, got, 3)
	assert.Contains(t, got[0], "7 x.Sin undefined")
	assert.Contains(t, got[1], "8 undefined: torch.Frobnicate")
	assert.Contains(t, got[2], "10 cannot use x.Neg()")
}

var (
	inline   = regexp.MustCompile("`[^`]+`")
	exported = regexp.MustCompile(`\.[A-Z]`)
)

// goOfPage makes one file of a page's Go: its blocks, and all between backquotes that names something
// exported, but for a table's first column, which is Python. spans counts the latter.
func goOfPage(text string) (source string, spans int) {
	var out, block strings.Builder
	out.WriteString("package page\n")
	begin := 0 // the line after ```go
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("//line %s:%d\n", pytorchPage, i+1)
		switch {
		case line == "```go":
			begin = i + 2
		case line == "```" && begin > 0:
			out.WriteString(declared(block.String(), begin))
			block.Reset()
			begin = 0
		case begin > 0:
			block.WriteString(line + "\n")
		default:
			if strings.HasPrefix(line, "| ") {
				_, line, _ = strings.Cut(line[2:], " | ")
			}
			for _, code := range inline.FindAllString(line, -1) {
				if code = strings.Trim(code, "`"); exported.MatchString(code) {
					spans++
					out.WriteString("func _() {\n" + at + statement(code) + "\n}\n")
				}
			}
		}
	}
	return out.String(), spans
}

// declared is a block as it stands if it declares something, and the body of a function if it does something.
func declared(block string, line int) string {
	block = fmt.Sprintf("//line %s:%d\n", pytorchPage, line) + block
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package page\n"+block, 0); err == nil {
		return block
	}
	return "func _() error {\n" + block + "return nil\n}\n"
}

// statement uses the value of an expression.
func statement(code string) string {
	e, err := parser.ParseExpr(code)
	if _, call := e.(*ast.CallExpr); err != nil || call {
		return code
	}
	return "_ = " + code
}
