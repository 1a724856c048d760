package main

import (
	"context"
	"fmt"
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
		Description: `Writes an .npz with uint8 images [n,h,w,c] under the key arr_0, or a folder of PNG files if
--out ends in /. Sample i depends only on the seed and i.

	liebm sample --run runs/em --n 10000 --out samples.npz
	liebm sample --run runs/em --n 64 --out pictures/ --no-mcmc --seed 7`,
		Flags: []cli.Flag{
			runFlag(),
			&cli.IntFlag{Name: "n", Value: 64, Usage: "how many images"},
			&cli.StringFlag{Name: "out", Usage: "`FILE`.npz, or FOLDER/ for PNG files"},
			&cli.BoolFlag{Name: "no-mcmc", Usage: "sample from G alone, without the chain: one network evaluation"},
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
		return fmt.Errorf("--out %s: name a file that ends in .npz, or a folder that ends in / for PNG files", out)
	}
	m, setup, err := openRun(c)
	if err != nil {
		return err
	}
	defer m.Close()
	set, err := drawSamples(c.Context, m, sampleOptions{n, c.Uint64("seed"), c.Bool("no-mcmc")}, setup.Progress("sampling"))
	if err != nil {
		return err
	}
	if folder {
		err = data.WritePNGs(out, set)
	} else {
		err = data.WriteNPZ(out, set)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d images of %d×%d×%d in %s (step %d, NFE %d)\n", n, set.H, set.W, set.C, out, m.Step, m.NFE(train.SampleOptions{NoMCMC: c.Bool("no-mcmc")}))
	return nil
}

// sampleOptions are the flags of samples that are drawn from a run.
type sampleOptions struct {
	n      int
	seed   uint64
	noMCMC bool
}

// drawSamples draws images without the padding of training.
func drawSamples(ctx context.Context, m *train.Model, o sampleOptions, report func(done, total int)) (*data.Set, error) {
	set, err := m.Sample(ctx, o.n, train.SampleOptions{Seed: o.seed, NoMCMC: o.noMCMC, Watch: func(done int) { report(done, o.n) }})
	if err != nil {
		return nil, err
	}
	return m.Config.Crop(set)
}
