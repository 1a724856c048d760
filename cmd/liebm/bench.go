package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

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
		Usage: "measure the speed of training, or with --profile the time of each operator",
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
func benchConfig(c *cli.Context) (train.Config, torch.Device, error) {
	cfg, device, err := configAndDevice(c)
	if err != nil {
		return cfg, device, err
	}
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
	return show(c.Bool("json"), seconds, func(w io.Writer) {
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
	return printProfile(os.Stdout, p)
}

// printProfile leaves out operators that take less than a thousandth of the time; --json prints all.
func printProfile(w io.Writer, p *train.Profile) error {
	fmt.Fprintf(w, "%s, batch %d, T %d, %d threads, %s chains: %.4g s an iteration, mean of %d\n",
		p.Preset, p.Batch, p.ChainSteps, p.Threads, p.Precision, p.Seconds, p.Iterations)
	fmt.Fprintf(w, "roofline: 3×3 convolution of 256 channels at 32×32, %.0f GFLOP/s in float32, %.0f in bfloat16; memory, %.1f GB/s\n",
		p.Roofline.Conv["float32"], p.Roofline.Conv["bfloat16"], p.Roofline.Memory)
	for _, table := range []struct {
		title string
		name  func(train.ProfileRow) string
		rows  []train.ProfileRow
	}{
		{"part", func(r train.ProfileRow) string { return r.Part }, p.Parts},
		{"operator", func(r train.ProfileRow) string { return r.Operator }, p.Operators},
		{"operator in its part", func(r train.ProfileRow) string { return r.Operator + ", " + r.Part }, p.Detail},
	} {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "ms\tshare\tcalls\tGFLOP\tGFLOP/s\tGB/s\tof roofline\t  %s\n", table.title)
		for _, r := range table.rows {
			if r.Share < 1e-3 {
				continue
			}
			fmt.Fprintf(t, "%.1f\t%.1f%%\t%.0f\t%.1f\t%.0f\t%.1f\t%.0f%%\t  %s\n",
				r.Milliseconds, 100*r.Share, r.Calls, r.GFLOP, r.GFLOPPerSecond, r.GBPerSecond, 100*r.OfRoofline, table.name(r))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}
