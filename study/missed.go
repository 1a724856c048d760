package study

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// notReproduced is the page, without .md, that says what could not be reproduced.
const notReproduced = "not-reproduced"

// An aim is a figure that our models should reach. It is no claim of the paper.
type aim struct {
	text  string  // the figure
	from  string  // a study, a file of records, or one of train.PretrainedRuns
	value reading // of a study: a variant's number; of records: the number; of a run: the name that its card has for it
	minus string  // a number of the same source that is subtracted; empty: none
	least float64
	most  float64 // 0: no limit above
}

var aims = []aim{
	{text: "modes of stacked Fashion-MNIST, of 1,000, in samples of EM", from: "modes", value: reading{"em", "modes"}, least: 990},
	{text: "AUROC of EM against letters and digits of fonts (glyphs)", from: "near", value: reading{"em", "auroc/glyphs"}, least: 0.95},
	{text: "AUROC of EM against handwritten digits", from: "digits.jsonl", value: reading{metric: "auroc/digits"}, least: 0.95},
	{text: "AUROC of EM against handwritten digits, less that of F(f(x)) alone", from: "digits.jsonl", value: reading{metric: "auroc/digits"}, minus: "auroc_energy/digits", least: 0},
	{text: "distance after make demo", from: "demo.jsonl", value: reading{metric: "fd"}, most: 13},
	{text: "accuracy of 5-NN on h of pretrained:fmnist", from: "pretrained:fmnist", value: reading{metric: "5-NN"}, least: 0.87},
	{text: "accuracy of a linear probe on h of pretrained:fmnist", from: "pretrained:fmnist", value: reading{metric: "linear probe"}, least: 0.88},
}

// longer are trainings that are no study. Their pages, by liebm compare, have these names.
var longer = []struct{ page, text string }{
	{"stability-two-modes-long", "two modes by target=em for 10,000 steps"},
	{"stability-fmnist-long", "fmnist-em for 20,000 steps from five seeds"},
	{"presets-celebahq256-long", "celebahq256-em for thousands of steps on RGB images: after 300 steps ([presets-celebahq256](presets-celebahq256.md)) it is not known whether it learns"},
	{"presets-full-width", "the presets of the paper's data sets at full width and with latents, for hundreds of steps on RGB images"},
	{"stability-rgb-long", "a folder of RGB pictures for 20,000 steps from five seeds"},
	{"presets-published", "the preset cifar10-em-published, which has Table 12's settings"},
	{"presets-published-others", "the presets imagenet32-em-published and celebahq256-em-published, which have Table 12's settings"},
}

// notTried are ideas that might help and that liebm does not have.
var notTried = []string{
	"against divergences: a penalty on energies, spectral norm with a learnt scale, noise added to the data, a step of the chain that adapts to the curvature",
	"for better samples after equal time: negative samples from a buffer",
}

// notReproducedPage lists the claims that the results do not support or leave open, the missed aims, and the studies, models and
// numbers that dir lacks.
func notReproducedPage(dir string, results []*Result) (string, error) {
	missed, unknown, err := judgeAims(dir, results)
	page := "# Not reproduced\n"
	for _, part := range []struct {
		title, text string
		lines       []string
	}{
		{"Claims that the means do not support", "In these claims the first model is worse on average, or worse than the limit of the claim. The reasons are hypotheses. A reason with \"To test\" has not been tested.", notShown(results)},
		{"Claims that the results leave open", "The interval contains gains and losses, or it is inside the tie band (tie), or there are fewer than three seeds.", leftOpen(results)},
		{"Missed aims", "We set ourselves these aims. They are no figures of the paper.", missed},
		{"Not run or not measured", "This folder has no results of these. Tables 1 to 7 need the paper's data sets.", slices.Concat(unknown, gaps(results), notRun(dir, results))},
		{"Not tried", "Ideas that might help, and that liebm does not have.", notTried},
	} {
		if len(part.lines) > 0 {
			page += fmt.Sprintf("\n## %s\n\n%s\n\n- %s\n", part.title, part.text, strings.Join(part.lines, "\n- "))
		}
	}
	return page, err
}

// notShown lists the claims that the means do not support, with possible reasons.
func notShown(results []*Result) (lines []string) {
	for _, r := range results {
		for _, t := range r.Trends {
			if t.Seeds > 0 && t.Gain < -t.Limit && t.Verdict != Shows && t.Verdict != Tie {
				lines = append(lines, fmt.Sprintf("**%s** ([%s](%s.md): %s, gain %+.3g, number of seeds %d). %s",
					t.Text, r.Name, r.Name, t.verdict(), t.Gain, t.Seeds, cmp.Or(t.Why, "We know no reason.")))
			}
		}
	}
	return lines
}

