package study

import (
	"context"
	"fmt"
	"image"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

// first opens the first seed's model of a cell, for a picture. It is nil if the model is not trained or diverged. The caller closes
// it.
func (w *work) first(c *cell) (m *train.Model, r Cell, err error) {
	seed := w.plan.seeds[0]
	r, trained, err := c.read(seed)
	if !trained || r.Diverged != "" || err != nil {
		return nil, r, err
	}
	m, err = w.open(c, seed)
	return m, r, err
}

// fig7Picture is t-SNE of the rows of fig7 side by side, for the first seed.
func fig7Picture(ctx context.Context, w *work, s Study, f *folder) ([]Figure, error) {
	var panels []Panel
	for _, row := range s.rows {
		on := row.variation
		m, r, err := w.first(f.cell(row.variant))
		if err != nil {
			return nil, err
		}
		if m == nil {
			continue
		}
		drawn, _, err := TSNE(ctx, m, TSNEOptions{On: []string{on}}, w.Setup)
		m.Close()
		if err != nil {
			return nil, err
		}
		drawn[0].Title = row.label + AccuracyTitle(r.Values, on)
		panels = append(panels, drawn[0])
	}
	if len(panels) == 0 {
		return nil, nil
	}
	caption := fmt.Sprintf("t-SNE of %d images that training did not read", len(panels[0].Points))
	return []Figure{{"fig7.png", caption}}, WritePanels(filepath.Join(w.plan.out, "fig7.png"), panels)
}

// reconstructions draws a grid of unseen images above their reconstructions by each row of a study and in each of the ways,
// for the first seed. There is none unless all models are trained.
func reconstructions(p Figure, ways ...train.ReconstructOptions) drawing {
	return func(ctx context.Context, w *work, s Study, f *folder) ([]Figure, error) {
		const n = 16
		var rows []GridRow
		for _, row := range s.rows {
			m, _, err := w.first(f.cell(row.variant))
			if m == nil || err != nil {
				return nil, err
			}
			defer m.Close()
			unseen, err := m.Config.Open(data.HeldOut)
			if err != nil {
				return nil, err
			}
			defer unseen.Close()
			if rows == nil {
				rows = append(rows, GridRow{"images", unseen.Head(n)})
			}
			for _, way := range ways {
				drawn, err := m.Reconstruct(ctx, unseen.Head(n), way)
				if err != nil {
					return nil, err
				}
				label := strings.ReplaceAll(row.label, "ρ", "rho") // the font has no Greek
				if way.Sample {
					label += ", sampled"
				}
				rows = append(rows, GridRow{label, drawn.Images})
			}
		}
		return []Figure{p}, WriteRows(filepath.Join(w.plan.out, p.File), f.cell("erm").config, rows)
	}
}

// WriteGrid draws images of a run in rows, as a PNG without the padding of training.
func WriteGrid(path string, cfg train.Config, columns int, set *data.Set) error {
	img, err := grid(cfg, columns, set)
	if err != nil {
		return err
	}
	return data.WritePNG(path, img)
}

func grid(cfg train.Config, columns int, set *data.Set) (image.Image, error) {
	set, err := cfg.Crop(set)
	if err != nil {
		return nil, err
	}
	return data.Grid(set.Pixels(), set.Shape, columns)
}

// A GridRow is a row of pictures and the text left of it.
type GridRow struct {
	Label  string
	Images *data.Set
}

// WriteRows draws rows of images of a run like WriteGrid. All rows have the same number of images. The texts are ASCII; other letters
// are drawn as boxes.
func WriteRows(path string, cfg train.Config, rows []GridRow) error {
	var sets []*data.Set
	var labels []string
	for _, row := range rows {
		sets, labels = append(sets, row.Images), append(labels, row.Label)
	}
	img, err := grid(cfg, sets[0].N, data.Concat(sets...))
	if err != nil {
		return err
	}
	return data.WritePNG(path, data.LabelRows(img, labels))
}
