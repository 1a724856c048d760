package main

import (
	"cmp"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a run's networks as a folder for other programs and for hubs of models",
		Description: `Writes the networks as .safetensors, with config, step, seed and versions in their metadata, and as .pt
in TorchScript: E, G, h and the whole score s(x) of Eq. 15 for images in [0,1]. config.json is the run's config.
README.md is a model card, as the Hugging Face hub reads it, with data, training, results and examples.
docs/weights.md lists every name and shows how to load them in PyTorch.

	liebm export --run runs/em --out weights`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			&cli.StringFlag{Name: "out", Required: true, Usage: "`FOLDER` to write to"},
			gammaFlag(),
			licenseFlag(),
			deviceFlag(),
		},
		Action: onRun(func(c *cli.Context, m *train.Model, s study.Setup) error {
			out := c.String("out")
			paths, err := m.Export(out, *cmp.Or(gamma(c), &m.Config.ScoreGamma), s.Versions)
			if err != nil {
				return err
			}
			card, err := study.WriteCard(out, c.String("run"), c.String("license"), m)
			for _, path := range append(paths, card) {
				fmt.Println(path)
			}
			return err
		}),
	}
}
