package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "estimate the time and memory of a training run on this machine",
		Description: `Counts parameters and operations. Then measures steps with small batches, and estimates the time and memory of
the run from them.

	liebm plan --preset cifar10-em
	liebm plan --preset cifar10-em --set precision=bfloat16 --json`,
		Flags: append(configFlags("cifar10-em"), jsonFlag(), deviceFlag()),
		Action: func(c *cli.Context) error {
			cfg, device, err := configAndDevice(c)
			if err != nil {
				return err
			}
			p, err := train.MeasureCost(c.Context, cfg, train.EncoderFor(cfg), device)
			if err != nil {
				return err
			}
			return show(p, c.Bool("json"), func(t io.Writer) {
				fmt.Fprintf(t, "parameters\tE %d, G %d, q %d, h %d\n", p.Params["E"], p.Params["G"], p.Params["q"], p.Params["h"])
				fmt.Fprintf(t, "steps\t%d of %d images\n", p.Steps, p.Batch)
				fmt.Fprintf(t, "per iteration\t%.3g TFLOP, about %.3g s at the %.0f GFLOP/s measured here (%s, %d threads, %s)\n",
					p.FLOPsPerIteration/1e12, p.SecondsPerStep, p.GFLOPPerSecond, p.Device, p.Threads, p.Precision)
				fmt.Fprintf(t, "total\tabout %.3g hours\n", p.Hours)
				if p.MemoryBytes > 0 {
					fmt.Fprintf(t, "memory\tabout %.2g GB at the peak of a step, estimated from small batches, without the data set and measurements\n", p.MemoryBytes/1e9)
				}
			})
		},
	}
}

// configAndDevice reads configFlags and --device.
func configAndDevice(c *cli.Context) (train.Config, torch.Device, error) {
	cfg, err := configOf(c, train.ReadConfig, train.Sources.Resolve)
	if err != nil {
		return cfg, torch.Device{}, err
	}
	device, err := device(c)
	return cfg, device, err
}
