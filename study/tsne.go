package study

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	gonumpalette "gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// TSNEOptions are the options of [TSNE].
type TSNEOptions struct {
	On         []string      // the networks whose features are drawn: f, h or both
	N          int           // held-out images, as [data.Set.Head] takes them; 0 means 2,000. Memory grows with its square
	Perplexity float64       // 0 means 30
	Seed       uint64        // of the start
	Probe      *ProbeOptions // accuracies to measure too, of each network; nil: none
}

// A Panel is a picture of points in the plane, coloured by class.
type Panel struct {
	Title   string
	Points  [][2]float64
	Labels  []int32
	Classes []string // names of the labels; nil: their numbers
}

// TSNE maps features of m to points in the plane by exact t-SNE (Fig. 1 and 7). It returns a panel for each network of o.On. The
// values are divergence_f and divergence_h, the Kullback–Leibler divergences at the end, and the values of [AssessProbe] if o.Probe
// asks for them. In a group every process calls TSNE. Rank 0 alone computes the points: the other processes return no panels.
func TSNE(ctx context.Context, m *train.Model, o TSNEOptions, s Setup) ([]Panel, *eval.Record, error) {
	if o.N == 0 {
		o.N = 2000
	}
	if o.Perplexity == 0 {
		o.Perplexity = 30
	}
	r := s.record("t-SNE", m, o.Seed)
	r.Settings["perplexity"] = fmt.Sprint(o.Perplexity)
	parts := []portion{{data.HeldOut, o.N}}
	if o.Probe != nil {
		parts = append(parts, partsOfProbe(*o.Probe)...)
	}
	var networks []string
	var all [][]eval.Labelled // of each network
	for _, on := range o.On {
		x, err := s.embed(ctx, m, on, r, parts...)
		defer closeAll(x)
		if err != nil {
			return nil, nil, err
		}
		networks, all = append(networks, r.Network), append(all, x)
	}
	r.Network = strings.Join(networks, "; ")
	r.Inputs = r.Inputs[:len(r.Inputs)/len(o.On)] // the same images for both
	if s.Group.Rank() > 0 {
		return nil, r, nil
	}
	var panels []Panel
	for i, on := range o.On {
		shown := all[i][0]
		points, divergence, err := eval.TSNE(ctx, shown.Embedding, eval.TSNEOptions{Perplexity: o.Perplexity, Seed: o.Seed, Watch: s.progress("t-SNE")})
		if err != nil {
			return nil, nil, err
		}
		r.Values["divergence_"+on] = divergence
		p := Panel{networks[i], points, shown.Labels, shown.Classes}
		if o.Probe != nil {
			options := *o.Probe
			options.On = on
			if err := probe(ctx, all[i][1], all[i][2], options, r, s); err != nil {
				return nil, nil, err
			}
			p.Title += AccuracyTitle(r.Values, on)
		}
		panels = append(panels, p)
	}
	return panels, r, nil
}

// AccuracyTitle is a second line for the title of a panel: the accuracies of [AssessProbe] on f or h.
func AccuracyTitle(v eval.Values, on string) string {
	return fmt.Sprintf("\nlinear %.1f %%, 5-NN %.1f %%", 100*v["linear_"+on], 100*v["knn5_"+on])
}

// WritePanels draws panels side by side in a file, with a colour per class. Its ending decides the format:
// png, svg or pdf.
func WritePanels(path string, panels []Panel) error {
	format := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), "."))
	canvas, err := draw.NewFormattedCanvas(vg.Length(len(panels))*6*vg.Inch, 6*vg.Inch, format)
	if err != nil {
		return err
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(panels)}
	for i, p := range panels {
		picture, err := p.plot()
		if err != nil {
			return err
		}
		picture.Draw(tiles.At(draw.New(canvas), i, 0))
	}
	return data.WriteAtomic(path, func(w io.Writer) error { _, err := canvas.WriteTo(w); return err })
}

func (p Panel) plot() (*plot.Plot, error) {
	classes := map[int32]plotter.XYs{}
	most := int32(0)
	for i, at := range p.Points {
		classes[p.Labels[i]] = append(classes[p.Labels[i]], plotter.XY{X: at[0], Y: at[1]})
		most = max(most, p.Labels[i])
	}
	out := plot.New()
	out.Title.Text = p.Title
	out.HideAxes()
	colours := gonumpalette.Rainbow(int(most)+2, gonumpalette.Red, gonumpalette.Magenta, 0.9, 0.85, 1).Colors()
	for class := range most + 1 {
		dots, err := plotter.NewScatter(classes[class])
		if errors.Is(err, plotter.ErrNoData) {
			continue
		}
		if err != nil {
			return nil, err
		}
		dots.GlyphStyle = draw.GlyphStyle{Color: colours[class], Radius: vg.Points(1.5), Shape: draw.CircleGlyph{}}
		out.Add(dots)
		name := fmt.Sprint(class)
		if int(class) < len(p.Classes) {
			name = p.Classes[class]
		}
		out.Legend.Add(name, dots)
	}
	return out, nil
}
