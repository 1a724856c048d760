package main

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/liebm/liebm/data"
)

// curve is the distance of G alone during a cell's training.
func (g grid) curve(r cellResult) (plotter.XYs, error) {
	records, err := g.records(r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return curve(records, "fd", true), nil
}

// draw plots the study's curves, the mean over seeds, and returns the file's name; empty where there
// is nothing to draw.
func (p *plan) draw(s study, r *studyResult, path string) (string, error) {
	g := p.gridOf(s)
	pl := newPlot("step", p.scale.quality.title+" of G alone")
	pl.Title.Text = s.Title
	drawn := 0
	for i, name := range s.Curves {
		var runs []plotter.XYs
		for _, c := range r.Cells {
			if c.Cell == name {
				points, err := g.curve(c)
				if err != nil {
					return "", err
				}
				runs = append(runs, points)
			}
		}
		points := meanCurve(runs)
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return "", err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		if i >= len(palette) {
			line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		dots.Color = line.Color
		pl.Add(line, dots)
		pl.Legend.Add(cellNamed(name).Label, line)
		drawn++
	}
	if drawn == 0 {
		return "", nil
	}
	pl.Y.Scale, pl.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	pl.Legend.Top = true
	canvas, err := pl.WriterTo(7*vg.Inch, 4.5*vg.Inch, "svg")
	if err != nil {
		return "", err
	}
	return filepath.Base(path), data.WriteAtomic(path, func(w io.Writer) error { _, err := canvas.WriteTo(w); return err })
}

// meanCurve is the mean over runs at the steps that all of them reached.
func meanCurve(runs []plotter.XYs) (points plotter.XYs) {
	if len(runs) == 0 {
		return nil
	}
	for i, at := range runs[0] {
		sum := 0.0
		for _, run := range runs {
			if len(run) <= i || run[i].X != at.X {
				return points
			}
			sum += run[i].Y / float64(len(runs))
		}
		points = append(points, plotter.XY{X: at.X, Y: sum})
	}
	return points
}
