package study

import (
	"bytes"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format svg
)

// palette is Okabe and Ito's, whose colours the colour-blind can tell apart.
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{213, 94, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{204, 121, 167, 255},
	color.RGBA{230, 159, 0, 255}, color.RGBA{86, 180, 233, 255},
}

// A chart is lines over a grid.
type chart struct {
	title, x, y string
	log         bool    // the y axis is logarithmic; points at or below 0 are left out
	legend      legend  // where it stands
	width       float64 // in inches; 0: 5
	height      float64 // in inches; 0: 2.8
	lines       []chartLine
}

// A legend of a chart.
type legend int

const (
	noLegend legend = iota
	topRight
	topLeft
)

// A chartLine is one curve of a chart.
type chartLine struct {
	label  string
	points plotter.XYs
}

// dotted is the number of points below which a line shows each of them.
const dotted = 25

// drawable reports whether a value can stand on the chart's y axis: one that float32 cannot hold is no
// measurement.
func (c *chart) drawable(v float64) bool {
	return math.Abs(v) <= math.MaxFloat32 && (!c.log || v >= math.SmallestNonzeroFloat32)
}

// svg draws the chart; nil where no line has points.
func (c *chart) svg() ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.x, c.y
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	drawn := 0
	for i, l := range c.lines {
		var points plotter.XYs
		for _, at := range l.points {
			if c.drawable(at.Y) {
				points = append(points, at)
			}
		}
		if len(points) == 0 {
			continue
		}
		drawn++
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		if i >= len(palette) {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		p.Add(line)
		if len(points) < dotted {
			dots.Color, dots.Shape = line.Color, draw.RingGlyph{}
			p.Add(dots)
		}
		if c.legend != noLegend {
			p.Legend.Add(l.label, line)
		}
	}
	if drawn == 0 {
		return nil, nil
	}
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	p.Legend.Top, p.Legend.Left = true, c.legend == topLeft
	widen(&p.X)
	widen(&p.Y)
	width, height := c.width, c.height
	if width == 0 {
		width, height = 5, 2.8
	}
	canvas, err := p.WriterTo(vg.Length(width)*vg.Inch, vg.Length(height)*vg.Inch, "svg")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = canvas.WriteTo(&b)
	return b.Bytes(), err
}

// widen gives a range to an axis of one value, or of values that differ by rounding: gonum panics without.
func widen(a *plot.Axis) {
	if size := max(math.Abs(a.Min), math.Abs(a.Max)); size > 0 && !math.IsInf(size, 0) && !(a.Max-a.Min > 1e-9*size) {
		a.Min, a.Max = a.Min-size/2, a.Max+size
	}
}

// SVG draws the result's curves; nil where it has none.
func (r *Result) SVG() ([]byte, error) {
	c := chart{title: r.Title, x: "step", y: r.Distance + " of G alone", log: true, legend: topRight, width: 7, height: 4.5}
	for _, curve := range r.Curves {
		var points plotter.XYs
		for _, at := range curve.Points {
			points = append(points, plotter.XY{X: float64(at.Step), Y: at.Value})
		}
		c.lines = append(c.lines, chartLine{curve.Label, points})
	}
	return c.svg()
}
