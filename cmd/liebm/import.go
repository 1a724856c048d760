package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "make a run folder of weights that were trained elsewhere",
		ArgsUsage: "FILE",
		Description: `FILE is a checkpoint of Dual-MCMC with netG, netE and netI, for 32 or 64 pixels. Nothing in it is
executed. Its outputs stay the same; docs/weights.md says what became of every name.

	liebm import --from dual-mcmc --out runs/dual checkpoint.pth
	liebm import --from dual-mcmc --out runs/dual --set chain.steps=70 --set chain.delta2=0.16 checkpoint.pth
	liebm sample --run runs/dual --n 64 --out pictures/`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "whose layout it has: " + train.DualMCMC},
			&cli.StringFlag{Name: "out", Usage: "run `FOLDER` to make"},
			&cli.StringFlag{Name: "preset", Usage: "config of what the file does not say, such as the data (default: by image size)"},
			&cli.StringSliceFlag{Name: "set", Usage: "change one setting, as in chain.steps=70; may be repeated"},
			&cli.BoolFlag{Name: "recalibrate", Usage: "set G's batch-norm statistics anew, from latents of its prior, instead of the file's: " +
				"nearest to Dual-MCMC's own sampling, which normalises by the batch"},
		},
		Action: runImport,
	}
}

func runImport(c *cli.Context) error {
	if err := need(c, "from", "out"); err != nil {
		return err
	}
	path, err := argument(c)
	if err != nil {
		return err
	}
	if from := c.String("from"); from != train.DualMCMC {
		return fmt.Errorf("--from %s: the layout that is known is %s", from, train.DualMCMC)
	}
	out := c.String("out")
	cfg, err := train.ImportDualMCMC(path, train.ImportOptions{Out: out, Preset: c.String("preset"), Set: c.StringSlice("set"),
		Recalibrate: c.Bool("recalibrate"), Version: map[string]string{"liebm": version}})
	if err != nil {
		return err
	}
	fmt.Printf("%s in %s: %d×%d images, E of widths %v, G of %v, q of %v; chains of %d steps, δ² %v\n", path, out, cfg.Data.Size, cfg.Data.Size,
		cfg.Energy.Widths, cfg.Generator.Widths, cfg.Inference.Widths, cfg.Chain.Steps, cfg.Chain.Delta2)
	return nil
}
