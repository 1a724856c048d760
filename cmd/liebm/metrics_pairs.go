package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
)

func psnrCommand() *cli.Command {
	return &cli.Command{
		Name:      "psnr",
		Usage:     "PSNR and MSE between images in pairs",
		ArgsUsage: "A B",
		Description: `Image i of A belongs to image i of B, in the order of an .npz or of the files' paths. Pixels are scaled
to [0,1]. The result is the mean of the pairs' PSNR.

	liebm metrics psnr restored.npz originals.npz`,
		Flags: metricFlags(),
		Action: func(c *cli.Context) error {
			return comparePairs(c, "PSNR", func(r *eval.Record, a, b *data.Set) (string, error) {
				psnr, mse, err := eval.PSNR(c.Context, a, b)
				r.Settings = map[string]string{"data_range": "1"}
				r.Values["psnr"], r.Values["mse"] = stat.Mean(psnr, nil), stat.Mean(mse, nil)
				return fmt.Sprintf("PSNR %.4f dB  MSE %.6g (data range 1, n %d)\n", r.Values["psnr"], r.Values["mse"], a.N), err
			})
		},
	}
}

func ssimCommand() *cli.Command {
	return &cli.Command{
		Name:      "ssim",
		Usage:     "structural similarity between images in pairs",
		ArgsUsage: "A B",
		Description: `Computed for each channel, then averaged over channels and images. Pairs are as in liebm metrics psnr.
The default window is Wang's Gaussian; box is scikit-image's default.

	liebm metrics ssim restored.npz originals.npz
	liebm metrics ssim restored/ originals/ --window box`,
		Flags: metricFlags(&cli.StringFlag{Name: "window", Value: string(eval.Gauss), Usage: "gauss or box"}),
		Action: func(c *cli.Context) error {
			return comparePairs(c, "SSIM", func(r *eval.Record, a, b *data.Set) (string, error) {
				window := eval.Window(c.String("window"))
				ssim, err := eval.SSIM(c.Context, a, b, window)
				r.Settings = map[string]string{"window": window.String(), "data_range": "1", "K1": "0.01", "K2": "0.03"}
				r.Values["ssim"] = stat.Mean(ssim, nil)
				return fmt.Sprintf("SSIM %.6f (%v, data range 1, n %d)\n", r.Values["ssim"], window, a.N), err
			})
		},
	}
}

// comparePairs is the Action of a metric of pairs: measure fills the record of the two sets, and returns the
// line to print.
func comparePairs(c *cli.Context, metric string, measure func(r *eval.Record, a, b *data.Set) (line string, err error)) error {
	return measureImages(c, metric, 2, func(m *imageMetric, r *eval.Record) (string, error) {
		var sets []*data.Set
		var inputs []eval.Input
		for _, s := range m.sources {
			set, input, err := s.Images.Set(c.Context)
			if err != nil {
				return "", err
			}
			if len(input.Skipped) > 0 {
				return "", fmt.Errorf("%s: %d files cannot be read, so the pairs do not match: mend these files, the first is %s", s.Images.Name, len(input.Skipped), input.Skipped[0])
			}
			sets, inputs = append(sets, set.RGB()), append(inputs, input)
		}
		if err := m.gathered(r, inputs...); err != nil {
			return "", err
		}
		return measure(r, sets[0], sets[1])
	})
}
