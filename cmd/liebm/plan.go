package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func planCommand() *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "estimate the time and memory of a training or pretraining on this machine",
		Description: `Counts parameters and operations. Then measures steps with small batches, and estimates the time and memory of
the run from them.

	liebm plan --preset cifar10-em
	liebm plan --preset cifar10-simclr                         # of liebm pretrain
	liebm plan --preset cifar10-em --set precision=bfloat16 --json`,
		Flags: append(configFlags("cifar10-em"), jsonFlag(), deviceFlag()),
		Action: func(c *cli.Context) error {
			p, err := measuredCost(c.Context, c)
			if err != nil {
				return err
			}
			return show(p, c.Bool("json"), func(t io.Writer) {
				var params []string
				for _, net := range []string{"E", "G", "q", "h"} {
					if n, ok := p.Params[net]; ok {
						params = append(params, fmt.Sprintf("%s %d", net, n))
					}
				}
				fmt.Fprintf(t, "parameters\t%s\n", strings.Join(params, ", "))
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

// measuredCost is the cost of a pretraining if --preset names one, and of a training otherwise.
func measuredCost(ctx context.Context, c flagValues) (*train.Cost, error) {
	if slices.Contains(train.SSLPresets(), c.String("preset")) {
		cfg, err := configOf(c, train.ReadSSLConfig, train.Sources.ResolveSSL)
		if err != nil {
			return nil, err
		}
		device, err := device(c)
		if err != nil {
			return nil, err
		}
		return train.MeasurePretrainingCost(ctx, cfg, device)
	}
	cfg, device, err := configAndDevice(c)
	if err != nil {
		return nil, err
	}
	return train.MeasureCost(ctx, cfg, train.EncoderFor(cfg), device)
}

// configAndDevice reads configFlags and --device.
func configAndDevice(c flagValues) (train.Config, torch.Device, error) {
	cfg, err := configOf(c, train.ReadConfig, train.Sources.Resolve)
	if err != nil {
		return cfg, torch.Device{}, err
	}
	device, err := device(c)
	return cfg, device, err
}
