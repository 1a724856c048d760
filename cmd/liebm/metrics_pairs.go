package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
)

func psnrCommand() *cli.Command {
	return &cli.Command{
		Name:      "psnr",
		Usage:     "PSNR and MSE between images in pairs",
		ArgsUsage: "A B",
		Description: `Image i of A belongs to image i of B: the order of an .npz, or of the files' paths. Pixels are
taken to [0,1]; PSNR is of each pair, then the mean.

	liebm metrics psnr restored.npz originals.npz`,
		Flags: metricFlags(),
		Action: func(c *cli.Context) error {
			return comparePairs(c, "PSNR", func(r *eval.Record, a, b *data.Set) error {
				psnr, mse, err := eval.PSNR(c.Context, a, b)
				if err != nil {
					return err
				}
				r.Settings = map[string]string{"data_range": "1"}
				r.Values["psnr"], r.Values["mse"] = mean(psnr), mean(mse)
				return finish(c, r, func() {
					fmt.Printf("PSNR %.4f dB  MSE %.6g (data range 1, n %d)\n", r.Values["psnr"], r.Values["mse"], a.N)
				})
			})
		},
	}
}

func ssimCommand() *cli.Command {
	return &cli.Command{
		Name:      "ssim",
		Usage:     "structural similarity between images in pairs",
		ArgsUsage: "A B",
		Description: `Of each channel, then the mean over channels and images; the pairs are psnr's. The default window
is Wang's Gaussian; box is scikit-image's default.

	liebm metrics ssim restored.npz originals.npz
	liebm metrics ssim restored/ originals/ --window box`,
		Flags: metricFlags(&cli.StringFlag{Name: "window", Value: string(eval.Gauss), Usage: "gauss or box"}),
		Action: func(c *cli.Context) error {
			return comparePairs(c, "SSIM", func(r *eval.Record, a, b *data.Set) error {
				window := eval.Window(c.String("window"))
				ssim, err := eval.SSIM(c.Context, a, b, window)
				if err != nil {
					return err
				}
				r.Settings = map[string]string{"window": window.String(), "data_range": "1", "K1": "0.01", "K2": "0.03"}
				r.Values["ssim"] = mean(ssim)
				return finish(c, r, func() { fmt.Printf("SSIM %.6f (%v, data range 1, n %d)\n", r.Values["ssim"], window, a.N) })
			})
		},
	}
}

// comparePairs reads both arguments whole and measures them.
func comparePairs(c *cli.Context, metric string, f func(r *eval.Record, a, b *data.Set) error) error {
	sources, err := openImages(c, 2)
	if err != nil {
		return err
	}
	defer sources.close()
	r := newRecord(metric)
	var sets []*data.Set
	var inputs []eval.Input
	for _, s := range sources {
		set, input, err := s.Images.Set(c.Context)
		if err != nil {
			return err
		}
		if len(input.Skipped) > 0 {
			return fmt.Errorf("%s: %d files are unreadable, so pairs no longer match: %s", s.Images.Name, len(input.Skipped), input.Skipped[0])
		}
		sets, inputs = append(sets, set), append(inputs, s.describe(input))
	}
	r.Of(inputs...)
	return f(r, sets[0].RGB(), sets[1].RGB())
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
