package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "check every file of a run for damage",
		ArgsUsage: "RUN",
		Description: `Compares config.yaml, run.json, the encoder and all checkpoints with the checksums in them. Also checks that
each checkpoint is of this run and of the step in its name. Another process may train the run meanwhile.

	liebm check runs/em`,
		Action: func(c *cli.Context) error {
			run, err := argument(c.Command, c.Args().Slice())
			if err != nil {
				return err
			}
			lines, err := train.Check(run)
			for _, line := range lines {
				fmt.Println("good:", line)
			}
			return err
		},
	}
}
