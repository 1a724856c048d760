package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:  "pack",
		Usage: "write a small copy of a run, for others to use",
		Description: `The copy has the networks of one checkpoint, with weights of half precision, and the run's config. Every
command that opens a run opens the copy. Training cannot go on from it. The runs that come with liebm are made so:

	liebm pack --run runs/em --checkpoint best --out small
	liebm sample --run small --out pictures/`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			&cli.StringFlag{Name: "out", Required: true, Usage: "run `FOLDER` to make"},
		},
		Action: func(c *cli.Context) error {
			run, out := c.String("run"), c.String("out")
			if err := train.Pack(run, c.String("checkpoint"), out); err != nil {
				return err
			}
			fmt.Printf("packed %s into %s\n", run, out)
			return nil
		},
	}
}
