package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a trained run: Fréchet distance and outlier detection",
		Description: `Writes summary.json, samples.png, samples_no_mcmc.png and data.png to the run folder, and adds the
results to its results.jsonl. The table names the features of the Fréchet distance. Only a distance on
the published Inception weights is a FID. A run with target=erm also has the error of reconstructions, with G's batch-norm
statistics of the prior's latents and with those of q's. Several processes share samples, features and scores (docs/parallel.md).

	liebm eval --run runs/em
	liebm eval --run runs/em --n 5000 --json`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			countFlag("n", 10_000, 2, "how many samples to draw"),
			&cli.Uint64Flag{Name: "seed", Usage: "seed of samples and outliers"},
			gammaFlag(),
			weightsFlag(", for FID and IS", onGPU),
			jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			setup, err := sharedSetup(c.Context, c)
			if err != nil {
				return err
			}
			defer setup.Group.Close()
			weights := ""
			cfg, err := train.ReadConfig(c.String("run"))
			if err == nil {
				weights, err = inceptionWeights(c, setup, cfg.Data.Name)
			}
			if err := setup.Group.Agree(err); err != nil {
				return err
			}
			records, err := study.AssessRun(c.Context, c.String("run"), study.RunOptions{
				Samples:  study.SampleOptions{N: c.Int("n"), Seed: c.Uint64("seed"), Inception: weights},
				Outliers: study.OutlierOptions{Seed: c.Uint64("seed"), Gamma: gamma(c)},
			}, setup)
			if err != nil || setup.Group.Rank() > 0 {
				return err
			}
			return printSummary(study.Summarize(records), c.Bool("json"))
		},
		Subcommands: []*cli.Command{featuresCommand()},
	}
}

// printSummary prints distances, times and areas.
func printSummary(s *study.Summary, asJSON bool) error {
	v := s.Values
	return show(s, asJSON, func(t io.Writer) {
		for _, l := range s.Lines() {
			fmt.Fprintf(t, "%s\t%.4g\t%s\n", l.Title, l.Value, l.Note)
		}
		fmt.Fprintf(t, "AUROC against\ts(x)\tenergy alone\tcosine alone\n")
		for _, name := range s.Outliers() {
			fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%.3f\n", name, v["auroc/"+name], v["auroc_energy/"+name], v["auroc_cosine/"+name])
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
			&cli.StringFlag{Name: "out", Required: true, Usage: "safetensors `FILE` to write"},
			countFlag("epochs", 6, 1, "passes over the training split"),
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed of weights and data order"},
		},
		Action: func(c *cli.Context) error {
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
			return data.WriteBytes(c.String("out"), weights)
		},
	}
}