// leftOpen lists the other claims that were measured and are not shown.
func leftOpen(results []*Result) (lines []string) {
	for _, r := range results {
		for _, t := range r.Trends {
			if t.Verdict == Tie || t.Verdict == Undecided && t.Seeds > 0 && t.Gain >= -t.Limit {
				line := fmt.Sprintf("**%s** ([%s](%s.md): %s, gain %+.3g", t.Text, r.Name, r.Name, t.verdict(), t.Gain)
				if t.Interval != nil {
					line += fmt.Sprintf(", interval %+.3g to %+.3g", t.Interval[0], t.Interval[1])
				}
				lines = append(lines, fmt.Sprintf("%s, number of seeds %d)", line, t.Seeds))
			}
		}
	}
	return lines
}

// gaps lists what the pages of studies lack: models of [MinSeeds] seeds, and numbers of claims.
func gaps(results []*Result) (lines []string) {
	for _, r := range results {
		s, err := Named(r.Name)
		if err != nil {
			continue
		}
		var few []string
		for _, row := range s.rows {
			at := slices.IndexFunc(r.Rows, func(of Row) bool { return of.Label == row.label })
			if row.variant == "" {
				continue
			}
			if at < 0 || len(r.Rows[at].Ours) == 0 {
				few = append(few, row.label+" (none)")
			} else if n := len(r.Rows[at].Ours); n < MinSeeds {
				few = append(few, fmt.Sprintf("%s (%d)", row.label, n))
			}
		}
		if len(few) > 0 {
			lines = append(lines, fmt.Sprintf("[%s](%[1]s.md): fewer than %d seeds of %s", r.Name, MinSeeds, strings.Join(few, ", ")))
		}
		for _, t := range r.Trends {
			if t.Seeds == 0 {
				lines = append(lines, fmt.Sprintf("[%s](%[1]s.md): %s", r.Name, t.Text))
			}
		}
	}
	return lines
}

// judgeAims lists the aims that were missed, and those that were not measured.
func judgeAims(dir string, results []*Result) (missed, unknown []string, err error) {
	for _, a := range aims {
		values, err := a.values(dir, results)
		if err != nil {
			return nil, nil, err
		}
		line := fmt.Sprintf("**%s: at least %v**", a.text, a.least)
		if a.most > 0 {
			line = fmt.Sprintf("**%s: at most %v**", a.text, a.most)
		}
		switch mean := stat.Mean(values, nil); {
		case len(values) == 0:
			unknown = append(unknown, line)
		case mean < a.least || a.most > 0 && mean > a.most:
			missed = append(missed, fmt.Sprintf("%s. It is %.4g (%s).", line, mean, a.source(len(values))))
		}
	}
	return missed, unknown, nil
}

// source says what the figure of an aim is the mean of.
func (a aim) source(n int) string {
	switch {
	case slices.Contains(train.PretrainedRuns(), a.from):
		return "its card"
	case strings.HasSuffix(a.from, ".jsonl"):
		return fmt.Sprintf("mean of %d records in [%s](%[2]s)", n, a.from)
	}
	return fmt.Sprintf("mean of %d models, [%s](%[2]s.md)", n, a.from)
}

// values are the figures that an aim is judged by; none if it was not measured.
func (a aim) values(dir string, results []*Result) (all []float64, err error) {
	add := func(values eval.Values) {
		v, ok := values[a.value.metric]
		if a.minus != "" {
			v -= values[a.minus]
		}
		if ok {
			all = append(all, v)
		}
	}
	for _, r := range results {
		for _, c := range r.Cells {
			if r.Name == a.from && c.Name == r.Variants[a.value.variant] && c.Diverged == "" {
				add(c.Values)
			}
		}
	}
	if path := filepath.Join(dir, a.from); strings.HasSuffix(path, ".jsonl") && exists(path) {
		records, err := eval.ReadRecords(path)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			add(r.Values)
		}
	}
	if slices.Contains(train.PretrainedRuns(), a.from) {
		card, err := train.PretrainedCard(a.from)
		if err != nil {
			return nil, err
		}
		add(figuresOf(string(card)))
	}
	return all, nil
}

// figuresOf are the figures of a model card, by the note behind each.
func figuresOf(card string) eval.Values {
	all := eval.Values{}
	for line := range strings.Lines(card) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 5 {
			if v, err := strconv.ParseFloat(strings.TrimSpace(cells[2]), 64); err == nil {
				all[strings.TrimSpace(cells[3])] = v
			}
		}
	}
	return all
}

// notRun lists the studies and trainings that have no results in dir.
func notRun(dir string, results []*Result) (lines []string) {
	for _, s := range studies {
		if s.text == nil && !slices.ContainsFunc(results, func(r *Result) bool { return r.Name == s.Name }) {
			lines = append(lines, fmt.Sprintf("%s: %s", s.Name, s.Title))
		}
	}
	for _, l := range longer {
		if !exists(filepath.Join(dir, l.page+".json")) {
			lines = append(lines, l.text)
		}
	}
	return lines
}
