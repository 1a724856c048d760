package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

// probeFlags are those of the metrics of a run's features.
func probeFlags(more ...cli.Flag) []cli.Flag {
	return append(more, runFlag(), &cli.Uint64Flag{Name: "seed", Usage: "of orders and starts"}, recordFlag(), jsonFlag(), deviceFlag())
}

func epochsFlag() cli.Flag {
	return &cli.IntFlag{Name: "epochs", Value: 500, Usage: "of the linear probe"}
}

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "5-NN and linear accuracy of a run's features",
		Description: `W-MSE's protocol: Euclidean 5-NN, and a linear layer trained for 500 epochs by Adam, 1e-2 to 1e-6,
in batches of 1,000, on the training split without augmentation. The accuracies are those on the test split.

	liebm metrics probe --run runs/em --on h
	liebm metrics probe --run runs/encoder    # of liebm pretrain
	liebm metrics probe --run runs/em --on f --json`,
		Flags: probeFlags(&cli.StringFlag{Name: "on", Value: "h", Usage: "features of f (the energy) or h (the encoder), both before their heads"}, epochsFlag()),
		Action: func(c *cli.Context) error {
			on, err := networksOf(c)
			if err != nil {
				return err
			}
			m, setup, err := openProbed(c, on)
			if err != nil {
				return err
			}
			defer m.Close()
			r, err := study.AssessProbe(c.Context, m, study.ProbeOptions{On: on[0], Epochs: c.Int("epochs"), Seed: c.Uint64("seed")}, setup)
			if err != nil {
				return err
			}
			return readResults(c).finish(r, func() {
				fmt.Printf("5-NN %.4f  linear %.4f (%s, %d training and %d test images)\n", r.Values["knn5_"+on[0]], r.Values["linear_"+on[0]], r.Network, r.Inputs[0].N, r.Inputs[1].N)
			})
		},
	}
}

// networksOf reads --run and --on.
func networksOf(c *cli.Context) ([]string, error) {
	if err := need(c, "run"); err != nil {
		return nil, err
	}
	switch on := c.String("on"); {
	case on == "f" || on == "h":
		return []string{on}, nil
	case on == "both" && c.Command.Name == "tsne":
		return []string{"h", "f"}, nil
	default:
		return nil, fmt.Errorf("--on %s: use f or h", on)
	}
}

// openProbed is openRun that also opens a pretraining run if h alone is read.
func openProbed(c *cli.Context, on []string) (*train.Model, study.Setup, error) {
	dir := c.String("run")
	if _, err := train.ReadSSLConfig(dir); err != nil || slices.Contains(on, "f") {
		return openRun(c)
	}
	setup, err := newSetup(c)
	if err != nil {
		return nil, setup, err
	}
	m, err := train.LoadPretrained(dir, setup.Device)
	return m, setup, err
}

func tsneCommand() *cli.Command {
	return &cli.Command{
		Name:  "tsne",
		Usage: "a picture of a run's features in the plane (Fig. 1 and 7)",
		Description: `Exact t-SNE of the first --n test images, coloured by class, as PNG, SVG or PDF: of h, of f, or of
both side by side. With --probe, the titles show 5-NN and linear accuracies by the protocol of liebm
metrics probe, learnt from that many training images. With all training images this takes minutes.

	liebm metrics tsne --run runs/em --on f --plot tsne.png
	liebm metrics tsne --run runs/em --on both --probe 60000 --plot figure7.pdf`,
		Flags: probeFlags(&cli.StringFlag{Name: "on", Value: "h", Usage: "features of f (the energy), h (the encoder), both before their heads, or both"},
			&cli.IntFlag{Name: "n", Value: 2000, Usage: "how many images; memory grows with its square"},
			&cli.Float64Flag{Name: "perplexity", Value: 30}, &cli.StringFlag{Name: "plot", Usage: "`FILE`.png, .svg or .pdf to write"},
			&cli.IntFlag{Name: "probe", Usage: "training images that the accuracies are learnt from; 0: show no accuracies"}, epochsFlag()),
		Action: tsne,
	}
}

func tsne(c *cli.Context) error {
	if err := need(c, "run", "plot"); err != nil {
		return err
	}
	if err := checkPicture(c, "plot", "png", "svg", "pdf"); err != nil {
		return err
	}
	on, err := networksOf(c)
	if err != nil {
		return err
	}
	o := study.TSNEOptions{On: on, N: c.Int("n"), Perplexity: c.Float64("perplexity"), Seed: c.Uint64("seed")}
	if n := c.Int("probe"); n > 0 {
		o.Probe = &study.ProbeOptions{N: n, Epochs: c.Int("epochs"), Seed: o.Seed}
	}
	m, setup, err := openProbed(c, on)
	if err != nil {
		return err
	}
	defer m.Close()
	panels, r, err := study.TSNE(c.Context, m, o, setup)
	if err != nil {
		return err
	}
	if err := study.WritePanels(c.String("plot"), panels); err != nil {
		return err
	}
	return readResults(c).finish(r, func() {
		fmt.Printf("t-SNE of %d images in %s\n", r.Inputs[0].N, c.String("plot"))
		for _, p := range panels {
			fmt.Println(strings.ReplaceAll(p.Title, "\n", ": "))
		}
	})
}

func timeCommand() *cli.Command {
	return &cli.Command{
		Name:  "time",
		Usage: "network evaluations and seconds per sample of a run (Table 5)",
		Description: `Measures sampling with the chain and from G alone, after a batch that is not counted. The time depends
on the machine, so the record names device and threads.

	liebm metrics time --run runs/em --n 1000`,
		Flags: []cli.Flag{runFlag(),
			&cli.IntFlag{Name: "n", Value: 1000, Usage: "samples to time"},
			&cli.Uint64Flag{Name: "seed", Usage: "of the samples"},
			recordFlag(), jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			if n := c.Int("n"); n < 1 {
				return fmt.Errorf("--n %d: give at least 1", n)
			}
			m, setup, err := openRun(c)
			if err != nil {
				return err
			}
			defer m.Close()
			r, err := study.AssessTime(c.Context, m, c.Int("n"), c.Uint64("seed"), setup)
			if err != nil {
				return err
			}
			return readResults(c).finish(r, func() { printTime(r) })
		},
	}
}

func printTime(r *eval.Record) {
	v := r.Values
	fmt.Printf("NFE %.0f: %.3g s per sample; G alone, NFE %.0f: %.3g s (n %s, %s, %s threads)\n",
		v["nfe"], v["seconds"], v["nfe_no_mcmc"], v["seconds_no_mcmc"], r.Settings["n"], r.Settings["device"], r.Settings["threads"])
}
