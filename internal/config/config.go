// Package config reads and writes the YAML of a struct: configs of runs, settings on the command line
// and the configs inside files of weights.
//
// goccy/go-yaml parses the text. The values are read here, because that library's decoder is too lenient
// for settings of an experiment: it rounds 1.5 to 1 for an integer, takes "60" for 60, and leaves a field
// as it was where the value is missing. Every error names the key and the line, and an unknown key names
// the nearest known one:
//
//	cfg := train.CIFAR10()
//	err := config.Decode([]byte("chain: {steps: 60}"), &cfg) // all other fields keep their values
//	err = config.Set(&cfg, "energy.widths=16,32")
//	text, err := config.YAML(cfg)
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a document. A config has a few kilobytes and three levels. The YAML parser needs memory that
// grows with the square of the depth (10 GB for 64 kB of "["), so both are checked before it runs.
const (
	maxBytes = 64 << 10
	maxDepth = 16
	maxFlaws = 10 // errors that Decode reports at once
)

// Decode sets the fields of the struct that into points to from a YAML document. Keys that the document
// names are set, also to 0 or false. All other fields keep their values. Keys are nested (chain: {steps: 60})
// or dotted (chain.steps: 60). Decode returns an error with the line for a key that is unknown or repeated,
// a value of another type, NaN, an infinity, an anchor, an alias or a tag. It joins up to ten errors, and
// leaves into as it was if there is one.
func Decode(data []byte, into any) error {
	return change(into, func(known []setting) error {
		body, err := parseYAML(data)
		if err != nil || body == nil {
			return err
		}
		o := overlay{known: known, seen: map[string]bool{}}
		o.group("", body)
		return errors.Join(o.flaws...)
	})
}

// Set sets one field of the struct that into points to from an assignment such as "chain.steps=60" or
// "energy.down=[true, false]". The brackets of a list may be left out. The text of a string field is not
// parsed. Errors are those of Decode, without a line.
func Set(into any, assignment string) error {
	path, text, ok := strings.Cut(assignment, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return fmt.Errorf("%s sets nothing: write key=value, as in chain.steps=60", show(assignment))
	}
	return change(into, func(known []setting) error {
		s := find(known, path)
		switch {
		case s == nil:
			return unknownKey(path, known)
		case s.group:
			return fmt.Errorf("%s is a group: set one of %s", path, keysOf(known, path))
		case s.value.Kind() == reflect.String:
			if !utf8.ValidString(text) {
				return fmt.Errorf("%s needs UTF-8 text, not %s", path, show(text))
			}
			s.value.SetString(text)
			return nil
		case isList(s.value) && !strings.HasPrefix(strings.TrimSpace(text), "["):
			text = "[" + text + "]"
		}
		node, err := parseYAML([]byte(text))
		if err != nil {
			return fmt.Errorf("%s needs %s, not %s", path, wanted(s.value.Type()), show(text))
		}
		return assign(path, s.value, node)
	})
}

// A setting is one key of a config: a value, or a group of further settings.
type setting struct {
	path  string // dotted, from the root
	value reflect.Value
	group bool // value is a struct; its settings follow in the list
	tag   reflect.StructTag
}

// settingsOf lists the settings of the struct v in the order of its fields. A group comes before its members.
func settingsOf(v reflect.Value, prefix string) (all []setting, err error) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		s := setting{prefix + cmp.Or(name, strings.ToLower(field.Name)), v.Field(i), field.Type.Kind() == reflect.Struct, field.Tag}
		below := s.path + "."
		if s.group && option == "inline" {
			below = prefix // its settings are those of v
		} else {
			all = append(all, s)
		}
		var members []setting
		if s.group {
			members, err = settingsOf(s.value, below)
		} else if wanted(field.Type) == "" {
			err = fmt.Errorf("a config cannot hold %s, a %s", s.path, field.Type)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, members...)
	}
	return all, nil
}

// change calls f with the settings of a copy of the struct that into points to. Without an error the copy replaces
// the struct; an error leaves it as it was.
func change(into any, f func(known []setting) error) error {
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("config: decode into a pointer to a struct, not %T", into)
	}
	draft := reflect.New(p.Elem().Type()).Elem()
	draft.Set(p.Elem())
	known, err := settingsOf(draft, "")
	if err == nil {
		err = f(known)
	}
	if err == nil {
		p.Elem().Set(draft)
	}
	return err
}

// parseYAML returns the root node of the document in data, or nil if it is empty.
func parseYAML(data []byte) (ast.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows add it
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%d bytes are too many for a config, which has at most %d", len(data), maxBytes)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errors.New("not a text file in UTF-8")
	}
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		return nil, fmt.Errorf("line %d: nested more than %d deep", line, maxDepth)
	}
	// Repeated keys are ours to report: dotted and nested spellings of one key must collide too.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var located yaml.Error // its Error() draws the source on several lines
		if errors.As(err, &located) && located.GetToken() != nil {
			return nil, fmt.Errorf("line %d: %s", located.GetToken().Position.Line, located.GetMessage())
		}
		return nil, err
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, fmt.Errorf("line %d: a second document starts; a config is one", line(doc.Body))
		}
		body = doc.Body
	}
	return body, nil
}

// tooDeep returns the first line that nests deeper than maxDepth by brackets or by dashes, or 0.
// It does not count levels of indentation: each needs a longer line, so maxBytes limits them.
func tooDeep(tokens token.Tokens) int {
	brackets, dashes, at := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != at {
			dashes, at = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType:
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth {
			return at
		}
	}
	return 0
}

