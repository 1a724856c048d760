package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:  "pack",
		Usage: "write a small copy of a run, for others to use",
		Description: `The copy has the networks of one checkpoint, with weights of half precision, and the configs of the run and
of its encoder's pretraining. Every command that opens a run opens the copy, but training cannot go on from it.
README.md is its model card; liebm eval adds results to it. The run that comes with liebm, pretrained:fmnist, is such
a copy (make pretrained).

	liebm pack --run runs/em --license apache-2.0 --out small
	liebm eval --run small`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			&cli.StringFlag{Name: "out", Required: true, Usage: "run `FOLDER` to make"},
			licenseFlag(),
		},
		Action: pack,
	}
}

func pack(c *cli.Context) error {
	run, out := c.String("run"), c.String("out")
	warnings, err := train.Pack(c.Context, run, c.String("checkpoint"), out)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(cleaned{os.Stderr}, "warning:", w)
	}
	m, err := train.LoadModel(out, torch.Device{})
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := study.WriteCard(out, out, c.String("license"), m); err != nil {
		return err
	}
	fmt.Printf("packed %s into %s\n", run, out)
	return nil
}
