package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a run's networks as files that other programs read",
		Description: `Writes energy, generator and, where the run has them, inference and encoder as .safetensors, with
config, step, seed and versions in their metadata. E and G are also written as .pt in TorchScript.
docs/weights.md lists every name and shows how to load them in PyTorch.

	liebm export --run runs/em --out weights`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train or import"},
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` to write to"},
			deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "run", "out"); err != nil {
				return err
			}
			m, setup, err := openRun(c)
			if err != nil {
				return err
			}
			defer m.Close()
			paths, err := m.Export(c.String("out"), setup.Versions)
			for _, path := range paths {
				fmt.Println(path)
			}
			return err
		},
	}
}
