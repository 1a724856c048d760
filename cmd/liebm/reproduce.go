package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
)

func reproduceCommand() *cli.Command {
	return &cli.Command{
		Name:      "reproduce",
		Usage:     "train the models that a table or figure of the paper compares, and show our results beside the published ones",
		ArgsUsage: "NAME...",
		Description: `NAME is table1 to table12 or fig6 to fig9, or a comparison that is not in the paper:

	rho         q by Eq. 26 with different ρ
	near        outliers that are close to the data
	modes       modes of stacked-fmnist that samples cover
	chains      chains of 1,000 steps, from samples and from data
	time        a DCGAN, a VAE, an EBM without latents, EM and ERM after equal time: 140 minutes for each seed
	augment     shares of augmented negative samples
	gamma       weights of the latent term
	posterior   cosine, Gaussian and CEBM at equal weights
	bfloat16    chains in bfloat16 and in float32

Each NAME writes NAME.md and NAME.json to --out, and plots or pictures if it has any. README.md lists every claim, of
the paper and of our own comparisons, with its verdict. not-reproduced.md lists the claims that our results do not
support, the missed aims, and what was not run. A verdict needs three seeds.
If several comparisons need a model, it is trained once, in a run folder of its own. Ctrl-C saves, and the same command
goes on. Processes with the same --out share the models, and each waits until all are done.

	liebm reproduce fig6 --scale mini                        # Fashion-MNIST: minutes for each model on two CPU cores
	liebm reproduce table9 table10 --seeds 1,2,3
	liebm reproduce fig6 --scale mini --dry-run              # print the plan: encoders, models, steps, minutes
	liebm reproduce near --outliers photos/cats --outliers digits.npz
	liebm reproduce --pages docs/results                     # write the pages again, without training
	liebm reproduce table1 --scale paper --dry-run           # steps, GPU-hours, disk
	liebm reproduce table1 --scale paper                     # train on a GPU, after liebm data fetch inception
	liebm reproduce table1 --scale paper --published         # the same with the settings of Table 12

The plan of --dry-run counts the operations of each training. Divided by --tflops, they are the minutes or GPU-hours.
To measure the speed of your machine, run liebm plan --preset fmnist-em, or on a GPU liebm plan --preset cifar10-em. It
prints the speed in GFLOP/s: 1,000 GFLOP/s are 1 TFLOP/s.

--scale mini is Fashion-MNIST with small networks. Its results show which trends appear; do not compare
its numbers with published ones. --scale paper trains the presets of the paper's data sets, which differ from
Table 12 (liebm train --preset cifar10-em --dry-run shows them). With --published it trains the presets with
Table 12's settings instead.`,
		Flags: []cli.Flag{
			choiceFlag("scale", "mini", "mini or paper", "mini", "paper"),
			&cli.StringFlag{Name: "out", Value: "runs/reproduce", Usage: "`FOLDER` of models and results"},
			&cli.StringFlag{Name: "seeds", Value: "1", Usage: "seeds, as in 1,2,3: each model is trained once with each seed, and tables show means and standard deviations"},
			&cli.StringFlag{Name: "cells", Usage: "train only these models, as in em,erm. If one of them is a q, the model that has its generator is trained too (default: all that NAME compares)"},
			&cli.BoolFlag{Name: "published", Usage: "with --scale paper: train the presets with Table 12's settings, such as cifar10-em-published, in the folder paper-published of --out"},
			countFlag("steps", 0, 1, "training steps of each model (default: 2000 for mini, Table 12's for paper)"),
			numberFlag("minutes", 0, 1e-6, "stop after this time, as Ctrl-C does (default: run to the end)"),
			&cli.StringSliceFlag{Name: "outliers", Usage: "for near: a folder, archive or file of images, whose AUROC gets a column with its name; repeat the flag for more sets. A name that another set has gets a number, as in mnist-2"},
			&cli.StringFlag{Name: "data", Usage: "`PATH` of the data set (default: where it is usually installed)"},
			weightsFlag(", for FID and IS at --scale paper", auto),
			&cli.StringFlag{Name: "pages", Usage: "train nothing: write the pages of the results in `FOLDER` again, from their JSON"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the plan and stop"},
			numberFlag("tflops", 0, 1e-6, "speed of your machine in TFLOP/s, for the minutes or GPU-hours of the plan (default: 0.16 for mini, measured on two AVX-512 cores; 30 for paper, an assumption for a GPU)"),
			jsonFlag(), deviceFlag(),
		},
		Action: reproduce,
	}
}

func reproduce(c *cli.Context) error {
	if dir := c.String("pages"); dir != "" {
		if c.NArg() > 0 {
			return fmt.Errorf("--pages writes the pages of all results in %s again: leave out %s", dir, strings.Join(c.Args().Slice(), " "))
		}
		for _, name := range c.LocalFlagNames() {
			if name != "pages" {
				return fmt.Errorf("--pages writes the pages of all results in %s again and reads nothing else: leave out --%s", dir, name)
			}
		}
		return study.WritePages(dir)
	}
	plan, err := studyPlan(c, c.Args().Slice())
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return dryRun(c, plan)
	}
	setup, prints, err := ownSetup(c.Context, c)
	if err != nil {
		return err
	}
	if prints && !c.Bool("json") {
		if err := plan.Print(os.Stdout); err != nil {
			return err
		}
	}
	ctx := c.Context
	minutes := c.Float64("minutes")
	if c.IsSet("minutes") {
		timed, stop := context.WithTimeout(ctx, time.Duration(minutes*float64(time.Minute)))
		defer stop()
		ctx = timed
	}
	results, err := plan.Run(ctx, setup)
	if !prints {
		results = nil
	}
	if wrong := showResults(c, results); wrong != nil {
		return wrong
	}
	if err == nil || ctx.Err() == nil {
		return err
	}
	if c.Context.Err() == nil {
		err = fmt.Errorf("%v minutes are over: %w", minutes, err)
	}
	return fmt.Errorf("%w\n  finished work is kept; to go on: the same liebm reproduce command", err)
}

