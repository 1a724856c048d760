package train

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

// A resolved config is a few kilobytes and three levels deep. The YAML parser needs quadratic memory in the nesting
// (10 GB for 64 kB of "["), so both are bounded before it runs.
const (
	maxConfigBytes = 64 << 10
	maxConfigDepth = 16
	maxConfigFlaws = 10 // reported at once; the rest would only scroll the first away
)

// decodeYAML overlays a YAML document onto the struct that into points to: keys that the document names are set, also to
// 0 or false; all others keep their values. Keys nest (chain: {steps: 60}) or are dotted (chain.steps: 60). Unknown or
// repeated keys, wrong types, NaN and ±Inf, anchors, aliases and tags are errors with their line, up to ten at a time,
// and leave into as it was.
func decodeYAML(data []byte, into any) error {
	root, draft, known, err := draftOf(into)
	if err != nil {
		return err
	}
	body, err := parseYAML(data)
	if err != nil || body == nil {
		return err
	}
	o := overlay{known: known, seen: map[string]bool{}}
	o.group("", body)
	if len(o.flaws) > 0 {
		return errors.Join(o.flaws...)
	}
	root.Set(draft)
	return nil
}

// setValue sets one field from an assignment such as "chain.steps=60" or "energy.down=[true, false]"; a list may go
// without brackets. A string is taken as it stands. Its errors are those of decodeYAML, without a line.
func setValue(into any, assignment string) error {
	path, text, ok := strings.Cut(assignment, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return fmt.Errorf("%s sets nothing: write key=value, as in chain.steps=60", show(assignment))
	}
	root, draft, known, err := draftOf(into)
	if err != nil {
		return err
	}
	s := find(known, path)
	switch {
	case s == nil:
		return unknownKey(path, known)
	case s.group:
		return fmt.Errorf("%s is a group: set one of %s", path, keysOf(known, path))
	case s.value.Kind() == reflect.String:
		if !utf8.ValidString(text) {
			return fmt.Errorf("%s wants UTF-8 text, not %s", path, show(text))
		}
		s.value.SetString(text)
	default:
		if isList(s.value) && !strings.HasPrefix(strings.TrimSpace(text), "[") {
			text = "[" + text + "]"
		}
		node, err := parseYAML([]byte(text))
		if err != nil {
			return fmt.Errorf("%s wants %s, not %s", path, wanted(s.value.Type()), show(text))
		}
		if err := assign(path, s.value, node); err != nil {
			return err
		}
	}
	root.Set(draft)
	return nil
}

// A setting is one key of a config: a value, or a group of further settings.
type setting struct {
	path  string // dotted, from the root
	value reflect.Value
	doc   string
	group bool // value is a struct, whose settings follow
}

// settingsOf lists the settings of struct v in the order of its fields, each group before its members.
func settingsOf(v reflect.Value, prefix string) (all []setting, err error) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		s := setting{prefix + cmp.Or(name, strings.ToLower(field.Name)), v.Field(i), field.Tag.Get("doc"), field.Type.Kind() == reflect.Struct}
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
			err = fmt.Errorf("train: a config cannot hold %s, a %s", s.path, field.Type)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, members...)
	}
	return all, nil
}

// draftOf returns the struct behind into, a copy to change, and the copy's settings, so that an error leaves into whole.
func draftOf(into any) (root, draft reflect.Value, known []setting, err error) {
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return root, draft, nil, fmt.Errorf("train: want a pointer to a struct to decode into, not %T", into)
	}
	root = p.Elem()
	draft = reflect.New(root.Type()).Elem()
	draft.Set(root)
	known, err = settingsOf(draft, "")
	return root, draft, known, err
}

// parseYAML returns the root node of the only document in data, nil when that is empty.
func parseYAML(data []byte) (ast.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows add it
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("%d bytes are too many for a config, which has at most %d", len(data), maxConfigBytes)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errors.New("not a text file in UTF-8")
	}
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		return nil, fmt.Errorf("line %d: nested more than %d deep", line, maxConfigDepth)
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

// tooDeep returns the first line that nests deeper than maxConfigDepth by brackets or by dashes in a row, else 0.
// Nesting by indentation needs a longer line for each level, so the size bounds it.
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
		if brackets > maxConfigDepth || dashes > maxConfigDepth {
			return at
		}
	}
	return 0
}

// An overlay walks a document and sets what it names, collecting what is wrong with it.
type overlay struct {
	known []setting
	seen  map[string]bool
	flaws []error
}

func (o *overlay) group(prefix string, node ast.Node) {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		group := strings.TrimSuffix(prefix, ".")
		o.flaw(node, fmt.Errorf("%s wants keys with values (%s), not %s", cmp.Or(group, "a config"), keysOf(o.known, group), describe(node)))
		return
	}
	for _, pair := range mapping.Values {
		if len(o.flaws) == maxConfigFlaws {
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
	if len(o.flaws) < maxConfigFlaws {
		o.flaws = append(o.flaws, fmt.Errorf("line %d: %w", line(node), err))
	}
}

// assign sets v, of a type that wanted knows, from node.
func assign(path string, v reflect.Value, node ast.Node) error {
	bad := func() error {
		return fmt.Errorf("%s wants %s, not %s", path, wanted(v.Type()), describe(node))
	}
	if isList(v) {
		list, ok := node.(*ast.SequenceNode)
		if !ok || v.Kind() == reflect.Array && len(list.Values) != v.Len() {
			return bad()
		}
		fresh := reflect.New(v.Type()).Elem() // the draft shares its slices with the original
		if v.Kind() == reflect.Slice {
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

// setScalar sets v from text and reports whether it could. It reads numbers itself: the YAML library takes 1e-4, without
// a point, for a string, as YAML 1.1 did.
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

// scalar returns the text of a plain or quoted value; ok is false for anything else, null included.
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

// wanted says in words what a field of type t takes; "" if a config cannot hold it.
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

// describe names what stands in the file where something else was wanted.
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

// show quotes text for a message when it is not a plain word, and shortens it: it may be anything.
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
