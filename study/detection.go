package study

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/liebm/liebm/eval"
)

// DetectionFormats are the formats of [DetectionTable].
var DetectionFormats = []string{"text", "csv", "md", "latex"}

// DetectionTable is a record of [AssessOutliers] or [AssessScores] as a table. It has AUROC as the paper's tables do, then the other
// measures: a row for each score, a column for each of the sets of outliers. Columns of text are separated by tabs.
func DetectionTable(r *eval.Record, sets []string, format string) string {
	t := detectionTable{values: r.Values, sets: sets, rows: []scoreRow{{"s(x)", ""}, {"energy alone", "_energy"}, {"cosine alone", "_cosine"}}}
	has := func(score string) bool {
		return slices.ContainsFunc(sets, func(set string) bool { _, ok := r.Values["auroc"+score+"/"+set]; return ok })
	}
	switch {
	case !has("_energy"):
		t.rows = []scoreRow{{"scores", ""}}
	case has("_z"):
		t.rows = append(t.rows, scoreRow{"both, standardized", "_z"})
	}
	switch format {
	case "csv":
		return t.csv()
	case "md":
		return t.parts(tableStyle{escape: strings.NewReplacer("|", `\|`), left: "| ", between: " | ", right: " |", rule: "|" + strings.Repeat("---|", len(sets)+1) + "\n", end: "\n"})
	case "latex":
		parts := t.parts(tableStyle{escape: strings.NewReplacer(`\`, `\textbackslash{}`, "_", `\_`, "%", `\%`, "&", `\&`, "#", `\#`, "$", `\$`, "{", `\{`, "}", `\}`,
			"~", `\textasciitilde{}`, "^", `\textasciicircum{}`), between: " & ", right: ` \\`, rule: "\\midrule\n", end: "\\midrule\n"})
		return "% needs \\usepackage{booktabs}\n\\begin{tabular}{l" + strings.Repeat("c", len(sets)) + "}\n\\toprule\n" +
			strings.TrimSuffix(parts, "\\midrule\n") + "\\bottomrule\n\\end{tabular}\n"
	}
	return t.parts(tableStyle{escape: strings.NewReplacer(), between: "\t", indent: "  "})
}

// scoreRow is a score: its title, and the suffix of its values' names.
type scoreRow struct{ title, suffix string }

type detectionTable struct {
	values eval.Values
	rows   []scoreRow
	sets   []string
}

var detectionMetrics = []struct{ key, title string }{{"auroc", "AUROC"}, {"aupr_in", "AUPR, inliers positive"}, {"aupr_out", "AUPR, outliers positive"},
	{"fpr95_in", "FPR@95, inliers positive"}, {"fpr95_out", "FPR@95, outliers positive"}}

// A tableStyle is how the part of a metric is written: the names of sets, rule, a line for each score, end.
type tableStyle struct {
	rule, end                    string
	left, indent, between, right string // of a line; indent is of a score's
	escape                       *strings.Replacer
}

func (t detectionTable) parts(s tableStyle) string {
	var b strings.Builder
	line := func(indent, title string, cell func(set string) string) {
		b.WriteString(s.left + indent + s.escape.Replace(title))
		for _, set := range t.sets {
			b.WriteString(s.between + s.escape.Replace(cell(set)))
		}
		b.WriteString(s.right + "\n")
	}
	for _, metric := range detectionMetrics {
		line("", metric.title, func(set string) string { return set })
		b.WriteString(s.rule)
		for _, score := range t.rows {
			line(s.indent, score.title, func(set string) string {
				key := metric.key + score.suffix + "/" + set
				text := fmt.Sprintf("%.3f", t.values[key])
				if low, ok := t.values[key+"/low"]; ok {
					text += fmt.Sprintf(" [%.3f, %.3f]", low, t.values[key+"/high"])
				}
				return text
			})
		}
		b.WriteString(s.end)
	}
	return b.String()
}

// csv has a line for each number, with the ends of its interval.
func (t detectionTable) csv() string {
	var b strings.Builder
	lines := csv.NewWriter(&b)
	_ = lines.Write([]string{"metric", "score", "set", "value", "low", "high"}) // a Builder does not fail
	for _, metric := range detectionMetrics {
		for _, score := range t.rows {
			for _, set := range t.sets {
				line := []string{metric.key, score.title, set}
				for _, end := range []string{"", "/low", "/high"} {
					number := ""
					if v, ok := t.values[metric.key+score.suffix+"/"+set+end]; ok {
						number = strconv.FormatFloat(v, 'g', -1, 64)
					}
					line = append(line, number)
				}
				_ = lines.Write(line)
			}
		}
	}
	lines.Flush()
	return b.String()
}

// ReadScores reads a text file with one score in each line. It returns an error for a file without scores, and for a line that is
// not a number or is NaN.
func ReadScores(path string) (scores []float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %.40q is no number: write one score in each line", path, n, text)
		}
		if math.IsNaN(v) {
			return nil, fmt.Errorf("%s:%d: the score is NaN: leave out images with such scores, in all files, or mend the model", path, n)
		}
		scores = append(scores, v)
	}
	if lines.Err() == nil && len(scores) == 0 {
		return nil, fmt.Errorf("%s has no score: write one score in each line", path)
	}
	return scores, lines.Err()
}
