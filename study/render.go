package study

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/internal/shell"

	"github.com/liebm/liebm/train"
)

// Markdown is the result as a page: the table, the plot, the pictures, the trends, and what the figures
// can be compared with.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Title)
	if r.Text != "" {
		return b.String() + r.Text
	}
	fmt.Fprintf(&b, "    %s\n\n%s\n%s\nMeasured with liebm %s.\n", r.Command, r.Setting, r.seedsNote(), r.version())
	if v := r.listed(func(c Cell) string { return c.Version }); v != "" {
		fmt.Fprintf(&b, "Trained with liebm %s.\n", v)
	}
	if hs := r.listed(Cell.encoder); hs != "" {
		fmt.Fprintf(&b, "Encoders, with the first digits of the SHA-256 of their files: %s.\n", hs)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "%s\n", r.Note)
	}
	r.table(&b)
	pictures := r.Pictures
	if len(r.Curves) > 0 {
		pictures = append([]Figure{{r.Name + ".svg", r.Title}}, pictures...)
	}
	for _, p := range pictures {
		fmt.Fprintf(&b, "\n![%s](%s)\n", p.Caption, p.File)
	}
	r.trends(&b)
	return b.String()
}

// seedsNote says how many seeds the figures of the table are from.
func (r *Result) seedsNote() string {
	seeds := map[string]int{} // of each model
	for _, c := range r.Cells {
		seeds[c.Name]++
	}
	most := 0
	for _, n := range seeds {
		most = max(most, n)
	}
	if most <= 1 {
		return "One seed."
	}
	return fmt.Sprintf("Mean ± standard deviation over up to %d seeds. Rows may have different seeds: compare them by the verdicts.", most)
}

// version is the version of liebm that measured the result.
func (r *Result) version() string { return cmp.Or(r.Versions["liebm"], "of an unknown version") }

