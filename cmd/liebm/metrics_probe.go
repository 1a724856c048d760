package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

// probeFlags are the flags of the metrics of a run's features.
func probeFlags(more ...cli.Flag) []cli.Flag {
	return append(more, runFlag(), checkpointFlag(), &cli.Uint64Flag{Name: "seed", Usage: "seed of the order of images, and of the first positions of t-SNE"}, recordFlag(), jsonFlag(), deviceFlag())
}

func epochsFlag() cli.Flag {
	return countFlag("epochs", 500, 1, "epochs of the linear probe")
}

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "5-NN and linear accuracy of a run's features",
		Description: `The protocol is that of W-MSE: Euclidean 5-NN, and a linear layer, both on the training split without
augmentation. Adam trains the layer for 500 epochs in batches of 1,000; its rate falls from 1e-2 to 1e-6.
The accuracies are those on the test split.

	liebm metrics probe --run runs/em --on h
	liebm metrics probe --run runs/encoder    # of liebm pretrain
	liebm metrics probe --run runs/em --on f --json`,
		Flags: probeFlags(choiceFlag("on", "h", "features of f (the energy) or h (the encoder), both before their heads", "f", "h"), epochsFlag()),
		Action: onProbed(func(c *cli.Context, m *train.Model, s study.Setup) error {
			on := c.String("on")
			r, err := study.AssessProbe(c.Context, m, study.ProbeOptions{On: on, Epochs: c.Int("epochs"), Seed: c.Uint64("seed")}, s)
			if err != nil || s.Group.Rank() > 0 {
				return err
			}
			return readResults(c, c.Args().Slice()).finish(r, "5-NN %.4f  linear %.4f (%s, %d training and %d test images)\n",
				r.Values["knn5_"+on], r.Values["linear_"+on], r.Network, r.Inputs[0].N, r.Inputs[1].N)
		}),
	}
}

// onProbed is onScorer for processes that share the work. It also opens a pretraining run if h alone is read.
func onProbed(use useRun) cli.ActionFunc {
	return func(c *cli.Context) error {
		s, err := sharedSetup(c.Context, c)
		if err != nil {
			return err
		}
		defer s.Group.Close()
		dir, load := c.String("run"), s.LoadScorer
		if _, err := train.ReadSSLConfig(dir); err == nil && c.String("on") == "h" {
			load = s.LoadPretrained
			if c.IsSet("checkpoint") {
				return fmt.Errorf("--checkpoint %s: %s is a pretraining run, of which only the finished encoder is measured: leave --checkpoint out", c.String("checkpoint"), dir)
			}
		}
		m, err := load(dir)
		if err != nil {
			return err
		}
		defer m.Close()
		return use(c, m, s)
	}
}

func tsneCommand() *cli.Command {
	return &cli.Command{
		Name:  "tsne",
		Usage: "a picture of a run's features in the plane (Fig. 1 and 7)",
		Description: `Draws exact t-SNE of the features of the first --n test images, coloured by class. --on both draws h and f
side by side. With --probe, the titles show 5-NN and linear accuracies, as liebm metrics probe measures them
with that many training images. With all training images this takes minutes.

	liebm metrics tsne --run runs/em --on f --plot tsne.png
	liebm metrics tsne --run runs/em --on both --probe 60000 --plot figure7.pdf`,
		Flags: probeFlags(choiceFlag("on", "h", "features of f (the energy), h (the encoder), both before their heads, or both", "f", "h", "both"),
			countFlag("n", 2000, 1, "how many images; memory grows with its square"),
			numberFlag("perplexity", 30, 1e-9, "about how many neighbours a point has"),
			pictureFlag("plot", "`FILE`.png, .svg or .pdf to write", "png", "svg", "pdf"),
			countFlag("probe", 0, 0, "number of training images from which the probes learn; 0: show no accuracies"), epochsFlag()),
		Action: onProbed(tsne),
	}
}

func tsne(c *cli.Context, m *train.Model, s study.Setup) error {
	o := study.TSNEOptions{On: []string{c.String("on")}, N: c.Int("n"), Perplexity: c.Float64("perplexity"), Seed: c.Uint64("seed")}
	if o.On[0] == "both" {
		o.On = []string{"h", "f"}
	}
	if n := c.Int("probe"); n > 0 {
		o.Probe = &study.ProbeOptions{N: n, Epochs: c.Int("epochs"), Seed: o.Seed}
	}
	panels, r, err := study.TSNE(c.Context, m, o, s)
	if err != nil || s.Group.Rank() > 0 {
		return err
	}
	if err := study.WritePanels(c.String("plot"), panels); err != nil {
		return err
	}
	lines := fmt.Sprintf("t-SNE of %d images in %s\n", r.Inputs[0].N, c.String("plot"))
	for _, p := range panels {
		lines += strings.ReplaceAll(p.Title, "\n", ": ") + "\n"
	}
	return readResults(c, c.Args().Slice()).finish(r, "%s", lines)
}

func timeCommand() *cli.Command {
	return &cli.Command{
		Name:  "time",
		Usage: "network evaluations and seconds per sample of a run (Table 5)",
		Description: `Measures sampling with the chain and from G alone, after a batch that is not counted. The time depends
on the machine, so the record names device and threads.

	liebm metrics time --run runs/em --n 1000`,
		Flags: []cli.Flag{runFlag(), checkpointFlag(),
			countFlag("n", 1000, 1, "samples to time"),
			&cli.Uint64Flag{Name: "seed", Usage: "seed of the samples"},
			recordFlag(), jsonFlag(), deviceFlag(),
		},
		Action: onRun(func(c *cli.Context, m *train.Model, s study.Setup) error {
			r, err := study.AssessTime(c.Context, m, c.Int("n"), c.Uint64("seed"), s)
			if err != nil {
				return err
			}
			v := r.Values
			return readResults(c, c.Args().Slice()).finish(r, "NFE %.0f: %.3g s per sample; G alone, NFE %.0f: %.3g s (n %s, %s, %s threads)\n",
				v["nfe"], v["seconds"], v["nfe_no_mcmc"], v["seconds_no_mcmc"], r.Settings["n"], r.Settings["device"], r.Settings["threads"])
		}),
	}
}
