package torch

import "strings"

// A Schema is an operator's signature as libtorch prints it.
type Schema struct {
	Name    string
	Params  []Param
	Returns []string // types
}

// A Param is one argument.
type Param struct {
	Kind, Name string
	Default    bool // it has one
}

// ParseSchema reads what Operators lists.
func ParseSchema(text string) Schema {
	name, rest, _ := strings.Cut(text, "(")
	s := Schema{Name: name}
	depth, start := 0, 0
	for i, c := range rest {
		end := depth == 0 && (c == ',' || c == ')')
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		}
		if !end {
			continue
		}
		declared, _, fallback := strings.Cut(strings.TrimSpace(rest[start:i]), "=")
		if space := strings.LastIndexByte(declared, ' '); space > 0 {
			s.Params = append(s.Params, Param{declared[:space], declared[space+1:], fallback})
		}
		if start = i + 1; c == ')' {
			break
		}
	}
	_, results, _ := strings.Cut(rest[start:], "-> ")
	if many, ok := strings.CutPrefix(results, "("); ok {
		results = strings.TrimSuffix(many, ")")
	}
	for _, r := range strings.Split(results, ", ") {
		kind, _, _ := strings.Cut(r, " ")
		s.Returns = append(s.Returns, kind)
	}
	return s
}
