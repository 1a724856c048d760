package study

import (
	"bytes"
	"cmp"
	"image/color"
	"math"
	"slices"
	"strconv"

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
	settled     bool    // the y axis leaves out a spike at the beginning
	legend      legend  // where it stands
	top         float64 // end of the y axis; 0: the largest value
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
	spread []float64 // half the height of a band around each point; nil: no band
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
	var shown []plotter.XYs
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
		shown = append(shown, points)
		if err := c.band(p, l, palette[i%len(palette)]); err != nil {
			return nil, err
		}
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
	if len(shown) == 0 {
		return nil, nil
	}
	if c.settled {
		c.settle(&p.Y, shown)
	}
	p.Y.Max = cmp.Or(c.top, p.Y.Max)
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	if p.Legend.Top = true; c.legend == topLeft {
		p.Legend.Left, p.Legend.XOffs = true, vg.Points(20)
	}
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

// band draws the spread of a line. On a logarithmic axis its lower edge stays above 0.
func (c *chart) band(p *plot.Plot, l chartLine, colour color.Color) error {
	if len(l.spread) != len(l.points) || len(l.points) < 2 {
		return nil
	}
	var upper, lower plotter.XYs
	for i, at := range l.points {
		low := at.Y - l.spread[i]
		if c.log {
			low = max(low, at.Y/4)
		}
		if !c.drawable(low) || !c.drawable(at.Y+l.spread[i]) {
			return nil
		}
		upper, lower = append(upper, plotter.XY{X: at.X, Y: at.Y + l.spread[i]}), append(lower, plotter.XY{X: at.X, Y: low})
	}
	slices.Reverse(lower)
	band, err := plotter.NewPolygon(append(upper, lower...))
	if err != nil {
		return err
	}
	r, g, b, _ := colour.RGBA()
	band.Color, band.LineStyle.Width = color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 45}, 0
	p.Add(band)
	return nil
}

// settle leaves the first twentieth of curves out of the range of the y axis, if it would more than double the range.
func (c *chart) settle(y *plot.Axis, curves []plotter.XYs) {
	scale := func(v float64) float64 { return v }
	if c.log {
		scale = math.Log
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, points := range curves {
		first, last := points[0].X, points[len(points)-1].X
		for _, at := range points {
			if at.X > first+(last-first)/20 {
				lo, hi = min(lo, at.Y), max(hi, at.Y)
			}
		}
	}
	if hi > lo && scale(y.Max)-scale(y.Min) > 2*(scale(hi)-scale(lo)) {
		y.Min, y.Max = lo, hi
	}
}

// logTicks returns the powers of ten between lo and hi, with labels. If these are few, it adds twice and five times as much. If the
// range is smaller still, it returns the ticks of a linear axis.
func logTicks(lo, hi float64) (ticks []plot.Tick) {
	for _, factors := range [][]float64{{1}, {1, 2, 5}} {
		ticks = nil
		for decade := math.Floor(math.Log10(lo)); decade <= math.Log10(hi); decade++ {
			for _, factor := range factors {
				if v := factor * math.Pow(10, decade); v >= lo && v <= hi {
					ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 3, 64)})
				}
			}
		}
		if len(ticks) > 3 {
			return ticks
		}
	}
	if len(ticks) < 2 {
		ticks = plot.DefaultTicks{}.Ticks(lo, hi)
	}
	return ticks
}

// widen gives a range to an axis of one value, or of values that differ by rounding: gonum panics without.
func widen(a *plot.Axis) {
	if size := max(math.Abs(a.Min), math.Abs(a.Max)); size > 0 && !math.IsInf(size, 0) && !(a.Max-a.Min > 1e-9*size) {
		a.Min, a.Max = a.Min-size/2, a.Max+size
	}
}

// SVG draws the result's curves; nil where it has none.
func (r *Result) SVG() ([]byte, error) {
	c := chart{title: r.Title, x: "step", y: r.Distance + " of G alone", log: true, settled: true, legend: topRight, width: 7, height: 4.5}
	for _, curve := range r.Curves {
		c.lines = append(c.lines, chartLine{curve.Label, xys(curve.Points), curve.Spread})
	}
	return c.svg()
}

func xys(points []Point) (all plotter.XYs) {
	for _, at := range points {
		all = append(all, plotter.XY{X: float64(at.Step), Y: at.Value})
	}
	return all
}
