package study

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
)

// ReadResults reads the results of studies in dir, in the order of [Names]. Texts, tables, trends and curves are made again from
// the models in the files.
func ReadResults(dir string) (all []*Result, err error) {
	for _, s := range studies {
		path := filepath.Join(dir, s.Name+".json")
		if !exists(path) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var r Result
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if len(r.Cells) > 0 {
			sc := r.scale()
			again := s.lay(sc, s.byVariant(sc, &r))
			if len(again.Cells) < len(r.Cells) {
				return nil, fmt.Errorf("%s: %d of its %d models are of no variant of %s: train them again, or write the page with the version that trained them",
					path, len(r.Cells)-len(again.Cells), len(r.Cells), s.Name)
			}
			again.Command, again.Pictures, again.Versions = r.Command, r.Pictures, r.Versions
			r = *again
		}
		all = append(all, &r)
	}
	return all, nil
}

// scale is the scale that the models of a result were trained and measured at.
func (r *Result) scale() Scale {
	sc := scaleNamed(r.Scale)
	sc.Samples, sc.Set, sc.Outliers = cmp.Or(r.Samples, sc.Samples), recorded(r.Cells), r.Outliers
	return sc
}

// byVariant are the models of a study's variants. Two variants that train the same have the same models, under the name of the
// first. Results of earlier versions do not say which variants those are. For them, the settings of this version decide.
func (s Study) byVariant(sc Scale, r *Result) map[string][]Cell {
	f, all := newFolder("", sc.dataOf(s), sc), map[string][]Cell{}
	for _, name := range s.variants() {
		trained, known := r.Variants[name]
		if !known && r.Variants == nil {
			trained = f.cell(name).name
		}
		for _, c := range r.Cells {
			if c.Name == trained {
				all[name] = append(all[name], c)
			}
		}
	}
	return all
}

// WritePages writes the pages of the results and comparisons in dir again, from their JSON, and README.md, which lists
// every claim with its verdict. It also lists the titles of all other pages (*.md) in dir. not-reproduced.md says what could not be
// reproduced.
func WritePages(dir string) error {
	results, err := ReadResults(dir)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := r.write(dir); err != nil {
			return err
		}
	}
	comparisons, err := rewriteComparisons(dir)
	if err != nil {
		return err
	}
	if len(results)+comparisons == 0 {
		return fmt.Errorf("%s has no results of liebm reproduce, such as fig6.json, and none of liebm compare", dir)
	}
	others, err := otherPages(dir, results)
	if err != nil {
		return err
	}
	missing, err := notReproducedPage(dir, results)
	if err != nil {
		return err
	}
	if err := data.WriteBytes(filepath.Join(dir, notReproduced+".md"), []byte(missing)); err != nil {
		return err
	}
	return data.WriteBytes(filepath.Join(dir, "README.md"), []byte(contents(results)+others))
}

// contents is the page that lists the claims of results.
func contents(results []*Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results of the studies\n\nEach page says what its figures can be compared with, and which version of liebm measured them. These commands train and measure\n"+
		"the models again. `liebm reproduce --pages FOLDER` writes the pages again from the JSON files.\n\n")
	paper, own := map[Verdict]int{}, map[Verdict]int{}
	for _, r := range results {
		if r.Command != "" {
			fmt.Fprintf(&b, "    %s\n", r.Command)
		}
		for _, t := range r.Trends {
			if r.published() && !t.Ours {
				paper[t.Verdict]++
			} else {
				own[t.Verdict]++
			}
		}
	}
	fmt.Fprintf(&b, "\n%s\n\n[Not reproduced](%s.md) lists the claims that are not shown, the missed aims, and what has not been run or tried.\n", verdictNote, notReproduced)
	tableHead(&b, "\n| | claims | shows | tie | contradicts | undecided | not measured |")
	for _, line := range []struct {
		of    string
		count map[Verdict]int
	}{{"tables and figures of the paper", paper}, {"comparisons that are not in the paper", own}} {
		n, all := line.count, 0
		for _, k := range n {
			all += k
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", line.of, all, n[Shows], n[Tie], n[Contradicts], n[Undecided], n[NotMeasured])
	}
	tableHead(&b, "\n| page | claim | here | number | seeds | better | worse | gain | 95 % interval |")
	for _, r := range results {
		link := fmt.Sprintf("[%s](%s.md)", r.Name, r.Name)
		if len(r.Trends) == 0 {
			fmt.Fprintf(&b, "| %s | %s | | | | | | | |\n", link, r.Title)
		}
		for _, t := range r.Trends {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", link, t.Text, t.verdict(), t.Name, t.line())
		}
	}
	return b.String()
}

// published reports whether the study is a table or figure of the paper.
func (r *Result) published() bool {
	return strings.HasPrefix(r.Name, "table") || strings.HasPrefix(r.Name, "fig")
}

// rewriteComparisons judges the comparisons in dir again, writes their pages and plots, and returns their number. A comparison is
// a JSON file with groups of runs; other files are left alone.
func rewriteComparisons(dir string) (n int, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return n, err
		}
		var c Comparison
		if json.Unmarshal(text, &c) != nil || len(c.Groups) == 0 {
			continue
		}
		c.judge()
		if err := c.Write(dir, strings.TrimSuffix(filepath.Base(path), ".json")); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// otherPages lists the pages in dir that are not of results, by their first lines.
func otherPages(dir string, results []*Result) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		if name == "README" || name == notReproduced || slices.ContainsFunc(results, func(r *Result) bool { return r.Name == name }) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		title, _, _ := bytes.Cut(text, []byte("\n"))
		fmt.Fprintf(&b, "- [%s](%s.md)\n", strings.TrimLeft(string(title), "# "), name)
	}
	if b.Len() == 0 {
		return "", nil
	}
	return "\nOther pages:\n\n" + b.String(), nil
}
