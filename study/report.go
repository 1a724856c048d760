package study

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"number": number,
	"sha":    func(s string) string { return s[:min(len(s), 12)] },
}).Parse(reportText))

// number is a figure as pages show it.
func number(v float64) string { return fmt.Sprintf("%.4g", v) }

// report is what the template shows. A part that the run lacks is empty.
type report struct {
	Name, Run string
	Preset    string
	Config    string
	Info      *train.RunInfo
	Summary   *Summary
	Grids     []inset // after MCMC, G alone, data
	Progress  []inset // some grids of the course of training
	Charts    []inset
	Scores    template.HTML // histogram of the scores of outliers
	Records   []eval.Record
	Left      int // records of other checkpoints than that of the summary
}

// An inset is a picture or a drawing inside the page.
type inset struct {
	Caption string
	Src     template.URL
	SVG     template.HTML
}

// WriteReport writes report.html into the run folder dir and returns its path: one page, which needs no
// other file, with the run's results, samples, curves, config and provenance.
func WriteReport(dir string) (string, error) {
	p := &report{Name: filepath.Base(filepath.Clean(dir)), Run: dir}
	for _, part := range []func(string) error{p.readConfig, p.readInfo, p.readRecords, p.readPictures, p.readMetrics} {
		if err := part(dir); err != nil {
			return "", fmt.Errorf("report %s: %w", dir, err)
		}
	}
	path := filepath.Join(dir, "report.html")
	return path, data.WriteAtomic(path, func(w io.Writer) error { return reportTemplate.Execute(w, p) })
}

func (p *report) readConfig(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, configFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it holds no run (no config.yaml): name a folder of liebm train")
	}
	p.Config = string(text)
	for line := range strings.Lines(p.Config) {
		if preset, ok := strings.CutPrefix(line, "preset:"); ok {
			p.Preset = strings.Trim(preset, " \"\n") // the encoder of YAML may quote it
		}
	}
	return err
}

func (p *report) readInfo(dir string) (err error) {
	p.Info, err = readInfo(dir)
	return err
}

func (p *report) readRecords(dir string) (err error) {
	if p.Records, err = eval.ReadRecords(filepath.Join(dir, ResultsFile)); err != nil {
		return err
	}
	own := ofNewest(p.Records)
	p.Summary, p.Left = Summarize(own), len(p.Records)-len(own)
	for i := len(p.Records) - 1; i >= 0 && p.Scores == ""; i-- {
		if h := p.Records[i].Histogram; h != nil {
			if p.Scores, err = drawHistogram(h); err != nil {
				return fmt.Errorf("%s:%d: %w: measure again with liebm eval --run %s", ResultsFile, i+1, err, dir)
			}
		}
	}
	return nil
}

func (p *report) readPictures(dir string) error {
	for _, g := range []struct{ file, caption string }{
		{"samples.png", "after MCMC"}, {"samples_no_mcmc.png", "G alone, the same latents"}, {"data.png", "data"},
	} {
		if err := p.add(&p.Grids, filepath.Join(dir, g.file), g.caption); err != nil {
			return err
		}
	}
	steps, err := filepath.Glob(filepath.Join(dir, "samples", "step-*.png"))
	if err != nil {
		return err
	}
	const shown = 6
	for i := range min(shown, len(steps)) { // evenly spaced, with the last one
		file := steps[(len(steps)-1)*i/max(1, min(shown, len(steps))-1)]
		name := strings.TrimSuffix(filepath.Base(file), ".png")
		step := strings.TrimLeft(strings.TrimPrefix(name, "step-"), "0")
		if err := p.add(&p.Progress, file, "step "+step); err != nil {
			return err
		}
	}
	return nil
}

// add embeds a PNG, if it is there.
func (p *report) add(to *[]inset, file, caption string) error {
	bytes, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	*to = append(*to, inset{Caption: caption, Src: template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(bytes))})
	return nil
}

func (p *report) readMetrics(dir string) error {
	records, err := train.ReadMetrics(filepath.Join(dir, metricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range []struct {
		caption string
		names   []string
		log     bool
	}{
		{"FID of G alone during training", []string{"fid"}, true},
		{"Fréchet distance of G alone during training", []string{"fd"}, true},
		{"Fréchet distance of G alone during training, on features of an encoder", []string{"fd_h"}, true},
		{"L_G (Eq. 8)", []string{"loss_g"}, true},
		{"L_E (Eq. 4)", []string{"loss_e"}, false},
		{"energy F(f(x)) of data and of negative samples", []string{"energy_real", "energy_fake"}, false},
		{"latent cosine cos(g(f(x)), z)", []string{"cosine"}, false},
		{"rms(x^T − x⁰) of G's chains", []string{"move_rms"}, true},
	} {
		drawing := chart{x: "step", log: c.log, settled: true}
		for _, name := range c.names {
			var points plotter.XYs
			for _, r := range records {
				if v, ok := r.Values[name]; ok && drawing.drawable(v) {
					points = append(points, plotter.XY{X: float64(r.Step), Y: v})
				}
			}
			drawing.lines = append(drawing.lines, chartLine{name, thin(points), nil})
		}
		if len(c.names) > 1 {
			drawing.legend = topRight
		}
		if n := lastValue(records, c.names[0]+"_n"); n > 0 {
			c.caption += fmt.Sprintf(", %.0f samples", n)
		}
		svg, err := drawing.inline()
		if err != nil {
			return err
		}
		if svg != "" {
			p.Charts = append(p.Charts, inset{Caption: c.caption, SVG: svg})
		}
	}
	return nil
}

// lastValue is the newest value of a metric, or 0.
func lastValue(records []train.MetricsLine, name string) (v float64) {
	for _, r := range records {
		v = cmp.Or(r.Values[name], v)
	}
	return v
}

// thin leaves out points of a curve that has more than a page has pixels.
func thin(points plotter.XYs) (thinned plotter.XYs) {
	const most = 500
	every := len(points)/most + 1
	for i := 0; i < len(points); i += every {
		thinned = append(thinned, points[i])
	}
	return thinned
}

// inline is the chart without the prologue of an SVG file, to stand inside a page; empty without points.
func (c *chart) inline() (template.HTML, error) {
	file, err := c.svg()
	if err != nil || file == nil {
		return "", err
	}
	text := string(file)
	return template.HTML(text[strings.Index(text, "<svg"):]), nil // gonum escapes the labels
}

// drawHistogram draws the scores of inliers and outliers, each as shares of its own set.
func drawHistogram(h *eval.Histogram) (template.HTML, error) {
	if err := h.Check(); err != nil || len(h.Edges) < 2 {
		return "", err
	}
	c := chart{x: "s(x) of Eq. 15; the bins at the ends have all beyond", y: "share of the set", legend: topLeft}
	highest, most := 0.0, 0.0 // share, in the bins between the ends and in all
	for _, name := range slices.Sorted(maps.Keys(h.Counts)) {
		total := 0
		for _, n := range h.Counts[name] {
			total += n
		}
		var points plotter.XYs
		for j, n := range h.Counts[name] {
			share := float64(n) / float64(max(total, 1))
			if most = max(most, share); j > 0 && j < len(h.Counts[name])-1 {
				highest = max(highest, share)
			}
			points = append(points, plotter.XY{X: h.Edges[j], Y: share}, plotter.XY{X: h.Edges[j+1], Y: share})
		}
		c.lines = append(c.lines, chartLine{name, points, nil})
	}
	if most > 2*highest { // the rest is far away: it may leave the picture at the top
		c.top = 1.5 * highest
	}
	return c.inline()
}
