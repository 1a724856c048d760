package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// An ourColumn is one column of ours: what it is called and where its number is.
type ourColumn struct{ title, metric string }

// columns are ours at a scale.
func (s study) columns(sc scale) (all []ourColumn) {
	for _, k := range s.Ours {
		switch k {
		case distance:
			all = append(all, ourColumn{sc.quality.title, sc.quality.metric})
		case inceptionScore:
			if sc.name == "paper" {
				all = append(all, ourColumn{"IS", "is"})
			}
		case nfe:
			all = append(all, ourColumn{"NFE", "nfe"})
		case outlierAreas:
			for _, name := range sc.outliers(sc.dataOf(s)) {
				all = append(all, ourColumn{name, "auroc/" + name})
			}
		case seconds:
			all = append(all, ourColumn{"seconds", "seconds"})
		case reconstruction:
			all = append(all, ourColumn{"MSE", "mse"}, ourColumn{"MSE in [0, 1]", "mse_unit"})
		case restoration:
			for _, task := range slices.Sorted(maps.Keys(sc.tasks())) {
				all = append(all, ourColumn{task + " PSNR", "psnr/" + task}, ourColumn{task + " SSIM", "ssim/" + task})
			}
		case accuracy:
			all = append(all, ourColumn{"linear probe", "linear"}, ourColumn{"5-NN", "knn5"})
		}
	}
	return all
}

// vary names a measurement's variation: auroc/constant becomes auroc_energy/constant.
func vary(metric, variation string) string {
	if variation == "" {
		return metric
	}
	head, tail, cut := strings.Cut(metric, "/")
	if !cut {
		return head + "_" + variation
	}
	return head + "_" + variation + "/" + tail
}

// A studyResult is NAME.json: the study beside the published figures.
type studyResult struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	Scale    string            `json:"scale"`
	Data     string            `json:"data"`
	Columns  []string          `json:"columns"`
	Rows     []rowResult       `json:"rows"`
	Trends   []trend           `json:"trends,omitempty"`
	Versions map[string]string `json:"versions"`
	Cells    []cellResult      `json:"cells"`
}

type rowResult struct {
	Label     string            `json:"label"`
	Published map[string]string `json:"published,omitempty"`
	Ours      map[string][]any  `json:"ours,omitempty"` // a number a seed
	Diverged  []string          `json:"diverged,omitempty"`

	cells []string // as text, in the order of columns
}

// A trend is a claim of the paper, and in how many seeds it showed.
type trend struct {
	Text   string   `json:"text"`
	Shown  int      `json:"shown"`
	Seeds  int      `json:"seeds"`
	Better extended `json:"better"` // means; infinite where a model diverged for good
	Worse  extended `json:"worse"`
}

// extended is a number that may be infinite, which JSON has as a string, as in metrics.jsonl.
type extended float64

// MarshalJSON writes an infinity as a string.
func (x extended) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(x), 1) {
		return []byte(`"Infinity"`), nil
	}
	return json.Marshal(float64(x))
}

func (t trend) verdict() string {
	switch {
	case t.Seeds == 0:
		return "not measured"
	case t.Shown == t.Seeds:
		return "shows"
	case t.Shown == 0:
		return "does not show"
	}
	return "mixed"
}

// gridOf is where the study's cells are.
func (p *plan) gridOf(s study) grid {
	i := slices.IndexFunc(p.parts, func(part planPart) bool { return part.grid.data == p.scale.dataOf(s) })
	return p.parts[i].grid
}

// collect reads what there is of a study's cells.
func (p *plan) collect(s study) (*studyResult, error) {
	g := p.gridOf(s)
	results, err := g.results(s.cells(), p.seeds)
	if err != nil {
		return nil, err
	}
	for _, list := range results {
		for i := range list {
			if err := g.addEarly(&list[i]); err != nil {
				return nil, err
			}
		}
	}
	out := &studyResult{Name: s.Name, Title: s.Title, Scale: p.scale.name, Data: g.data,
		Versions: map[string]string{"liebm": version, "go": runtime.Version(), "libtorch": torch.Version()}}
	for _, name := range slices.Sorted(maps.Keys(results)) {
		out.Cells = append(out.Cells, results[name]...)
	}
	columns := s.columns(p.scale)
	for _, c := range columns {
		out.Columns = append(out.Columns, c.title)
	}
	for _, r := range s.Rows {
		out.Rows = append(out.Rows, s.line(r, columns, results[r.Cell]))
	}
	for _, c := range s.Claims {
		out.Trends = append(out.Trends, c.judge(p.scale, results))
	}
	return out, nil
}

