package main

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

func sampleCommand() *cli.Command {
	return &cli.Command{
		Name:  "sample",
		Usage: "draw images from a trained run",
		Description: `Writes an .npz with uint8 images [n,h,w,c] under the key arr_0, or a folder of PNG when
--out ends in /. Sample i depends on the seed and i only.

	liebm sample --run runs/em --n 10000 --out samples.npz
	liebm sample --run runs/em --n 64 --out pictures/ --no-mcmc --seed 7`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.IntFlag{Name: "n", Value: 64, Usage: "how many images"},
			&cli.StringFlag{Name: "out", Usage: "`FILE`.npz, or FOLDER/ for PNG"},
			&cli.BoolFlag{Name: "no-mcmc", Usage: "G alone, without the chain: one network evaluation"},
			&cli.Uint64Flag{Name: "seed", Usage: "of latents and noise"},
			deviceFlag(),
		},
		Action: sample,
	}
}

func sample(c *cli.Context) error {
	if err := need(c, "run", "out"); err != nil {
		return err
	}
	out, n := c.String("out"), c.Int("n")
	folder := strings.HasSuffix(out, "/")
	if n < 1 {
		return fmt.Errorf("--n %d: give at least 1", n)
	}
	if !folder && filepath.Ext(out) != ".npz" {
		return fmt.Errorf("--out %s: name a file that ends in .npz, or a folder with a / at the end for PNG", out)
	}
	m, err := openModel(c, c.String("run"))
	if err != nil {
		return err
	}
	defer m.Close()
	set, err := samplesOf(c, m, n, "sampling")
	if err != nil {
		return err
	}
	if folder {
		err = writeImages(out, set)
	} else {
		err = data.WriteNPZ(out, set)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d images of %d×%d×%d in %s (step %d, NFE %d)\n", n, set.H, set.W, set.C, out, m.Step, m.NFE(train.SampleOptions{NoMCMC: c.Bool("no-mcmc")}))
	return nil
}

func writeImages(folder string, set *data.Set) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	for i := range set.N {
		if err := data.WritePNG(filepath.Join(folder, fmt.Sprintf("%06d.png", i)), imageOf(set, i)); err != nil {
			return err
		}
	}
	return nil
}

// samplesOf draws n images as --seed and --no-mcmc say, at the size that m's data have.
func samplesOf(c *cli.Context, m *train.Model, n int, what string) (*data.Set, error) {
	p := newProgress(what)
	set, err := m.Sample(c.Context, n, train.SampleOptions{Seed: c.Uint64("seed"), NoMCMC: c.Bool("no-mcmc"),
		Watch: func(done int) { p.count(done, n) }})
	if err != nil {
		return nil, err
	}
	return m.Config.Crop(set)
}

// imageOf is image i as it is, without a grid's frame: metrics read it back.
func imageOf(set *data.Set, i int) image.Image {
	bounds := image.Rect(0, 0, set.W, set.H)
	if set.C == 1 {
		return &image.Gray{Pix: set.Image(i), Stride: set.W, Rect: bounds}
	}
	img := image.NewRGBA(bounds)
	for j, v := range set.Image(i) {
		img.Pix[j/3*4+j%3] = v
	}
	for j := 3; j < len(img.Pix); j += 4 {
		img.Pix[j] = 255
	}
	return img
}
