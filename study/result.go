package study

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// A Result is a study beside the published figures.
type Result struct {
	Name      string            `json:"name"`
	Title     string            `json:"title"`
	Scale     string            `json:"scale"`
	Data      string            `json:"data"`
	Command   string            `json:"command"`           // that makes it again
	Setting   string            `json:"setting"`           // text: how the figures were measured, and which figures they can be compared with
	Samples   int               `json:"samples,omitempty"` // that distances are measured on; 0: the number of the scale, in results of earlier versions
	Note      string            `json:"note,omitempty"`
	Published []string          `json:"published"`          // the paper's columns
	Columns   []string          `json:"columns"`            // ours
	Outliers  []string          `json:"outliers,omitempty"` // names of the sets that were given, among our columns
	Distance  string            `json:"distance"`           // that the curves show
	Rows      []Row             `json:"rows"`
	Trends    []Trend           `json:"trends,omitempty"`
	Pairs     []Pair            `json:"pairs,omitempty"`
	Curves    []Curve           `json:"curves,omitempty"`
	Pictures  []Figure          `json:"pictures,omitempty"`
	Text      string            `json:"text,omitempty"` // the whole page of a study that trains nothing
	Versions  map[string]string `json:"versions"`
	Cells     []Cell            `json:"cells"`
	Variants  map[string]string `json:"variants,omitempty"` // the name of the models of each variant: two variants may train the same model
}

// A Row of a result.
type Row struct {
	Label     string                 `json:"label"`
	Published map[string]string      `json:"published,omitempty"` // by the paper's columns
	Ours      map[uint64]eval.Values `json:"ours,omitempty"`      // by seed, and by our columns
	Notes     []string               `json:"notes,omitempty"`     // about trainings that diverged
}

// A Curve is a variant's distance in the course of training, the mean over seeds.
type Curve struct {
	Label  string    `json:"label"`
	Points []Point   `json:"points"`
	Spread []float64 `json:"spread,omitempty"` // standard deviation over seeds, at each point; nil: one seed
}

// A Figure is a picture file in the folder of the results.
type Figure struct {
	File    string `json:"file"`
	Caption string `json:"caption"`
}

// result reads what there is of a study's models, and draws its pictures.
func (w *work) result(ctx context.Context, s Study) (*Result, error) {
	versions := eval.NewRecord(s.Name, w.Versions).Versions
	if s.text != nil {
		text, err := s.text()
		return &Result{Name: s.Name, Title: s.Title, Scale: w.plan.scale.Name(), Text: text, Versions: versions}, err
	}
	f := w.plan.folder(w.plan.scale.dataOf(s))
	cells, err := w.cells(f, s.variants())
	if err != nil {
		return nil, err
	}
	r := s.lay(w.plan.scale, cells)
	r.Command, r.Versions = w.plan.command(s), versions
	if s.pictures != nil {
		if r.Pictures, err = s.pictures(ctx, w, s, f); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// cells reads the trained models of some variants, in the order of the plan's seeds.
func (w *work) cells(f *folder, names []string) (map[string][]Cell, error) {
	all := map[string][]Cell{}
	for _, name := range names {
		for _, seed := range w.plan.seeds {
			r, trained, err := f.cell(name).read(seed)
			if err != nil {
				return nil, err
			}
			if trained {
				all[name] = append(all[name], r)
			}
		}
	}
	return all, nil
}

// lay lays the models of a study, by variant, beside the published figures.
func (s Study) lay(sc Scale, cells map[string][]Cell) *Result {
	f := newFolder("", sc.dataOf(s), sc)
	r := &Result{Name: s.Name, Title: sc.title(s), Scale: sc.Name(), Data: sc.dataOf(s), Note: sc.note(s), Published: s.published, Distance: sc.distanceTitle(), Samples: sc.Samples}
	r.Setting, r.Variants = s.setting(f, cells), map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		for _, c := range cells[name] {
			r.Variants[name] = c.Name
			if !slices.ContainsFunc(r.Cells, func(d Cell) bool { return d.Name == c.Name && d.Seed == c.Seed }) {
				r.Cells = append(r.Cells, c)
			}
		}
	}
	if s.measures(ofGivenOutliers) {
		r.Outliers = sc.given()
	}
	if slices.ContainsFunc(r.Cells, f.ofPrior) {
		r.Note = strings.Replace(r.Note, noteOfQ, noteOfPrior, 1)
	}
	columns := s.columns(sc)
	for _, row := range s.rows {
		r.Rows = append(r.Rows, s.row(row, columns, cells[row.variant]))
	}
	for _, c := range columns {
		if len(r.Cells) == 0 || r.has(c.title) { // a column that no model fills is left out
			r.Columns = append(r.Columns, c.title)
		}
	}
	for _, c := range s.claims {
		r.Trends = append(r.Trends, c.judge(sc, cells))
	}
	r.Pairs, r.Curves = s.pairs(cells), s.meanCurves(cells)
	return r
}

// ofPrior reports whether a model's q learned with G by the ELBO, and its images from latents of q were measured with G's statistics of
// the prior.
func (f *folder) ofPrior(c Cell) bool {
	if !slices.ContainsFunc(f.cells, func(of *cell) bool { return of.name == c.Name && of.over == "" && of.config.Target == train.ERM }) {
		return false
	}
	_, reconstructed := c.Values["mse"]
	_, restored := c.Values["psnr/"+SR8+"/start"]
	return (reconstructed || restored) && c.Statistics == ""
}

// has reports whether a row has a number of ours in a column.
func (r *Result) has(column string) bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool { return len(row.values(column)) > 0 })
}

