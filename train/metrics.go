package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/liebm/liebm/data"
)

// MetricsLine is one line of a metrics.jsonl: a JSON object, "step" first, then numbers by name. JSON has
// no NaN or infinity. They are written as the strings "NaN", "Infinity" and "-Infinity", which float() of Python and
// Number() of JavaScript read. A null would not tell them apart, and they matter when a run diverges.
type MetricsLine struct {
	Step   int
	Values map[string]float64 // without step; NaN and infinities as themselves
}

// openMetrics opens a metrics.jsonl for appending, and creates it if it does not exist. A resumed run calls truncateAfter first.
func openMetrics(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	return file, data.WriteError(path, err)
}

// appendTo writes the line in one write, so that a reader never sees a part of it.
func (l MetricsLine) appendTo(file *os.File) error {
	if _, wrong := l.Values["step"]; wrong {
		return fmt.Errorf("train: metric %q at step %d: use another name than step", "step", l.Step)
	}
	_, err := file.Write(append(l.text(), '\n'))
	return data.WriteError(file.Name(), err)
}

// text is the line as JSON, with all digits.
func (l MetricsLine) text() []byte {
	line := fmt.Appendf(nil, `{"step":%d`, l.Step)
	for _, name := range slices.Sorted(maps.Keys(l.Values)) {
		key, _ := json.Marshal(name) // a string always has a JSON form
		line = fmt.Appendf(line, ",%s:%s", key, metricNumber(l.Values[name]))
	}
	return append(line, '}')
}

func metricNumber(x float64) string {
	for text, special := range nonFinite {
		if x == special || math.IsNaN(x) && math.IsNaN(special) {
			return strconv.Quote(text)
		}
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

var nonFinite = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}

// ReadMetrics returns the lines of the metrics.jsonl at path, in order. It leaves out values that are not numbers. It
// also leaves out an incomplete last line, which a crash can cause. Any other damage is an error with the number of the
// line.
func ReadMetrics(path string) ([]MetricsLine, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err // names the file
	}
	lines, _, err := parseMetrics(path, text)
	return lines, err
}

// truncateAfter removes the lines after a step from the metrics file at path, and an incomplete last line, so that a run
// resumed at that step repeats none. A missing file counts as an empty one.
func truncateAfter(path string, step int) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines, texts, err := parseMetrics(path, text)
	if err != nil {
		return err
	}
	var kept []byte
	for i, l := range lines {
		if l.Step <= step {
			kept = append(append(kept, texts[i]...), '\n')
		}
	}
	return data.WriteBytes(path, kept)
}

// parseMetrics returns the lines of a metrics file, and their texts.
func parseMetrics(path string, file []byte) (lines []MetricsLine, texts [][]byte, err error) {
	all := bytes.Split(file, []byte("\n"))
	for i, text := range all {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		line, err := parseMetricLine(text)
		if err != nil && i == len(all)-1 {
			break // incomplete: nothing ends it
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: not a line of metrics (%w): remove that line", path, i+1, err)
		}
		lines, texts = append(lines, line), append(texts, text)
	}
	return lines, texts, nil
}

func parseMetricLine(text []byte) (MetricsLine, error) {
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return MetricsLine{}, err
	}
	step, ok := values["step"].(float64)
	if !ok || step != math.Trunc(step) {
		return MetricsLine{}, errors.New("it has no step")
	}
	delete(values, "step")
	record := MetricsLine{Step: int(step), Values: make(map[string]float64, len(values))}
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
