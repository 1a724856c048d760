package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/train"
)

// runFeatures are those of a run's network: f of the energy, or the backbone of the encoder h.
type runFeatures struct {
	m     *train.Model
	which string
	bound *models.Bound // of f, in the open scope
}

func (f *runFeatures) Name() string {
	return map[string]string{"f": "f, the energy's backbone", "h": "h, the encoder's backbone before its head"}[f.which]
}

func (f *runFeatures) Dim() int {
	if f.which == "f" {
		return f.m.Config.Energy.Features()
	}
	return f.m.H.Config.Widths[len(f.m.H.Config.Widths)-1]
}

func (f *runFeatures) Batch() int { return 250 }

func (f *runFeatures) Forward(x torch.Tensor) torch.Tensor {
	x = f.m.Config.Data.Range.FromUnit(x).ToDevice(f.m.G.In.Weight.Device())
	if f.which == "f" {
		return f.bound.Features(x)
	}
	return f.m.H.Features(x, nn.Eval)
}

func probeFlags(more ...cli.Flag) []cli.Flag {
	return append(more, []cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
		&cli.Uint64Flag{Name: "seed", Usage: "of orders and starts"},
		&cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, one JSON a line"},
		jsonFlag(), deviceFlag(),
	}...)
}

// embedder is the features of the first n images of a split of the run's data, or of all for 0; Test
// stands for what the data hold out. The caller closes them.
type embedder func(split data.Split, n int) (eval.Labelled, error)

// withFeatures opens the run in dir and hands do a way to embed its splits by f or h.
func withFeatures(c *cli.Context, r *eval.Record, dir, which string, do func(embed embedder) error) error {
	if which != "f" && which != "h" {
		return fmt.Errorf("--on %s: want f or h", which)
	}
	m, err := openModel(c, dir)
	if err != nil {
		return err
	}
	defer m.Close()
	if which == "h" && m.H == nil {
		return fmt.Errorf("%s has no encoder h: measure the energy's features with --on f", dir)
	}
	return torch.Do(func() error {
		features := &runFeatures{m: m, which: which}
		if which == "f" {
			features.bound = m.E.Frozen(torch.Float32)
		}
		r.Network, r.WeightsSHA256 = features.Name(), m.SHA256
		return do(func(split data.Split, n int) (eval.Labelled, error) {
			if split == data.Test {
				split = data.HeldOut(m.Config.Data.Name)
			}
			set, err := m.Config.Open(split)
			if err != nil {
				return eval.Labelled{}, err
			}
			defer set.Close()
			if set.Labels == nil {
				return eval.Labelled{}, fmt.Errorf("%s has no labels: probes need classes", set.Name)
			}
			if n > 0 {
				set = set.Head(n)
			}
			p := newProgress("features of " + string(split))
			e, input, err := eval.Embed(c.Context, features, eval.FromSet(set), func(done int) { p.count(done, set.N) })
			r.Of(input)
			return eval.Labelled{Embedding: e, Labels: set.Labels}, err
		})
	})
}

func keepInRun(c *cli.Context, r *eval.Record) error {
	return r.Append(filepath.Join(c.String("run"), resultsFile))
}

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "5-NN and linear accuracy of a run's features",
		Description: `W-MSE's protocol: Euclidean 5-NN, and a linear layer trained for 500 epochs by Adam, 1e-2 to 1e-6,
in batches of 1,000, on the training split without augmentation; accuracy on the test split.

	liebm metrics probe --run runs/em --on h
	liebm metrics probe --run runs/em --on f --json`,
		Flags: probeFlags(&cli.StringFlag{Name: "on", Value: "h", Usage: "features of f (the energy) or h (the encoder), both before their heads"},
			&cli.IntFlag{Name: "epochs", Value: 500, Usage: "of the linear probe"}),
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			r := newRecord("probe")
			err := withFeatures(c, r, c.String("run"), c.String("on"), func(embed embedder) error {
				if err := probeFeatures(c, r, embed, probing{epochs: c.Int("epochs"), seed: c.Uint64("seed")}); err != nil {
					return err
				}
				return keepInRun(c, r)
			})
			if err != nil {
				return err
			}
			return finish(c, r, func() {
				fmt.Printf("5-NN %.4f  linear %.4f (%s, %d training and %d test images)\n", r.Values["knn5"], r.Values["linear"], r.Network, r.Inputs[0].N, r.Inputs[1].N)
			})
		},
	}
}

