package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/train"
)

var update = flag.Bool("update", false, "write docs/config.md")

func TestConfigPage(t *testing.T) {
	var page strings.Builder
	page.WriteString(`# Every key of a config

A test writes this page from the comments of the Go fields. The ranges are those that the checks of a config accept;
a number with a fraction is at most 1e30, and a whole number at most 1,048,576, or 1e9 where it counts steps. Keys that depend on each
other have further limits. ` + "`liebm config KEY`" + ` prints the lines of a key or a group.
`)
	comments := fieldComments(t, "train", "models", "mcmc", "data", "torch/optim")
	em, err := train.Preset("fmnist-em")
	require.NoError(t, err)
	ssl, err := train.SSLPreset("fmnist-simclr")
	require.NoError(t, err)
	writeKeys(t, &page, comments, "Training: the defaults are those of fmnist-em", reflect.ValueOf(em), func(key, value string) error {
		c := em
		if key == "em_after" {
			c.Target = train.EJM
		} else {
			c.Target, c.Omega2, c.Rho, c.Encoder = train.ERM, 1, 1, train.Joint // read all networks
		}
		return cmp.Or(config.Set(&c, key+"="+value), c.Validate())
	})
	writeKeys(t, &page, comments, "Pretraining: the defaults are those of fmnist-simclr", reflect.ValueOf(ssl), func(key, value string) error {
		c := ssl
		switch key {
		case "tau":
			c.Target = train.BYOL
		case "whiten":
			c.Target = train.WMSE
		}
		return cmp.Or(config.Set(&c, key+"="+value), c.Validate())
	})
	path := filepath.Join("..", "..", "docs", "config.md")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(page.String()), 0o666))
	}
	saved, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, page.String(), string(saved), "to write it again: go test ./cmd/liebm -run TestConfigPage -update")
}

func TestConfigPrintsKeysAndGroups(t *testing.T) {
	text, err := run(t, "config", "batch", "schedule")
	require.NoError(t, err)
	assert.Contains(t, text, "  batch: 16 (at least 2)\n      images per step")
	assert.Contains(t, text, "  schedule.hold: ")
	assert.NotContains(t, text, "chain")
	_, err = run(t, "config", "batchs")
	assert.ErrorContains(t, err, "no key or group batchs: did you mean batch?")
}

// fieldComments are the comments of the fields of all structs of some packages, by package.Type.Field.
func fieldComments(t *testing.T, folders ...string) map[string]string {
	comments := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if s, ok := spec.Type.(*ast.StructType); ok {
					for _, field := range s.Fields.List {
						for _, name := range field.Names {
							text := cmp.Or(field.Comment.Text(), field.Doc.Text())
							comments[filepath.Base(folder)+"."+spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
						}
					}
				}
				return false
			})
		}
	}
	return comments
}

// writeKeys writes the table of a config. check sets a key and returns what the checks say.
func writeKeys(t *testing.T, page *strings.Builder, comments map[string]string, title string, v reflect.Value, check func(key, value string) error) {
	fmt.Fprintf(page, "\n## %s\n\n| key | default | range | meaning |\n|---|---|---|---|\n", title)
	var walk func(v reflect.Value, prefix, group string)
	walk = func(v reflect.Value, prefix, group string) {
		for i := range v.NumField() {
			f, of := v.Type().Field(i), v.Type()
			tag, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			comment := cmp.Or(comments[filepath.Base(of.PkgPath())+"."+of.Name()+"."+f.Name], group)
			switch {
			case tag == "-":
			case option == "inline":
				walk(v.Field(i), prefix, group)
			case f.Type.Kind() == reflect.Struct:
				walk(v.Field(i), prefix+tag+".", comment)
			default:
				key := prefix + tag
				assert.NotEmpty(t, comment, "%s needs a comment", key)
				value := strings.ReplaceAll(strings.Trim(fmt.Sprint(v.Field(i).Interface()), "[]"), " ", ", ")
				fmt.Fprintf(page, "| `%s` | %s | %s | %s |\n", key, cmp.Or(value, "empty"), accepted(key, f.Type, check), strings.ReplaceAll(comment, "|", `\|`))
			}
		}
	}
	walk(v, "", "")
}

var choices = regexp.MustCompile(`is "\?"[^:]*: (?:give|use) (.*)`)

// accepted describes the values of a key that the checks accept.
func accepted(key string, of reflect.Type, check func(key, value string) error) string {
	ok := func(value any) bool { return check(key, fmt.Sprint(value)) == nil }
	switch of.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		if err := check(key, "?"); err != nil {
			if found := choices.FindStringSubmatch(err.Error()); found != nil {
				return found[1]
			}
		}
		return "text"
	case reflect.Slice:
		return "a list"
	case reflect.Array:
		return fmt.Sprintf("a list of %d", of.Len())
	case reflect.Float64:
		var limits []string
		switch {
		case ok(-1):
		case ok(0):
			limits = append(limits, "at least 0")
		default:
			limits = append(limits, "above 0")
		}
		switch {
		case ok(1e6):
		case ok(1):
			limits = append(limits, "at most 1")
		case ok(0.999):
			limits = append(limits, "below 1")
		case ok(0.5) && !ok(0.501):
			limits = append(limits, "at most 0.5")
		}
		return cmp.Or(strings.Join(limits, ", "), "any number")
	}
	var whole []int
	for n := -1; n <= 64; n++ {
		if ok(n) {
			whole = append(whole, n)
		}
	}
	if len(whole) < 2 {
		return "as the other keys need"
	}
	return fmt.Sprintf("at least %d", whole[0])
}
