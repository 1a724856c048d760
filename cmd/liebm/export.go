package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a run's networks as files that other programs read",
		Description: `Writes the networks as .safetensors, with config, step, seed and versions in their metadata, and as .pt
in TorchScript: E, G, h and the whole score s(x) of Eq. 15 for images in [0,1]. config.json is the run's config.
docs/weights.md lists every name and shows how to load them in PyTorch.

	liebm export --run runs/em --out weights`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			&cli.StringFlag{Name: "out", Required: true, Usage: "`FOLDER` to write to"},
			gammaFlag(), deviceFlag(),
		},
		Action: onRun(func(c *cli.Context, m *train.Model, s study.Setup) error {
			paths, err := m.Export(c.String("out"), c.Float64("gamma"), s.Versions)
			for _, path := range paths {
				fmt.Println(path)
			}
			return err
		}),
	}
}