// probing is how probes learn.
type probing struct {
	n      int // the first n training images; 0: all
	epochs int // of the linear probe
	seed   uint64
	prefix string // of the accuracies' names
}

// probeFeatures adds both accuracies on the test split to the record.
func probeFeatures(c *cli.Context, r *eval.Record, embed embedder, o probing) error {
	fit, err := embed(data.Train, o.n)
	if err != nil {
		return err
	}
	defer fit.Close()
	test, err := embed(data.Test, 0)
	if err != nil {
		return err
	}
	defer test.Close()
	near, err := eval.KNN(c.Context, fit, test, 5, newProgress("5-NN").count)
	if err != nil {
		return err
	}
	linear, err := eval.LinearProbe(c.Context, fit, test, eval.LinearOptions{Epochs: o.epochs, Seed: o.seed, Watch: newProgress("linear probe").count})
	if err != nil {
		return err
	}
	r.Seed, r.Settings = &o.seed, map[string]string{"epochs": fmt.Sprint(o.epochs), "protocol": "W-MSE: 5-NN Euclidean; Adam 1e-2 to 1e-6, weight decay 5e-6, batch 1000"}
	r.Values[o.prefix+"knn5"], r.Values[o.prefix+"linear"] = test.Accuracy(near), test.Accuracy(linear)
	return nil
}

func timeCommand() *cli.Command {
	return &cli.Command{
		Name:  "time",
		Usage: "network evaluations and seconds per sample of a run (Table 5)",
		Description: `With the chain and of G alone, after one batch to warm up; the time depends on the machine, so the
record names device and threads.

	liebm metrics time --run runs/em --n 1000`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.IntFlag{Name: "n", Value: 1000, Usage: "samples to time"},
			&cli.Uint64Flag{Name: "seed", Usage: "of the samples"},
			&cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, one JSON a line"},
			jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			n, seed := c.Int("n"), c.Uint64("seed")
			if n < 1 {
				return fmt.Errorf("--n %d: give at least 1", n)
			}
			m, err := openModel(c, c.String("run"))
			if err != nil {
				return err
			}
			defer m.Close()
			device := m.G.In.Weight.Device()
			r := newRecord("time per sample")
			r.Seed, r.WeightsSHA256, r.NFE = &seed, m.SHA256, m.NFE(train.SampleOptions{})
			r.Settings = map[string]string{"device": device.String(), "threads": fmt.Sprint(torch.Threads()), "n": fmt.Sprint(n)}
			for name, noMCMC := range map[string]bool{"": false, "_no_mcmc": true} {
				for _, count := range []int{1, n} { // the first warms up
					start := time.Now()
					if _, err := m.Sample(c.Context, count, train.SampleOptions{Seed: seed, NoMCMC: noMCMC}); err != nil {
						return err
					}
					r.Values["seconds"+name] = time.Since(start).Seconds() / float64(count)
				}
				r.Values["nfe"+name] = float64(m.NFE(train.SampleOptions{NoMCMC: noMCMC}))
			}
			if err := keepInRun(c, r); err != nil {
				return err
			}
			return finish(c, r, func() {
				v := r.Values
				fmt.Fprintf(os.Stdout, "NFE %.0f: %.3g s per sample; G alone, NFE %.0f: %.3g s (n %d, %v, %d threads)\n",
					v["nfe"], v["seconds"], v["nfe_no_mcmc"], v["seconds_no_mcmc"], n, device, torch.Threads())
			})
		},
	}
}
