package main

import (
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
--out ends in /. Sample i depends only on the seed and i. Several processes share the batches (docs/parallel.md).

	liebm sample --run runs/em --n 10000 --out samples.npz
	liebm sample --run runs/em --n 64 --out pictures/ --no-mcmc --seed 7
	torchrun --no_python --nproc_per_node 2 liebm sample --run runs/em --n 50000 --out samples.npz`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			countFlag("n", 64, 1, "how many images"),
			&cli.StringFlag{Name: "out", Required: true, Usage: "`FILE`.npz, or FOLDER/ for PNG files", Action: func(_ *cli.Context, out string) error {
				if !strings.HasSuffix(out, "/") && filepath.Ext(out) != ".npz" {
					return fmt.Errorf("--out %s: name a file that ends in .npz, or a folder that ends in / for PNG files", out)
				}
				return nil
			}},
			countFlag("batch", 0, 1, "images drawn at once; the samples stay the same (default: 128 of 32×32 pixels, fewer of larger ones)"),
			&cli.BoolFlag{Name: "no-mcmc", Usage: "sample from G alone, without the chain: one network evaluation"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of latents and noise"},
			deviceFlag(),
		},
		Action: sample,
	}
}

func sample(c *cli.Context) error {
	setup, err := sharedSetup(c.Context, c)
	if err != nil {
		return err
	}
	defer setup.Group.Close()
	m, err := setup.LoadModel(c.String("run"))
	if err != nil {
		return err
	}
	defer m.Close()
	out, n, o := c.String("out"), c.Int("n"), train.SampleOptions{Seed: c.Uint64("seed"), Batch: c.Int("batch"), NoMCMC: c.Bool("no-mcmc")}
	set, err := setup.Sample(c.Context, m, n, o, "sampling")
	jobOf(c.Context).busy.Store(false)
	if err != nil || setup.Group.Rank() > 0 {
		return err
	}
	if strings.HasSuffix(out, "/") {
		err = data.WritePNGs(out, set)
	} else {
		err = data.WriteNPZ(out, set)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d images of %d×%d×%d in %s (step %d, NFE %d)\n", n, set.H, set.W, set.C, out, m.Step, m.NFE(o))
	return nil
}
