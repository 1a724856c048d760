package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/liebm/liebm/data"
)

// Metrics appends to a metrics.jsonl: one JSON object per line, "step" first, then numbers. JSON has no NaN or infinity;
// they are written as the strings "NaN", "Infinity" and "-Infinity", which float() of Python and Number() of JavaScript
// take: a null would hide which it was, and that is what one looks for when a run diverges.
type Metrics struct {
	path string
	file *os.File
}

// OpenMetrics opens path for appending, and creates it if need be. A resumed run calls truncateAfter first.
func OpenMetrics(path string) (*Metrics, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, data.WriteError(path, err)
	}
	return &Metrics{path, file}, nil
}

// Write appends one line. values is a map from names to numbers, written in the order of the names, or a struct of
// numbers, written in the order of its fields under their json tags. A line is one write: readers never see half of it,
// short of a crash.
func (m *Metrics) Write(step int, values any) error {
	line := strconv.AppendInt([]byte(`{"step":`), int64(step), 10)
	add := func(name string, v reflect.Value) error {
		number, err := metricNumber(v)
		if err != nil || name == "step" {
			return fmt.Errorf("train: metric %q at step %d: want a number under another name than step, not %v", name, step, v)
		}
		key, _ := json.Marshal(name) // a string always has a JSON form
		line = append(append(append(append(line, ','), key...), ':'), number...)
		return nil
	}
	if err := eachMetric(reflect.Indirect(reflect.ValueOf(values)), add); err != nil {
		return err
	}
	_, err := m.file.Write(append(line, "}\n"...))
	return data.WriteError(m.path, err)
}

// Close closes the file.
func (m *Metrics) Close() error { return data.WriteError(m.path, m.file.Close()) }

func eachMetric(values reflect.Value, add func(name string, v reflect.Value) error) error {
	switch {
	case values.Kind() == reflect.Map && values.Type().Key().Kind() == reflect.String:
		keys := values.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			if err := add(key.String(), values.MapIndex(key)); err != nil {
				return err
			}
		}
	case values.Kind() == reflect.Struct:
		for i := range values.NumField() {
			field := values.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || name == "-" {
				continue
			}
			if name == "" {
				name = field.Name
			}
			if err := add(name, values.Field(i)); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("train: metrics are a map from names to numbers or a struct, not %v", values)
	}
	return nil
}

func metricNumber(v reflect.Value) (string, error) {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	case v.CanFloat():
		x := v.Float()
		for text, special := range nonFinite {
			if x == special || math.IsNaN(x) && math.IsNaN(special) {
				return strconv.Quote(text), nil
			}
		}
		return strconv.FormatFloat(x, 'g', -1, v.Type().Bits()), nil
	}
	return "", errors.New("not a number")
}

var nonFinite = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

// A Record is one line of a metrics.jsonl.
type Record struct {
	Step   int
	Values map[string]float64 // without step; NaN and infinities as themselves
}

// ReadMetrics returns all lines of path, in order. A last line that a crash, or a run still writing, has cut off is left
// out, and so are values that are not numbers; any other damage is an error with its line.
func ReadMetrics(path string) ([]Record, error) {
	lines, err := readMetricLines(path)
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(lines))
	for i, l := range lines {
		records[i] = l.record
	}
	return records, nil
}

// truncateAfter drops from the metrics file at path every line of a step after the given one, and a cut-off last line,
// so that a run resumed at that step repeats none. A missing file is an empty one.
func truncateAfter(path string, step int) error {
	lines, err := readMetricLines(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return data.WriteAtomic(path, func(w io.Writer) error {
		for _, l := range lines {
			if l.record.Step > step {
				continue
			}
			if _, err := w.Write(append(slices.Clip(l.text), '\n')); err != nil {
				return err
			}
		}
		return nil
	})
}

type metricLine struct {
	text   []byte
	record Record
}

func readMetricLines(path string) ([]metricLine, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err // names the file
	}
	return parseMetrics(path, data)
}

func parseMetrics(path string, data []byte) ([]metricLine, error) {
	var lines []metricLine
	texts := bytes.Split(data, []byte("\n"))
	for i, text := range texts {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		record, err := parseMetricLine(text)
		if err != nil && i == len(texts)-1 {
			break // nothing ends it: it was cut off
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: not a line of metrics (%w): remove that line", path, i+1, err)
		}
		lines = append(lines, metricLine{text, record})
	}
	return lines, nil
}

func parseMetricLine(text []byte) (Record, error) {
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return Record{}, err
	}
	step, ok := values["step"].(float64)
	if !ok || step != math.Trunc(step) {
		return Record{}, errors.New("it has no step")
	}
	delete(values, "step")
	record := Record{Step: int(step), Values: make(map[string]float64, len(values))}
	for name, value := range values {
		switch value := value.(type) {
		case float64:
			record.Values[name] = value
		case string:
			if special, ok := nonFinite[value]; ok {
				record.Values[name] = special
			}
		}
	}
	return record, nil
}