// meanCurves are the curves of the study's variants.
func (s Study) meanCurves(cells map[string][]Cell) (all []Curve) {
	for _, name := range s.curves {
		var curves [][]Point
		for _, c := range cells[name] {
			curves = append(curves, c.Curve)
		}
		if points, spread := meanCurve(curves); len(points) > 0 {
			all = append(all, Curve{variantNamed(name).label, points, spread})
		}
	}
	return all
}

// row is one row of the table.
func (s Study) row(of row, columns []column, cells []Cell) Row {
	out := Row{Label: of.label, Published: map[string]string{}, Ours: map[uint64]eval.Values{}}
	for i, title := range s.published {
		if i < len(of.published) {
			out.Published[title] = of.published[i]
		}
	}
	for _, cell := range cells {
		values := eval.Values{}
		for _, c := range columns {
			if v, ok := cell.Values[vary(c.metric, of.variation)]; ok && cell.comparable(c.metric, cell) {
				values[c.title] = v
			}
		}
		if len(values) > 0 {
			out.Ours[cell.Seed] = values
		}
		if cell.Diverged != "" {
			out.Notes = append(out.Notes, fmt.Sprintf("seed %d diverged at %s", cell.Seed, cell.Diverged))
		}
		if cell.Values[chainsDiverged] > 0 {
			out.Notes = append(out.Notes, fmt.Sprintf("long chains of seed %d diverged", cell.Seed))
		}
		if cell.WentBack {
			out.Notes = append(out.Notes, fmt.Sprintf("seed %d diverged once, and went back to smaller steps", cell.Seed))
		}
	}
	return out
}

// values are ours in a column, in the order of seeds.
func (r Row) values(column string) (all []float64) {
	for _, seed := range slices.Sorted(maps.Keys(r.Ours)) {
		if v, ok := r.Ours[seed][column]; ok {
			all = append(all, v)
		}
	}
	return all
}

// meanCurve is the mean and the standard deviation over seeds, at the steps that all of them reached.
func meanCurve(curves [][]Point) (points []Point, spread []float64) {
	if len(curves) == 0 {
		return nil, nil
	}
	for i, at := range curves[0] {
		var values []float64
		for _, c := range curves {
			if len(c) <= i || c[i].Step != at.Step {
				return points, spread
			}
			values = append(values, c[i].Value)
		}
		points = append(points, Point{at.Step, stat.Mean(values, nil)})
		if len(values) > 1 {
			spread = append(spread, stat.StdDev(values, nil))
		}
	}
	return points, spread
}

// write leaves the result in a folder, as JSON, Markdown and, where it has curves, SVG.
func (r *Result) write(dir string) error {
	svg, err := r.SVG()
	if err != nil {
		return err
	}
	return writePage(dir, r.Name, r, r.Markdown(), map[string][]byte{".svg": svg})
}

// writePage leaves a page in dir, which it makes: NAME.json of v, NAME.md, and the plots that are not empty, by what follows
// NAME in their names.
func writePage(dir, name string, v any, markdown string, plots map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	for ending, plot := range plots {
		if len(plot) == 0 {
			continue
		}
		if err := data.WriteBytes(path+ending, plot); err != nil {
			return err
		}
	}
	return errors.Join(data.WriteBytes(path+".md", []byte(markdown)), data.WriteJSON(path+".json", v))
}
