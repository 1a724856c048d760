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
	least float64
}

var aims = []aim{
	{"modes of stacked Fashion-MNIST, of 1,000, in samples of EM", "modes", reading{"em", "modes"}, 990},
	{"AUROC of EM against letters and digits of fonts (glyphs)", "near", reading{"em", "auroc/glyphs"}, 0.95},
	{"AUROC of EM against handwritten digits", "digits.jsonl", reading{metric: "auroc/digits"}, 0.95},
	{"accuracy of 5-NN on h of pretrained:fmnist", "pretrained:fmnist", reading{metric: "5-NN"}, 0.87},
	{"accuracy of a linear probe on h of pretrained:fmnist", "pretrained:fmnist", reading{metric: "linear probe"}, 0.88},
}

// longer are trainings that are no study. Their pages, by liebm compare, have these names.
var longer = []struct{ page, text string }{
	{"stability-two-modes-long", "two modes by target=em for 10,000 steps"},
	{"stability-fmnist-long", "fmnist-em for 20,000 steps from five seeds"},
	{"presets-published", "the preset cifar10-em-published, which has Table 12's settings"},
	{"presets-published-others", "the presets imagenet32-em-published and celebahq256-em-published, which have Table 12's settings"},
}

// notReproducedPage lists the claims that the means do not support, the missed aims, and the studies that have no page in dir.
func notReproducedPage(dir string, results []*Result) (string, error) {
	missed, unknown, err := judgeAims(dir, results)
	page := "# Not reproduced\n"
	for _, part := range []struct {
		title, text string
		lines       []string
	}{
		{"Claims that the means do not support", "In these claims the first model is worse on average, or worse than the limit of the claim. Claims with the verdict tie are not listed. The reasons are hypotheses. A reason with \"To test\" has not been tested.", notShown(results)},
		{"Missed aims", "We set ourselves these aims. They are no figures of the paper.", missed},
		{"Not run or not measured", "This folder has no results of these. Tables 1 to 7 need the paper's data sets.", append(unknown, notRun(dir, results)...)},
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

// judgeAims lists the aims that were missed, and those that were not measured.
func judgeAims(dir string, results []*Result) (missed, unknown []string, err error) {
	for _, a := range aims {
		values, err := a.values(dir, results)
		if err != nil {
			return nil, nil, err
		}
		line := fmt.Sprintf("**%s: at least %v**", a.text, a.least)
		switch mean := stat.Mean(values, nil); {
		case len(values) == 0:
			unknown = append(unknown, line)
		case mean < a.least:
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
		if v, ok := values[a.value.metric]; ok {
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
