package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "write one self-contained HTML page about a run",
		Description: `Shows the results, samples, curves and config of a run. Run liebm eval first: it adds distances and
outlier detection.

	liebm report --run runs/em`,
		Flags: []cli.Flag{runFlag()},
		Action: func(c *cli.Context) error {
			path, err := study.WriteReport(c.String("run"))
			if err == nil {
				fmt.Println(path)
			}
			return err
		},
	}
}
