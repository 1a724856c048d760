package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func benchCommand() *cli.Command {
	flags := func(more ...cli.Flag) []cli.Flag {
		return append(append(configFlags("cifar10-em"), jsonFlag(), deviceFlag(),
			countFlag("batch", 0, 2, "images per step (default: the preset's)"),
			countFlag("iters", 5, 1, "iterations to measure, after one that is not counted")), more...)
	}
	return &cli.Command{
		Name:  "bench",
		Usage: "measure a training step: its time (bench step), or the time of each operator (bench --profile)",
		Description: `With --profile, runs iterations of Algorithm 1 on random images and prints, for each part and each
operator of libtorch, the time, the operations, and their speed as a share of the speed that this machine
reaches on a large convolution. Without --preset it uses cifar10-em with --batch 16.

	liebm bench --profile
	liebm bench --profile --set precision=bfloat16 --iters 3
	liebm bench --profile --preset fmnist-em --json`,
		Flags: flags(&cli.BoolFlag{Name: "profile", Usage: "measure the time of each part and operator"}),
		Action: func(c *cli.Context) error {
			if !c.Bool("profile") {
				return errors.New("choose liebm bench --profile, or liebm bench step --preset NAME")
			}
			return benchProfile(c)
		},
		Subcommands: []*cli.Command{{
			Name:        "step",
			Usage:       "seconds per iteration of Algorithm 1, both chains, for each precision of the chains",
			Description: `	liebm bench step --preset cifar10-em --batch 16 --iters 5 --json`,
			Flags:       flags(),
			Action:      benchStep,
		}},
	}
}

// benchConfig reads the config, which --batch may change.
func benchConfig(c flagValues) (train.Config, torch.Device, error) {
	cfg, device, err := configAndDevice(c)
	if c.IsSet("batch") {
		cfg.Batch = c.Int("batch")
	}
	return cfg, device, err
}

func benchStep(c *cli.Context) error {
	cfg, device, err := benchConfig(c)
	if err != nil {
		return err
	}
	seconds := map[string]float64{}
	for _, precision := range []string{"float32", "bfloat16"} {
		cfg.Precision = precision
		if seconds[precision], err = train.MeasureStep(c.Context, cfg, train.EncoderFor(cfg), device, c.Int("iters")); err != nil {
			return err
		}
	}
	return show(seconds, c.Bool("json"), func(w io.Writer) {
		fmt.Fprintf(w, "%s, batch %d, T %d, %s, %d threads: float32 %.4g s, bfloat16 %.4g s an iteration\n",
			cfg.Preset, cfg.Batch, cfg.Chain.Steps, device, torch.Threads(), seconds["float32"], seconds["bfloat16"])
	})
}

func benchProfile(c *cli.Context) error {
	if !c.IsSet("preset") && !c.IsSet("config") {
		err := c.Set("preset", "cifar10-em")
		if !c.IsSet("batch") {
			err = errors.Join(err, c.Set("batch", "16"))
		}
		if err != nil {
			return err
		}
	}
	cfg, device, err := benchConfig(c)
	if err != nil {
		return err
	}
	if device.Type != torch.CPU {
		return fmt.Errorf("--device %s: the profile measures CPU time only: use --device cpu, or NVIDIA's nsys for a GPU", device)
	}
	iters, bar := c.Int("iters"), newProgress("profile")
	p, err := train.MeasureProfile(c.Context, cfg, train.EncoderFor(cfg), iters, func(i int) { bar.count(i, iters) })
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(os.Stdout, p)
	}
	return p.Print(os.Stdout)
}
