package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
	"gonum.org/v1/plot"
	gonumpalette "gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
)

func tsneCommand() *cli.Command {
	return &cli.Command{
		Name:  "tsne",
		Usage: "a picture of a run's features in the plane (Fig. 1 and 7)",
		Description: `Exact t-SNE of the first --n test images, coloured by class, as PNG, SVG or PDF: of h, of f, or of
both side by side. With --probe, 5-NN and linear accuracies stand above, by the protocol of liebm
metrics probe on so many training images; on all of them that takes minutes.

	liebm metrics tsne --run runs/em --on f --plot tsne.png
	liebm metrics tsne --run runs/em --on both --probe 60000 --plot figure7.pdf`,
		Flags: probeFlags(&cli.StringFlag{Name: "on", Value: "h", Usage: "features of f (the energy), h (the encoder), both before their heads, or both"},
			&cli.IntFlag{Name: "n", Value: 2000, Usage: "how many images; memory grows with its square"},
			&cli.Float64Flag{Name: "perplexity", Value: 30}, &cli.StringFlag{Name: "plot", Usage: "`FILE`.png, .svg or .pdf to write"},
			&cli.IntFlag{Name: "probe", Usage: "training images that the accuracies are learnt from; 0: none are shown"},
			&cli.IntFlag{Name: "epochs", Value: 500, Usage: "of the linear probe"}),
		Action: tsne,
	}
}

// panel is one picture of points.
type panel struct {
	title  string
	points [][2]float64
	labels []int32
}

func tsne(c *cli.Context) error {
	if err := need(c, "run", "plot"); err != nil {
		return err
	}
	format, err := pictureFormat(c, "plot", "png", "svg", "pdf")
	if err != nil {
		return err
	}
	r, which := newRecord("t-SNE"), []string{c.String("on")}
	if c.String("on") == "both" {
		which = []string{"h", "f"}
	}
	var panels []panel
	var networks []string
	for _, w := range which {
		prefix := ""
		if len(which) > 1 {
			prefix = w + "/"
		}
		err := withFeatures(c, r, c.String("run"), w, func(embed embedder) error {
			p, err := tsnePanel(c, r, embed, eval.TSNEOptions{Perplexity: c.Float64("perplexity"), Seed: c.Uint64("seed")}, c.Int("n"), prefix)
			if n := c.Int("probe"); err == nil && n > 0 {
				err = probePanel(c, r, embed, probing{n, c.Int("epochs"), c.Uint64("seed"), prefix}, &p)
			}
			panels = append(panels, p)
			return err
		})
		if err != nil {
			return err
		}
		networks = append(networks, r.Network)
	}
	r.Network = strings.Join(networks, "; ")
	r.Inputs = r.Inputs[:len(r.Inputs)/len(which)] // the same images for both
	if r.Settings == nil {
		r.Settings = map[string]string{}
	}
	r.Settings["perplexity"] = fmt.Sprint(c.Float64("perplexity"))
	if err := drawPanels(c.String("plot"), format, panels); err != nil {
		return err
	}
	if err := keepInRun(c, r); err != nil {
		return err
	}
	return finish(c, r, func() {
		fmt.Printf("t-SNE of %d images in %s\n", r.Inputs[0].N, c.String("plot"))
		for _, p := range panels {
			fmt.Println(strings.ReplaceAll(p.title, "\n", ": "))
		}
	})
}

// tsnePanel lays out the features that embed makes of n test images.
func tsnePanel(c *cli.Context, r *eval.Record, embed embedder, o eval.TSNEOptions, n int, prefix string) (panel, error) {
	test, err := embed(data.Test, n)
	if err != nil {
		return panel{}, err
	}
	defer test.Close()
	o.Watch = newProgress("t-SNE").count
	points, divergence, err := eval.TSNE(c.Context, test.Embedding, o)
	if err != nil {
		return panel{}, err
	}
	r.Seed, r.Values[prefix+"divergence"] = &o.Seed, divergence
	return panel{r.Network, points, test.Labels}, nil
}

// probePanel puts accuracies above a panel.
func probePanel(c *cli.Context, r *eval.Record, embed embedder, o probing, p *panel) error {
	if err := probeFeatures(c, r, embed, o); err != nil {
		return err
	}
	r.Settings["probe"] = fmt.Sprint(o.n)
	p.title += accuracies(r.Values[o.prefix+"linear"], r.Values[o.prefix+"knn5"])
	return nil
}

func accuracies(linear, near float64) string {
	return fmt.Sprintf("\nlinear %.1f %%, 5-NN %.1f %%", 100*linear, 100*near)
}

// drawPanels writes pictures side by side, with a colour per class.
func drawPanels(path, format string, panels []panel) error {
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

func (p panel) plot() (*plot.Plot, error) {
	classes := map[int32]plotter.XYs{}
	most := int32(0)
	for i, at := range p.points {
		classes[p.labels[i]] = append(classes[p.labels[i]], plotter.XY{X: at[0], Y: at[1]})
		most = max(most, p.labels[i])
	}
	out := plot.New()
	out.Title.Text = p.title
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
		out.Legend.Add(fmt.Sprint(class), dots)
	}
	return out, nil
}
