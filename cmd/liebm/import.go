package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "make a run folder from weights that were trained elsewhere",
		ArgsUsage: "FILE",
		Description: `FILE is a checkpoint of Dual-MCMC with netG, netE and netI, for 32 or 64 pixels. No code in it is
executed. The networks give the same outputs as before; docs/weights.md lists the new name of every weight.

	liebm import --from dual-mcmc --out runs/dual checkpoint.pth
	liebm import --from dual-mcmc --out runs/dual --set chain.steps=70 --set chain.delta2=0.16 checkpoint.pth
	liebm sample --run runs/dual --n 64 --out pictures/`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Required: true, Usage: "the layout of FILE: " + train.DualMCMC, Action: func(_ *cli.Context, from string) error {
				if from != train.DualMCMC {
					return fmt.Errorf("--from %s: the only known layout is %s", from, train.DualMCMC)
				}
				return nil
			}},
			&cli.StringFlag{Name: "out", Required: true, Usage: "run `FOLDER` to make"},
			&cli.StringFlag{Name: "preset", Usage: "config for settings that the file does not contain, such as the data (default: chosen by the size of the images)"},
			&cli.StringSliceFlag{Name: "set", Usage: "change one setting, as in chain.steps=70; may be repeated"},
			&cli.BoolFlag{Name: "recalibrate", Usage: "compute G's batch-norm statistics again, from latents of its prior: " +
				"this is closest to Dual-MCMC's own sampling, which normalises by the batch"},
		},
		Action: runImport,
	}
}

func runImport(c *cli.Context) error {
	path, err := argument(c.Command, c.Args().Slice())
	if err != nil {
		return err
	}
	out := c.String("out")
	cfg, err := train.ImportDualMCMC(path, train.ImportOptions{Out: out, Preset: c.String("preset"), Set: c.StringSlice("set"),
		Recalibrate: c.Bool("recalibrate"), Version: versions()})
	if err != nil {
		return err
	}
	fmt.Printf("%s in %s: %d×%d images, E of widths %v, G of %v, q of %v; chains of %d steps, δ² %v\n", path, out, cfg.Data.Size, cfg.Data.Size,
		cfg.Energy.Widths, cfg.Generator.Widths, cfg.Inference.Widths, cfg.Chain.Steps, cfg.Chain.Delta2)
	return nil
}
