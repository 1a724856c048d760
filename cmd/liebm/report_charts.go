package main

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/liebm/liebm/train"
)

// palette is Okabe and Ito's, which the colour-blind can tell apart.
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
	color.RGBA{230, 159, 0, 255}, color.RGBA{86, 180, 233, 255},
}

// shownPoints is how many points a curve keeps: more than the page has pixels would only weigh.
const shownPoints = 500

// drawCurves plots metrics over steps as SVG, or nothing where there are no points.
func drawCurves(records []train.MetricsLine, names []string, log bool) (template.HTML, error) {
	p := newPlot("step", "")
	drawn := 0
	for i, name := range names {
		points := curve(records, name, log)
		if len(points) == 0 {
			continue
		}
		drawn++
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return "", err
		}
		line.Color, line.Width = palette[i], vg.Points(1.5)
		p.Add(line)
		if len(points) < 25 {
			dots.Color, dots.Shape = palette[i], plotter.DefaultGlyphStyle.Shape
			p.Add(dots)
		}
		if len(names) > 1 {
			p.Legend.Add(name, line)
		}
	}
	if drawn == 0 {
		return "", nil
	}
	if log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	return svg(p)
}

// curve is a metric's points, thinned; on a logarithmic axis, its positive ones. What is no float32 is no loss either.
func curve(records []train.MetricsLine, name string, log bool) plotter.XYs {
	var all plotter.XYs
	for _, r := range records {
		v, ok := r.Values[name]
		if ok && math.Abs(v) <= math.MaxFloat32 && (!log || v >= math.SmallestNonzeroFloat32) {
			all = append(all, plotter.XY{X: float64(r.Step), Y: v})
		}
	}
	every := len(all)/shownPoints + 1
	var thin plotter.XYs
	for i := 0; i < len(all); i += every {
		thin = append(thin, all[i])
	}
	return thin
}

// check is an error unless the edges go up by steps that a plot can show, with a count between any two.
func (h histogram) check() error {
	for i, edge := range h.Edges {
		if math.Abs(edge) > math.MaxFloat32 || i > 0 && edge <= h.Edges[i-1] {
			return fmt.Errorf("edge %d of the histogram is %g: want them to go up", i, edge)
		}
	}
	for name, counts := range h.Counts {
		if len(counts) != len(h.Edges)-1 || slices.ContainsFunc(counts, func(n int) bool { return n < 0 || n > math.MaxInt32 }) {
			return fmt.Errorf("the histogram of %s has %d counts for %d edges: want one between any two, none below 0", name, len(counts), len(h.Edges))
		}
	}
	return nil
}

// drawHistogram plots the scores of inliers and outliers, each as shares of its own set.
func drawHistogram(h histogram) (template.HTML, error) {
	if len(h.Edges) < 2 {
		return "", nil
	}
	if err := h.check(); err != nil {
		return "", err
	}
	p := newPlot("s(x) of Eq. 15", "share of the set")
	names := slices.Sorted(maps.Keys(h.Counts))
	for i, name := range names {
		total := 0
		for _, n := range h.Counts[name] {
			total += n
		}
		var points plotter.XYs
		for j, n := range h.Counts[name] {
			share := float64(n) / float64(max(total, 1))
			points = append(points, plotter.XY{X: h.Edges[j], Y: share}, plotter.XY{X: h.Edges[j+1], Y: share})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return "", err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(name, line)
	}
	p.Legend.Top, p.Legend.Left = true, true
	return svg(p)
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	return p
}

// widen gives an axis of one value, or of values that differ by rounding, a range: gonum panics without.
func widen(a *plot.Axis) {
	if size := max(math.Abs(a.Min), math.Abs(a.Max)); size > 0 && !math.IsInf(size, 0) && !(a.Max-a.Min > 1e-9*size) {
		a.Min, a.Max = a.Min-size/2, a.Max+size
	}
}

// svg renders a plot without the file's prologue, to stand inside a page.
func svg(p *plot.Plot) (template.HTML, error) {
	widen(&p.X)
	widen(&p.Y)
	canvas, err := p.WriterTo(5*vg.Inch, 2.8*vg.Inch, "svg")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err
	}
	text := b.String()
	return template.HTML(text[strings.Index(text, "<svg"):]), nil // gonum wrote it, from numbers
}

var _ = vgsvg.New // registers the "svg" format
