package main

import (
	"context"
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
			return comparePairs(c, "PSNR", func(r *eval.Record, a, b *data.Set) (print func(), err error) {
				psnr, mse, err := eval.PSNR(c.Context, a, b)
				if err != nil {
					return nil, err
				}
				r.Settings = map[string]string{"data_range": "1"}
				r.Values["psnr"], r.Values["mse"] = stat.Mean(psnr, nil), stat.Mean(mse, nil)
				return func() {
					fmt.Printf("PSNR %.4f dB  MSE %.6g (data range 1, n %d)\n", r.Values["psnr"], r.Values["mse"], a.N)
				}, nil
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
			return comparePairs(c, "SSIM", func(r *eval.Record, a, b *data.Set) (print func(), err error) {
				window := eval.Window(c.String("window"))
				ssim, err := eval.SSIM(c.Context, a, b, window)
				if err != nil {
					return nil, err
				}
				r.Settings = map[string]string{"window": window.String(), "data_range": "1", "K1": "0.01", "K2": "0.03"}
				r.Values["ssim"] = stat.Mean(ssim, nil)
				return func() { fmt.Printf("SSIM %.6f (%v, data range 1, n %d)\n", r.Values["ssim"], window, a.N) }, nil
			})
		},
	}
}

// comparePairs is the Action of a metric of pairs: measure fills the record of the two sets.
func comparePairs(c *cli.Context, metric string, measure func(r *eval.Record, a, b *data.Set) (print func(), err error)) error {
	m, err := readImages(c, 2)
	if err != nil {
		return err
	}
	r := newRecord(metric)
	a, b, err := m.readPairs(c.Context, r)
	if err != nil {
		return err
	}
	print, err := measure(r, a, b)
	if err != nil {
		return err
	}
	return m.finish(r, print)
}

// readPairs reads both arguments into memory, as RGB.
func (m imageMetric) readPairs(ctx context.Context, r *eval.Record) (a, b *data.Set, err error) {
	sources, err := m.openImages(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer sources.close()
	var sets []*data.Set
	var inputs []eval.Input
	for _, s := range sources {
		set, input, err := s.Images.Set(ctx)
		if err != nil {
			return nil, nil, err
		}
		if len(input.Skipped) > 0 {
			return nil, nil, fmt.Errorf("%s: %d files are unreadable, so pairs no longer match: %s", s.Images.Name, len(input.Skipped), input.Skipped[0])
		}
		sets, inputs = append(sets, set), append(inputs, s.describe(input))
	}
	r.Of(inputs...)
	return sets[0].RGB(), sets[1].RGB(), nil
}
