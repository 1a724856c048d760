package torch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is this module and all it imports, compiled, so that source can be type-checked against it.
type module struct {
	fset     *token.FileSet
	importer types.Importer
	all      []modulePackage
}

type modulePackage struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
	Module                  *struct{ Main bool }
}

// checked is source with its types.
type checked struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	errs  []types.Error // but for names that are declared and not used
}

var listModule = sync.OnceValues(func() (*module, error) {
	list := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles,Module", "./...")
	list.Dir = ".."
	var stderr bytes.Buffer
	list.Stderr = &stderr
	text, err := list.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	m, exports := &module{fset: token.NewFileSet()}, map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var p modulePackage
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		m.all = append(m.all, p)
	}
	m.importer = importer.ForCompiler(m.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return m, nil
})

// loadModule compiles what is not in Go's build cache yet: minutes at most, and then never again.
func loadModule(t *testing.T) *module {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles the module")
	}
	m, err := listModule()
	require.NoError(t, err)
	return m
}

// packages are this module's own.
func (m *module) packages() []modulePackage {
	return slices.DeleteFunc(slices.Clone(m.all), func(p modulePackage) bool { return p.Module == nil || !p.Module.Main })
}

// check type-checks a package; C's names are taken on trust.
func (m *module) check(t *testing.T, p modulePackage) *checked {
	t.Helper()
	var files []*ast.File
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		f, err := parser.ParseFile(m.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	return m.types(p.ImportPath, files)
}

// source type-checks one file that is not part of the module.
func (m *module) source(t *testing.T, text string) *checked {
	t.Helper()
	f, err := parser.ParseFile(m.fset, "page.go", text, parser.SkipObjectResolution)
	require.NoError(t, err, text)
	return m.types("page", []*ast.File{f})
}

func (m *module) types(path string, files []*ast.File) *checked {
	c := &checked{fset: m.fset, files: files, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}}
	conf := types.Config{Importer: m.importer, FakeImportC: true, Error: func(err error) {
		if e := err.(types.Error); !e.Soft {
			c.errs = append(c.errs, e)
		}
	}}
	_, _ = conf.Check(path, m.fset, files, c.info) // every error went to conf.Error
	return c
}
