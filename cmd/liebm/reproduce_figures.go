package main

import (
	"fmt"
	"path/filepath"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

func table8() study {
	return study{Name: "table8", Title: "Zero-shot image restoration (Table 8)", Data: "celebahq256",
		Published: []string{"colorization PSNR", "SSIM", "8× SR PSNR", "8× SR SSIM"}, Ours: []kind{restoration},
		Rows: []row{
			{Label: "G(m⁰)", Figures: []string{"20.64", "0.66", "22.62", "0.67"}, Cell: "erm", Variation: "m0"},
			{Label: "G(m)", Figures: []string{"22.02", "0.70", "24.16", "0.70"}, Cell: "erm", Variation: "m"},
			{Label: "G(m) + Y", Figures: []string{"25.25", "0.94", "24.55", "0.71"}, Cell: "erm", Variation: "y"},
		},
		Claims: []claim{
			{Text: "refining m improves 8× super-resolution", Better: reading{"erm", "psnr_m/8× SR"}, Worse: reading{"erm", "psnr_m0/8× SR"}, Larger: true},
			{Text: "refining Y improves it further", Better: reading{"erm", "psnr_y/8× SR"}, Worse: reading{"erm", "psnr_m/8× SR"}, Larger: true},
		},
		Note: "On the last 100 unseen images, which our settings of the chains were not chosen on; SSIM with Wang's Gaussian window. The paper gives neither the number of images nor the settings.",
	}
}

// fig7 shows features of f and h as Fig. 1 and 7 do.
func fig7() study {
	return study{Name: "fig7", Title: "Features of the energy and of the encoder (Fig. 1 and 7)", Data: "cifar10", Ours: []kind{accuracy},
		Rows: []row{
			{Label: "h, pretrained", Cell: "em", Variation: "h"}, {Label: "h, learnt along", Cell: "em-no-pretrain", Variation: "h"},
			{Label: "f, EBM without latents", Cell: "none", Variation: "f"}, {Label: "f, EM", Cell: "em", Variation: "f"},
		},
		Claims: []claim{
			{Text: "a pretrained encoder separates classes better than one that learns along", Better: reading{"em", "linear_h"}, Worse: reading{"em-no-pretrain", "linear_h"}, Larger: true},
			{Text: "the latent term gives f features that separate classes better", Better: reading{"em", "linear_f"}, Worse: reading{"none", "linear_f"}, Larger: true},
		},
		Note:     "Accuracies on the test split of a linear probe and of 5-NN, W-MSE's protocol, on features before the heads. The paper prints its own above the pictures only.",
		Pictures: fig7Picture,
	}
}

// fig7Picture is t-SNE of the rows of fig7 side by side, of the first seed.
func fig7Picture(p *plan, g grid) ([][2]string, error) {
	const n = 2000
	var panels []panel
	for _, r := range fig7().Rows {
		c := cellNamed(r.Cell)
		result, done, err := g.read(c, p.seeds[0])
		if err != nil {
			return nil, err
		}
		if !done || result.Diverged != "" {
			continue
		}
		record := newRecord("t-SNE")
		err = withFeatures(g.c, record, g.dir(c, p.seeds[0]), r.Variation, func(embed embedder) error {
			drawn, err := tsnePanel(g.c, record, embed, eval.TSNEOptions{Perplexity: 30}, n, "")
			drawn.title = r.Label + accuracies(result.Values["linear_"+r.Variation], result.Values["knn5_"+r.Variation])
			panels = append(panels, drawn)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(panels) == 0 {
		return nil, nil
	}
	return [][2]string{{"fig7.png", fmt.Sprintf("t-SNE of %d test images", len(panels[0].points))}}, drawPanels(filepath.Join(p.out, "fig7.png"), "png", panels)
}

// fig9 shows reconstructions by q of Eq. 26 and by q of the ELBO.
func fig9() study {
	return study{Name: "fig9", Title: "Reconstruction with different training losses of q (Fig. 9)", Data: "cifar10", Ours: []kind{reconstruction},
		Rows: []row{
			{Label: "Eq. 26 over EM", Cell: "em-q"}, {Label: "ELBO (ERM)", Cell: "erm"},
		},
		Claims: []claim{{Text: "the ELBO is closer by pixels, which Eq. 26 does not ask for", Better: reading{"erm", "mse"}, Worse: reading{"em-q", "mse"}}},
		Note:   "The grid's rows: unseen images, their reconstructions by Eq. 26, and by the ELBO.", Pictures: fig9Picture,
	}
}

// fig9Picture is a grid of unseen images above their reconstructions.
func fig9Picture(p *plan, g grid) ([][2]string, error) {
	const n = 16
	var rows []*data.Set
	for _, r := range fig9().Rows {
		c := cellNamed(r.Cell)
		if _, done, err := g.read(c, p.seeds[0]); !done || err != nil {
			return nil, err
		}
		err := g.withQ(c, p.seeds[0], func(m *train.Model, unseen *data.Set) error {
			drawn, err := m.Reconstruct(g.c.Context, unseen.Head(n), train.ReconstructOptions{})
			if err != nil {
				return err
			}
			for _, set := range []*data.Set{unseen.Head(n), drawn.Images} {
				if set, err = m.Config.Crop(set); err != nil {
					return err
				}
				rows = append(rows, set)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	shape, pixels := rows[0].Shape, []byte(nil)
	for _, i := range []int{0, 1, 3} { // the images stand before each model's reconstructions
		pixels = append(pixels, rows[i].Pixels()...)
	}
	shape.N = 3 * n
	img, err := data.Grid(pixels, shape, n)
	if err != nil {
		return nil, err
	}
	return [][2]string{{"fig9.png", "images, Eq. 26, ELBO"}}, data.WritePNG(filepath.Join(p.out, "fig9.png"), img)
}
