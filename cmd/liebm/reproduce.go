package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func reproduceCommand() *cli.Command {
	return &cli.Command{
		Name:      "reproduce",
		Usage:     "train what a table or figure of the paper compares, and lay our figures beside the published ones",
		ArgsUsage: "NAME...",
		Description: `NAME is table1 … table12, fig6, fig7, fig8, fig9, or bfloat16. Each leaves NAME.md, NAME.json and, where there is
something to see, NAME.svg or NAME.png in --out. A model that several of them compare is trained once, in a run
folder of its own; Ctrl-C saves, and the same command goes on. Processes with the same --out share the work.

	liebm reproduce fig6 --scale mini                        # Fashion-MNIST: minutes a model on two CPU cores
	liebm reproduce table9 table10 --seeds 1,2,3
	liebm reproduce fig6 --scale mini --dry-run              # what would be trained, and for how long
	liebm reproduce table1 --scale paper                     # the plan: steps, GPU-hours, disk; runs where there is a GPU
	liebm reproduce table1 --scale paper --weights W.pth     # with FID and IS; W.pth is pytorch-fid's file

--scale mini is Fashion-MNIST with small networks: its figures show which trends appear, and compare with nothing
published. --scale paper is the published setting (Table 12).`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "scale", Value: "mini", Usage: "mini or paper"},
			&cli.StringFlag{Name: "out", Value: "runs/reproduce", Usage: "`FOLDER` of models and results"},
			&cli.StringFlag{Name: "seeds", Value: "1", Usage: "as in 1,2,3: each model is trained once for each, and means and spreads are shown"},
			&cli.StringFlag{Name: "cells", Usage: "train only these of the models that are compared, as in em,erm"},
			&cli.IntFlag{Name: "steps", Usage: "training steps of each model (default: 2000 for mini, Table 12's for paper)"},
			&cli.Float64Flag{Name: "minutes", Usage: "stop after this time, as Ctrl-C does (default: when all is done)"},
			&cli.StringFlag{Name: "data", Usage: "`PATH` of the data set (default: where it is usually installed)"},
			&cli.StringFlag{Name: "weights", Usage: "pytorch-fid's Inception `FILE`, for FID and IS at --scale paper"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and stop"},
			jsonFlag(), deviceFlag(),
		},
		Action: reproduce,
	}
}

func reproduce(c *cli.Context) error {
	if c.NArg() == 0 {
		return fmt.Errorf("name what to reproduce: %s", strings.Join(studyNames(), ", "))
	}
	sc, err := scaleOf(c)
	if err != nil {
		return err
	}
	seeds, err := seedsOf(c.String("seeds"))
	if err != nil {
		return err
	}
	var only []string
	if c.IsSet("cells") {
		only = strings.Split(c.String("cells"), ",")
		if err := checkCells(only); err != nil {
			return err
		}
	}
	var chosen []study
	for _, name := range c.Args().Slice() {
		s, err := studyNamed(name)
		if err != nil {
			return err
		}
		chosen = append(chosen, s)
	}
	plan, err := makePlan(c, sc, chosen, only, seeds)
	if err != nil {
		return err
	}
	if err := plan.print(c); err != nil || c.Bool("dry-run") {
		return err
	}
	if err := sc.ready(c, plan); err != nil {
		return err
	}
	return plan.execute(c)
}

// execute is work within --minutes. One that was stopped says how to go on.
func (p *plan) execute(c *cli.Context) error {
	whole := c.Context
	if c.IsSet("minutes") {
		minutes := c.Float64("minutes")
		if !(minutes > 0) {
			return fmt.Errorf("--minutes %v: give a time above 0", minutes)
		}
		timed, stop := context.WithTimeout(whole, time.Duration(minutes*float64(time.Minute)))
		defer stop()
		c.Context = timed
	}
	err := p.work(c)
	if err == nil || c.Context.Err() == nil {
		return err
	}
	if whole.Err() == nil {
		err = fmt.Errorf("%v minutes are over: %w", c.Float64("minutes"), err)
	}
	return fmt.Errorf("%w\n  what is done is kept: the same liebm reproduce command goes on", err)
}

// work trains what the plan has, and writes each study's results.
func (p *plan) work(c *cli.Context) error {
	for _, part := range p.parts {
		left, err := part.runAll(c.Context, p.seeds)
		if err != nil {
			return err
		}
		for _, name := range left {
			fmt.Fprintf(os.Stderr, "%s is left to the process that is at it\n", name)
		}
	}
	for _, s := range p.studies {
		if err := p.write(c, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// seedsOf reads a list such as 1,2,3.
func seedsOf(text string) (seeds []uint64, err error) {
	for _, word := range strings.Split(text, ",") {
		var seed uint64
		if _, err := fmt.Sscanf(word, "%d", &seed); err != nil || fmt.Sprint(seed) != word {
			return nil, fmt.Errorf("--seeds %s: give numbers, as in 1,2,3", text)
		}
		if !slices.Contains(seeds, seed) {
			seeds = append(seeds, seed)
		}
	}
	return seeds, nil
}
