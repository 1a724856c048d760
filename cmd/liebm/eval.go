package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a trained run: Fréchet distance and outlier detection",
		Description: `Leaves summary.json, samples.png, samples_no_mcmc.png and data.png in the run folder, and adds the
results to its results.jsonl. The table names the features of the Fréchet distance. Only a distance on
the published Inception weights is a FID.

	liebm eval --run runs/em
	liebm eval --run runs/em --n 5000 --json`,
		Flags: []cli.Flag{
			runFlag(),
			&cli.IntFlag{Name: "n", Value: 10_000, Usage: "how many samples to draw"},
			&cli.Uint64Flag{Name: "seed", Usage: "of samples and outliers"},
			gammaFlag(),
			&cli.StringFlag{Name: "weights", Usage: "Inception's weights, for FID and IS: `FILE` pt_inception-2015-12-05-6726825d.pth"},
			jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			setup, err := newSetup(c)
			if err != nil {
				return err
			}
			if n := c.Int("n"); n < 2 {
				return fmt.Errorf("--n %d: a covariance needs at least 2 samples", n)
			}
			records, err := study.AssessRun(c.Context, c.String("run"), study.RunOptions{
				Samples:  study.SampleOptions{N: c.Int("n"), Seed: c.Uint64("seed"), Inception: c.String("weights")},
				Outliers: study.OutlierOptions{Seed: c.Uint64("seed"), Gamma: c.Float64("gamma")},
			}, setup)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(os.Stdout, study.Summarize(records))
			}
			return printSummary(study.Summarize(records))
		},
		Subcommands: []*cli.Command{featuresCommand()},
	}
}

// printSummary prints distances, speed and areas.
func printSummary(s *study.Summary) error {
	v := s.Values
	return printTable(func(t *tabwriter.Writer) {
		for _, d := range s.Distances() {
			fmt.Fprintf(t, "%s\t%.2f\t%s\n", d.Title, d.Value, d.Note)
		}
		if is, ok := v["is"]; ok {
			fmt.Fprintf(t, "IS\t%.2f ± %.2f\tG alone %.2f ± %.2f\n", is, v["is_std"], v["is_no_mcmc"], v["is_std_no_mcmc"])
		}
		fmt.Fprintf(t, "images per second\t%.0f\tG alone %.0f\n", 1/v["seconds"], 1/v["seconds_no_mcmc"])
		fmt.Fprintf(t, "AUROC against\ts(x)\tenergy alone\tcosine alone\n")
		for _, name := range s.Outliers() {
			fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%.3f\n", name, v["auroc/"+name], v["auroc_energy/"+name], v["auroc_cosine/"+name])
		}
		for _, stage := range []string{"pretrain", "train"} {
			if seconds, ok := v["seconds_to_"+stage]; ok {
				fmt.Fprintf(t, "%s\t%.0f s\n", stage, seconds)
			}
		}
	})
}

func featuresCommand() *cli.Command {
	return &cli.Command{
		Name:  "features",
		Usage: "train the classifier whose features the Fréchet distance of Fashion-MNIST uses",
		Description: `The file that comes with liebm was made by

	liebm eval features --out eval/fashion.safetensors`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "safetensors `FILE` to write"},
			&cli.IntFlag{Name: "epochs", Value: 6},
			&cli.Uint64Flag{Name: "seed", Value: 1},
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "out"); err != nil {
				return err
			}
			set, err := data.Open("fmnist", data.Options{})
			if err != nil {
				return err
			}
			defer set.Close()
			p := newProgress("training the classifier")
			weights, err := eval.TrainClassifier(c.Context, set, c.Int("epochs"), c.Uint64("seed"), func(step, steps int, loss float64) {
				p.show(step, steps, 0, fmt.Sprintf("loss %.3f", loss))
			})
			if err != nil {
				return err
			}
			return data.WriteAtomic(c.String("out"), func(w io.Writer) error { _, err := w.Write(weights); return err })
		},
	}
}