// listed are the different texts of the models, without empty ones.
func (r *Result) listed(text func(Cell) string) string {
	var all []string
	for _, c := range r.Cells {
		if t := text(c); t != "" {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// encoder is the name of the encoder with the first digits of its checksum. Results of earlier versions have no checksum: since
// then, the encoder that comes with liebm was trained again.
func (c Cell) encoder() string {
	switch {
	case c.Encoder == "":
		return ""
	case c.H != "":
		return fmt.Sprintf("%s %.12s", c.Encoder, c.H)
	case slices.Contains(train.PretrainedRuns(), c.Encoder):
		return fmt.Sprintf("an earlier version of %s (no checksum is on record)", c.Encoder)
	}
	return c.Encoder + " (no checksum is on record)"
}

// trends writes what the models show of the paper's claims, and after it every number of the models that the claims compare.
func (r *Result) trends(b *strings.Builder) {
	if len(r.Trends) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n\n", verdictNote)
	tableHead(b, "| claim | here | number | seeds | better | worse | gain | 95 % interval | tie band or limit |")
	for _, t := range r.Trends {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", t.Text, t.verdict(), t.Name, t.line(), t.band())
	}
	if len(r.Pairs) == 0 {
		return
	}
	fmt.Fprint(b, "\n## The same models in other numbers\n\nThe names are those of the JSON file, which has all numbers that were measured. auroc is the AUROC of s(x), auroc_energy that of\n"+
		"F(f(x)) alone. A distance (fd, fd_h or fid) is that after the chain, with _no_mcmc that of G alone, and with _early that of G alone after a\n"+
		"quarter of the steps.\n")
	for _, p := range r.Pairs {
		fmt.Fprintf(b, "\n### %s, against %s\n\n", p.First, p.Second)
		tableHead(b, "| number | seeds | "+p.First+" | "+p.Second+" | gain | 95 % interval |")
		for _, n := range p.Numbers {
			fmt.Fprintf(b, "| %s | %s |\n", n.Name, n.line())
		}
	}
}

// band is the tie band, or the limit of a claim that has one.
func (t Trend) band() string {
	if t.Limit > 0 {
		return fmt.Sprintf("limit %.2g", t.Limit)
	}
	return fmt.Sprintf("± %.2g", t.Tie)
}

// verdictNote says how verdicts are reached.
var verdictNote = fmt.Sprintf(`A verdict compares models of the same seed and data order, and needs %d seeds. They have the same encoder, unless the claim is about
encoders. All seeds of a study share it, so an interval does not include the differences between encoders. A gain above 0 means
that the first model is better, also for numbers where smaller is better. The interval is that of the mean gain (95 %%, Student's t).
Gains inside the tie band count as equal. The band is 0.01 for AUROC, accuracies and SSIM, 0.1 dB for PSNR, 10 modes, and 5 %% for
distances, errors and IS. The verdict is "shows" if the interval is above 0 and the mean is above the band. It is "contradicts" if the
interval is below 0 and the mean is below minus the band. It is "tie" if the interval is inside the band. Some claims have a limit ("at
most") and allow that the first model is slightly worse. For these, the verdict is "shows" if the interval is above minus the limit, and
"contradicts" if it is below minus the limit. Everything else is "undecided", also if the model of one seed diverged. The intervals are
not widened for the number of claims.`, MinSeeds)

// verdict is the verdict, and why it is no other where that is not plain.
func (t Trend) verdict() string {
	if t.Diverged > 0 {
		return fmt.Sprintf("%s (%d diverged)", t.Verdict, t.Diverged)
	}
	return string(t.Verdict)
}

// line is the contrast in cells of a table.
func (c Contrast) line() string {
	if c.Seeds == 0 {
		return "0 | | | | "
	}
	interval := ""
	if c.Interval != nil {
		interval = fmt.Sprintf("%+.3g to %+.3g", c.Interval[0], c.Interval[1])
	}
	return fmt.Sprintf("%d | %.4g | %.4g | %+.3g | %s", c.Seeds, c.Means["better"], c.Means["worse"], c.Gain, interval)
}

// tableHead writes the line of a table's column titles, and below it the rule with as many columns.
func tableHead(b *strings.Builder, titles string) {
	fmt.Fprintf(b, "%s\n|%s\n", titles, strings.Repeat("---|", strings.Count(titles, "|")-1))
}

// table writes the rows: the published figures, and ours after them.
func (r *Result) table(b *strings.Builder) {
	heads := []string{""}
	for _, title := range r.Published {
		heads = append(heads, "published "+title)
	}
	for _, title := range r.Columns {
		heads = append(heads, "ours "+title)
	}
	heads = append(heads, "seeds")
	tableHead(b, "\n| "+strings.Join(heads, " | ")+" |")
	var notes []string
	for _, row := range r.Rows {
		line := []string{row.Label}
		for _, title := range r.Published {
			line = append(line, row.Published[title])
		}
		for _, title := range r.Columns {
			line = append(line, spread(row.values(title)))
		}
		seeds := ""
		if len(row.Ours) > 0 {
			seeds = fmt.Sprint(len(row.Ours))
		}
		line = append(line, seeds)
		fmt.Fprintf(b, "| %s |\n", strings.Join(line, " | "))
		for _, note := range row.Notes {
			notes = append(notes, row.Label+": "+note)
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "\n%s.\n", strings.Join(notes, "; "))
	}
}

// spread is a mean, and its standard deviation where there are several values.
func spread(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%.4g", values[0])
	}
	mean, deviation := stat.MeanStdDev(values, nil)
	return fmt.Sprintf("%.4g ± %.2g", mean, deviation)
}

// command is the command line that makes the study again.
func (p *Plan) command(s Study) string {
	text := fmt.Sprintf("liebm reproduce %s %s", s.Name, p.scale.flags())
	if s.measures(ofGivenOutliers) {
		for _, source := range p.scale.Outliers {
			text += " --outliers " + shell.Word(source)
		}
	}
	if p.scale.Steps > 0 {
		text += fmt.Sprintf(" --steps %d", p.scale.Steps)
	}
	if len(p.seeds) > 1 || p.seeds[0] != 1 {
		text += " --seeds " + strings.Trim(strings.ReplaceAll(fmt.Sprint(p.seeds), " ", ","), "[]")
	}
	return text
}