// line is one row of the table.
func (s study) line(r row, columns []ourColumn, results []cellResult) rowResult {
	line := rowResult{Label: r.Label, Published: map[string]string{}, Ours: map[string][]any{}}
	for i, title := range s.Published {
		line.Published[title] = r.Figures[i]
		line.cells = append(line.cells, r.Figures[i])
	}
	for _, c := range columns {
		var values []float64
		for _, result := range results {
			if v, ok := result.Values[vary(c.metric, r.Variation)]; ok {
				values = append(values, v)
				line.Ours[c.title] = append(line.Ours[c.title], v)
			}
		}
		line.cells = append(line.cells, spread(values))
	}
	for _, result := range results {
		if result.Diverged != "" {
			line.Diverged = append(line.Diverged, fmt.Sprintf("seed %d diverged at %s", result.Seed, result.Diverged))
		}
		if result.WentBack {
			line.Diverged = append(line.Diverged, fmt.Sprintf("seed %d diverged once, and went back to smaller steps", result.Seed))
		}
	}
	return line
}

// spread is a mean with its standard deviation, as far as there are seeds.
func spread(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%.4g", values[0])
	}
	return fmt.Sprintf("%.4g ± %.2g", mean(values), stddev(values)*math.Sqrt(float64(len(values))/float64(len(values)-1)))
}

// judge looks at a claim seed by seed. A model that diverged for good is worse than any other.
func (c claim) judge(sc scale, results map[string][]cellResult) trend {
	t := trend{Text: c.Text}
	metric := func(name string) string { // the distance's name depends on the scale
		if rest, ok := strings.CutPrefix(name, "fd"); ok {
			return sc.quality.metric + rest
		}
		return name
	}
	value := func(r cellResult, name string) (float64, bool) {
		if r.Diverged != "" && !c.Larger {
			return math.Inf(1), true
		}
		v, ok := r.Values[metric(name)]
		return v, ok
	}
	var better, worse []float64
	for _, a := range results[c.Better.Cell] {
		for _, b := range results[c.Worse.Cell] {
			x, okX := value(a, c.Better.Metric)
			y, okY := value(b, c.Worse.Metric)
			if a.Seed != b.Seed || !okX || !okY {
				continue
			}
			t.Seeds++
			if c.Larger && x > y || !c.Larger && x < y*(1+c.Slack) {
				t.Shown++
			}
			better, worse = append(better, x), append(worse, y)
		}
	}
	t.Better, t.Worse = extended(mean(better)), extended(mean(worse))
	return t
}

// write leaves a study's results in the plan's folder.
func (p *plan) write(c *cli.Context, s study) error {
	if s.Text != nil {
		return p.writeText(s)
	}
	r, err := p.collect(s)
	if err != nil {
		return err
	}
	base := filepath.Join(p.out, s.Name)
	var pictures [][2]string
	plot, err := p.draw(s, r, base+".svg")
	if err != nil {
		return err
	}
	if plot != "" {
		pictures = append(pictures, [2]string{plot, s.Title})
	}
	if s.Pictures != nil {
		more, err := s.Pictures(p, p.gridOf(s))
		if err != nil {
			return err
		}
		pictures = append(pictures, more...)
	}
	text := r.markdown(s, p, pictures)
	if err := writeText(base+".md", text); err != nil {
		return err
	}
	if err := writeJSON(base+".json", r); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(os.Stdout, r)
	}
	fmt.Printf("\n%s\nwritten: %s.md, %s.json\n", text, base, base)
	return nil
}

// writeText leaves the result of a study that trains nothing.
func (p *plan) writeText(s study) error {
	text, err := s.Text()
	if err != nil {
		return err
	}
	path := filepath.Join(p.out, s.Name+".md")
	if err := os.MkdirAll(p.out, 0o777); err != nil {
		return err
	}
	text = "# " + s.Title + "\n\n" + text
	fmt.Println(text)
	return writeText(path, text)
}

// early is the share of a run at which "at first" is read.
const early = 0.25

// addEarly reads the distance of G alone at an early grid from the cell's metrics.
func (g grid) addEarly(r *cellResult) error {
	points, err := g.curve(*r)
	if err != nil || len(points) == 0 {
		return err
	}
	last := points[len(points)-1].X
	for _, at := range points {
		if at.X >= early*last {
			if r.Values == nil {
				r.Values = map[string]float64{}
			}
			r.Values[g.scale.quality.metric+"_early"] = at.Y
			return nil
		}
	}
	return nil
}

// records are the cell's metrics.
func (g grid) records(r cellResult) ([]train.MetricsLine, error) {
	return train.ReadMetrics(filepath.Join(g.dir(cellNamed(r.Cell), r.Seed), "metrics.jsonl"))
}
