package main

import (
	"fmt"
	"strings"
)

// markdown is the study as a page: table, plot, trends, and what to keep in mind.
func (r *studyResult) markdown(s study, p *plan, pictures [][2]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", s.Title)
	fmt.Fprintf(&b, "    %s\n\n", p.command(s))
	fmt.Fprintln(&b, p.scale.caveat(p.seeds))
	if s.Note != "" {
		fmt.Fprintf(&b, "%s\n", s.Note)
	}
	heads := []string{""}
	for _, title := range s.Published {
		heads = append(heads, "published "+title)
	}
	for _, title := range r.Columns {
		heads = append(heads, "ours "+title)
	}
	fmt.Fprintf(&b, "\n| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	var notes []string
	for _, line := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s |\n", line.Label, strings.Join(line.cells, " | "))
		for _, d := range line.Diverged {
			notes = append(notes, line.Label+": "+d)
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, "\n%s.\n", strings.Join(notes, "; "))
	}
	for _, picture := range pictures {
		fmt.Fprintf(&b, "\n![%s](%s)\n", picture[1], picture[0])
	}
	if len(r.Trends) > 0 {
		fmt.Fprintf(&b, "\n| the paper's trend | here | seeds | better | worse |\n|---|---|---|---|---|\n")
		for _, t := range r.Trends {
			if t.Seeds == 0 {
				fmt.Fprintf(&b, "| %s | %s | | | |\n", t.Text, t.verdict())
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %d of %d | %.4g | %.4g |\n", t.Text, t.verdict(), t.Shown, t.Seeds, t.Better, t.Worse)
		}
	}
	return b.String()
}

// command is what makes the study again.
func (p *plan) command(s study) string {
	text := fmt.Sprintf("liebm reproduce %s --scale %s", s.Name, p.scale.name)
	if p.scale.steps > 0 {
		text += fmt.Sprintf(" --steps %d", p.scale.steps)
	}
	if len(p.seeds) > 1 || p.seeds[0] != 1 {
		text += " --seeds " + strings.Trim(strings.ReplaceAll(fmt.Sprint(p.seeds), " ", ","), "[]")
	}
	return text
}

// caveat says what the figures can be compared with.
func (sc scale) caveat(seeds []uint64) string {
	n := "one seed"
	if len(seeds) > 1 {
		n = fmt.Sprintf("mean ± standard deviation over %d seeds", len(seeds))
	}
	if sc.name == "paper" && len(sc.set) > 0 {
		return fmt.Sprintf("The published setting (Table 12) but for %s; %s.", strings.Join(sc.set, ", "), n)
	}
	if sc.name == "paper" {
		return fmt.Sprintf("The published setting (Table 12); %s.", n)
	}
	return fmt.Sprintf("A miniature: Fashion-MNIST, networks of under a million parameters, %s, and distances on a small classifier's\n"+
		"features (FD; lower is better; 10,000 samples against the test split). Only the order of rows can be laid beside the\npublished figures; %s, one encoder for all.", sc.length(), n)
}

func (sc scale) length() string {
	for i := len(sc.set) - 1; i >= 0; i-- {
		if steps, ok := strings.CutPrefix(sc.set[i], "steps="); ok {
			return steps + " steps of 16 images"
		}
	}
	return "a preset's steps"
}