// showResults prints results as pages, or as a list in JSON.
func showResults(c flagValues, results []*study.Result) error {
	if len(results) == 0 {
		return nil
	}
	return show(results, c.Bool("json"), func(w io.Writer) {
		for _, r := range results {
			path := filepath.Join(c.String("out"), r.Scale, r.Name)
			fmt.Fprintf(w, "\n%s\nwritten: %s.md, %s.json\n", r.Markdown(), path, path)
		}
	})
}

// dryRun prints the plan.
func dryRun(c flagValues, plan *study.Plan) error {
	models, err := plan.Models()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(os.Stdout, models)
	}
	if err := plan.Print(os.Stdout); err != nil {
		return err
	}
	if len(models) > 0 && !c.IsSet("tflops") {
		fmt.Println("--tflops sets another speed.")
	}
	return nil
}

// studyPlan reads the flags of the plan.
func studyPlan(c flagValues, names []string) (*study.Plan, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("name a table or figure: %s", strings.Join(study.Names(), ", "))
	}
	var studies []study.Study
	for _, name := range names {
		s, err := study.Named(name)
		if err != nil {
			return nil, err
		}
		studies = append(studies, s)
	}
	scale := study.Mini()
	if c.String("scale") == "paper" {
		weights, _ := inceptionFile(c.String("weights")) // a plan needs none, and training says what is missing
		scale = study.Paper(weights)
	} else if c.IsSet("weights") {
		return nil, errors.New("--weights is for --scale paper: mini measures on features of Fashion-MNIST, and has no FID")
	}
	if scale.Outliers = c.StringSlice("outliers"); len(scale.Outliers) > 0 && !slices.Contains(names, "near") {
		return nil, errors.New("--outliers are for the comparison near: name it too")
	}
	scale.Data, scale.Steps, scale.Published = c.String("data"), c.Int("steps"), c.Bool("published")
	seeds, err := seedsOf(c.String("seeds"))
	if err != nil {
		return nil, err
	}
	o := study.PlanOptions{Out: c.String("out"), Seeds: seeds, TFLOPS: c.Float64("tflops")}
	if c.IsSet("cells") {
		o.Variants = strings.Split(c.String("cells"), ",")
	}
	return study.NewPlan(scale, studies, o)
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
