package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// YAML returns every setting of the struct v in the order of its fields, zeros too. Decode reads the same
// values back. So does PyYAML: it takes 1e-05 for a string, so YAML writes 1.0e-05.
func YAML(v any) ([]byte, error) {
	all, err := settingsOf(reflect.Indirect(reflect.ValueOf(v)), "")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for i, s := range all {
		group, key := splitPath(s.path)
		if group != "" {
			out.WriteString(strings.Repeat("  ", strings.Count(group, ".")+1))
		}
		out.WriteString(key + ":")
		if !s.group {
			text, err := encodeValue(s.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.path, err)
			}
			out.WriteString(" " + text)
		} else if i+1 == len(all) || !strings.HasPrefix(all[i+1].path, s.path+".") {
			out.WriteString(" {}")
		}
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

func encodeValue(v reflect.Value) (string, error) {
	switch {
	case isList(v):
		elements := make([]string, v.Len())
		for i := range elements {
			var err error
			if elements[i], err = encodeValue(v.Index(i)); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(elements, ", ") + "]", nil
	case v.CanFloat():
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return "", fmt.Errorf("%v is not a finite number", x)
		}
		text := strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
		if mantissa, exponent, ok := strings.Cut(text, "e"); ok && !strings.Contains(mantissa, ".") {
			text = mantissa + ".0e" + exponent
		}
		return text, nil
	case v.Kind() == reflect.String:
		if !utf8.ValidString(v.String()) {
			return "", fmt.Errorf("%q is not UTF-8", v.String())
		}
		return strconv.Quote(v.String()), nil // for valid UTF-8, Go's escapes are YAML's
	case v.CanInt(): // not fmt, which would call a String method
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	return strconv.FormatBool(v.Bool()), nil
}

// Settings returns every setting of the struct v as an assignment for Set, in the order of its fields.
func Settings(v any) (assignments []string, err error) {
	all, err := settingsOf(reflect.Indirect(reflect.ValueOf(v)), "")
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.group {
			continue
		}
		text := s.value.String()
		if s.value.Kind() != reflect.String {
			if text, err = encodeValue(s.value); err != nil {
				return nil, fmt.Errorf("%s: %w", s.path, err)
			}
		}
		assignments = append(assignments, s.path+"="+text)
	}
	return assignments, nil
}

// Changes returns the settings of the struct b that differ from those of a, of the same type, as assignments for Set.
func Changes(a, b any) (assignments []string, err error) {
	before, err := Settings(a)
	if err != nil {
		return nil, err
	}
	after, err := Settings(b)
	if err != nil {
		return nil, err
	}
	for i, s := range after {
		if s != before[i] {
			assignments = append(assignments, s)
		}
	}
	return assignments, nil
}

// JSON returns the settings of the struct v as one line of JSON, with the keys of its YAML.
func JSON(v any) ([]byte, error) {
	all, err := settingsOf(reflect.Indirect(reflect.ValueOf(v)), "")
	if err != nil {
		return nil, err
	}
	groups := map[string]map[string]any{"": {}}
	for _, s := range all {
		parent, key := splitPath(s.path)
		if s.group {
			groups[s.path] = map[string]any{}
			groups[parent][key] = groups[s.path]
		} else {
			groups[parent][key] = s.value.Interface()
		}
		if s.value.Kind() == reflect.Slice && s.value.IsNil() {
			groups[parent][key] = []any{} // Decode refuses null
		}
	}
	return json.Marshal(groups[""])
}
