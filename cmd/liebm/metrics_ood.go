package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
)

func oodCommand() *cli.Command {
	return &cli.Command{
		Name:      "ood",
		Usage:     "AUROC, AUPR and FPR@95 of a run's scores, or of scores in files",
		ArgsUsage: "OUTLIERS...",
		Description: `With --run, the run scores its inliers and each set of outliers. The inliers are --inliers, or the test split
of the run's data (the valid split if there is no test split). A set of outliers is a known set (cifar100 is its
test split), a folder, a zip or an .npz. liebm itself makes these sets: constant, noise and inverted; flipped
(inliers upside down), shuffled (patches of inliers in a random order) and blurred; glyphs (letters and digits);
samples (of the run's G); left-out (images of the classes in data.leave_out of the run). Pictures are resized to the run's size. Arrays of images are resized or padded, as in
liebm score. The table has a row for each score and a column for each set, as in Tables 6, 7 and 9. With
--scores, the arguments and --scores are text files with one score in each line. Inliers score high. The
intervals are 95 % bootstrap intervals.

	liebm metrics ood --run runs/em constant noise cifar100:test
	liebm metrics ood --run runs/em photos/cats photos/dogs --format latex
	liebm metrics ood --scores in.txt svhn.txt celeba.txt`,
		Flags: []cli.Flag{
			checkpointFlag(), &cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.StringFlag{Name: "inliers", Usage: "`IMAGES` to use as inliers (default: the test split of the run's data)"},
			&cli.StringFlag{Name: "scores", Usage: "`FILE` of the inliers' scores, instead of a run"},
			gammaFlag(),
			countFlag("resamples", 1000, 0, "number of bootstrap samples; 0: no intervals"),
			&cli.Uint64Flag{Name: "seed", Usage: "seed of constant and noise images, and of the bootstrap"},
			choiceFlag("format", "text", "of the table: text, csv, md (Markdown) or latex", tableFormats...),
			skipFlag(), recordFlag(), jsonFlag(), deviceFlag(),
		},
		Action: ood,
	}
}

func ood(c *cli.Context) error {
	if c.NArg() == 0 || c.IsSet("run") == c.IsSet("scores") {
		return fmt.Errorf("name one or more sets of outliers, and either --run or --scores: see liebm metrics ood --help")
	}
	o := study.OutlierOptions{Sets: c.Args().Slice(), Inliers: c.String("inliers"), Gamma: gamma(c), Seed: c.Uint64("seed"),
		Resamples: c.Int("resamples"), Skip: c.Bool(skipUnreadable)}
	setup, err := sharedSetup(c)
	if err != nil {
		return err
	}
	defer setup.Group.Close()
	t := detectionTable{rows: oodRows, sets: study.SetNames(o.Sets)}
	detect := func() (*eval.Record, error) { return outliersOfRun(c.Context, c.String("run"), o, setup) }
	if scores := c.String("scores"); scores != "" {
		t.rows, detect = []oodRow{{"scores", ""}}, func() (*eval.Record, error) { return outliersInFiles(c.Context, scores, t.sets, o, setup) }
	}
	r, err := detect()
	if err != nil || setup.Group.Rank() > 0 {
		return err
	}
	t.values = r.Values
	return readResults(c).finish(r, "%s", t.write(c.String("format")))
}

// outliersOfRun measures the scores of a run.
func outliersOfRun(ctx context.Context, run string, o study.OutlierOptions, setup study.Setup) (*eval.Record, error) {
	for _, name := range o.Sets {
		if study.IsRun(name) {
			return nil, fmt.Errorf("%s is a run: draw its samples first, by liebm sample --run %s --out samples.npz", name, name)
		}
	}
	load := setup.LoadScorer
	if slices.Contains(o.Sets, "samples") {
		load = setup.LoadModel // G draws them
	}
	m, err := load(run)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return study.AssessOutliers(ctx, m, o, setup)
}

// outliersInFiles measures the scores in files, whose sets have these names.
func outliersInFiles(ctx context.Context, inliers string, names []string, o study.OutlierOptions, setup study.Setup) (*eval.Record, error) {
	names = append(study.SetNames([]string{inliers}), names...)
	var lists []study.ScoreList
	for i, path := range append([]string{inliers}, o.Sets...) {
		scores, err := readScores(path)
		if err != nil {
			return nil, err
		}
		lists = append(lists, study.ScoreList{Name: names[i], Scores: scores})
	}
	return study.AssessScores(ctx, lists[0], lists[1:], o, setup)
}

// readScores reads one number a line.
func readScores(path string) (scores []float64, err error) {
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

// oodRow is a score: its title, and the suffix of its values' names.
type oodRow struct{ title, suffix string }

var oodRows = []oodRow{{"s(x)", ""}, {"energy alone", "_energy"}, {"cosine alone", "_cosine"}}

// A detectionTable has AUROC as the paper's tables do, then the other measures: a row for each score, a column for each set.
type detectionTable struct {
	values eval.Values
	rows   []oodRow
	sets   []string
}

var oodMetrics = []struct{ key, title string }{{"auroc", "AUROC"}, {"aupr_in", "AUPR, inliers positive"}, {"aupr_out", "AUPR, outliers positive"},
	{"fpr95_in", "FPR@95, inliers positive"}, {"fpr95_out", "FPR@95, outliers positive"}}

var tableFormats = []string{"text", "csv", "md", "latex"}

// write is the table in a format.
func (t detectionTable) write(format string) string {
	switch format {
	case "csv":
		return t.csv()
	case "md":
		return t.parts(tableStyle{escape: strings.NewReplacer("|", `\|`), left: "| ", between: " | ", right: " |", rule: "|" + strings.Repeat("---|", len(t.sets)+1) + "\n", end: "\n"})
	case "latex":
		parts := t.parts(tableStyle{escape: strings.NewReplacer(`\`, `\textbackslash{}`, "_", `\_`, "%", `\%`, "&", `\&`, "#", `\#`, "$", `\$`, "{", `\{`, "}", `\}`,
			"~", `\textasciitilde{}`, "^", `\textasciicircum{}`), between: " & ", right: ` \\`, rule: "\\midrule\n", end: "\\midrule\n"})
		return "% needs \\usepackage{booktabs}\n\\begin{tabular}{l" + strings.Repeat("c", len(t.sets)) + "}\n\\toprule\n" +
			strings.TrimSuffix(parts, "\\midrule\n") + "\\bottomrule\n\\end{tabular}\n"
	}
	return t.parts(tableStyle{escape: strings.NewReplacer(), between: "\t", indent: "  "})
}

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
	for _, metric := range oodMetrics {
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
	for _, metric := range oodMetrics {
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