// An overlay sets the fields that a document names, and collects errors.
type overlay struct {
	known []setting
	seen  map[string]bool
	flaws []error
}

func (o *overlay) group(prefix string, node ast.Node) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		group := strings.TrimSuffix(prefix, ".")
		o.flaw(node, fmt.Errorf("%s needs keys with values (%s), not %s", cmp.Or(group, "a config"), keysOf(o.known, group), describe(node)))
		return
	}
	for _, pair := range mapping.Values {
		if len(o.flaws) == maxFlaws {
			return
		}
		path := prefix + pair.Key.GetToken().Value
		s := find(o.known, path)
		switch {
		case s == nil:
			o.flaw(pair.Key, unknownKey(path, o.known))
		case s.group && pair.Value.Type() == ast.NullType:
			// "chain:" with every line below it commented out
		case s.group:
			o.group(path+".", pair.Value)
		case o.seen[path]:
			o.flaw(pair.Key, fmt.Errorf("%s is set twice", path))
		default:
			o.seen[path] = true
			if err := assign(path, s.value, pair.Value); err != nil {
				o.flaw(pair.Value, err)
			}
		}
	}
}

func (o *overlay) flaw(node ast.Node, err error) {
	if len(o.flaws) < maxFlaws {
		o.flaws = append(o.flaws, fmt.Errorf("line %d: %w", line(node), err))
	}
}

// assign sets v from node. The type of v is one that wanted describes.
func assign(path string, v reflect.Value, node ast.Node) error {
	bad := func() error {
		return fmt.Errorf("%s needs %s, not %s", path, wanted(v.Type()), describe(node))
	}
	if isList(v) {
		list, ok := node.(*ast.SequenceNode)
		if !ok || v.Kind() == reflect.Array && len(list.Values) != v.Len() {
			return bad()
		}
		fresh := reflect.New(v.Type()).Elem()                  // the draft shares its slices with the original
		if v.Kind() == reflect.Slice && len(list.Values) > 0 { // an empty list is nil, so that equal configs are deeply equal
			fresh = reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values))
		}
		for i, element := range list.Values {
			if err := assign(fmt.Sprintf("%s[%d]", path, i), fresh.Index(i), element); err != nil {
				return err
			}
		}
		v.Set(fresh)
		return nil
	}
	text, quoted, ok := scalar(node)
	if !ok || quoted && v.Kind() != reflect.String || !setScalar(v, text) {
		return bad()
	}
	return nil
}

// setScalar sets v from text and reports whether text has the type of v. It parses numbers itself: the YAML
// library takes 1e-4, which has no point, for a string.
func setScalar(v reflect.Value, text string) bool {
	digits := strings.ReplaceAll(text, "_", "")
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		text = strings.ToLower(text)
		v.SetBool(text == "true")
		return text == "true" || text == "false"
	case v.CanInt():
		n, err := strconv.ParseInt(digits, 10, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	case v.CanUint():
		n, err := strconv.ParseUint(digits, 10, v.Type().Bits())
		v.SetUint(n)
		return err == nil
	default:
		x, err := strconv.ParseFloat(digits, v.Type().Bits())
		v.SetFloat(x)
		return err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
	}
	return true
}

// scalar returns the text of a plain or quoted value. ok is false for any other node, null included.
func scalar(node ast.Node) (text string, quoted, ok bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, n.Token.Type != token.StringType, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

// wanted describes the values of a field of type t. It is empty for a type that a config cannot hold.
func wanted(t reflect.Type) string {
	switch kind := t.Kind(); {
	case kind == reflect.String:
		return "text"
	case kind == reflect.Bool:
		return "true or false"
	case kind == reflect.Float32 || kind == reflect.Float64:
		return "a finite number"
	case kind >= reflect.Int && kind <= reflect.Int64:
		return fmt.Sprintf("a whole number (%s)", kind)
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return fmt.Sprintf("a whole number of at least 0 (%s)", kind)
	case kind == reflect.Slice && wanted(t.Elem()) != "":
		return "a list, each " + wanted(t.Elem())
	case kind == reflect.Array && wanted(t.Elem()) != "":
		return fmt.Sprintf("a list of %d, each %s", t.Len(), wanted(t.Elem()))
	}
	return ""
}

// describe names a node for an error message.
func describe(node ast.Node) string {
	if text, quoted, ok := scalar(node); ok && quoted {
		return "the text " + strconv.Quote(shorten(text))
	} else if ok {
		return show(text)
	}
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return fmt.Sprintf("a list of %d", len(n.Values))
	case *ast.MappingNode:
		return "keys with values"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return fmt.Sprintf("an anchor, alias or tag (%s): write the value out", show(node.GetToken().Value))
	}
	return strings.ToLower(node.Type().String())
}

func isList(v reflect.Value) bool { return v.Kind() == reflect.Slice || v.Kind() == reflect.Array }

func line(node ast.Node) int { return node.GetToken().Position.Line }

func find(known []setting, path string) *setting {
	if i := slices.IndexFunc(known, func(s setting) bool { return s.path == path }); i >= 0 {
		return &known[i]
	}
	return nil
}

// show shortens text for an error message and quotes it unless it is a plain word.
func show(text string) string {
	quoted := strconv.Quote(shorten(text))
	if plain := quoted[1 : len(quoted)-1]; plain == text && text != "" && !strings.ContainsAny(text, " ,:") {
		return text
	}
	return quoted
}

func shorten(text string) string {
	if r := []rune(text); len(r) > 40 {
		return string(r[:39]) + "…"
	}
	return text
}
