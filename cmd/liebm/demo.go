package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "train on Fashion-MNIST and measure, within ten minutes on two cores",
		Description: `Pretrains an encoder, trains energy and generator, evaluates them and writes a report:

	liebm demo --out runs/demo
	open runs/demo/report.html`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Value: "runs/demo", Usage: "run `FOLDER` to make"},
			numberFlag("minutes", 5.5, 1e-6, "training time, after pretraining"),
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed of everything"},
			deviceFlag(),
		},
		Action: demo,
	}
}

func demo(c *cli.Context) error {
	out, minutes := c.String("out"), c.Float64("minutes")
	seed := fmt.Sprintf("seed=%d", c.Uint64("seed"))
	ssl, err := train.Sources{Preset: "fmnist-simclr", Set: []string{seed}}.ResolveSSL()
	if err != nil {
		return err
	}
	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{seed}}.Resolve()
	if err != nil {
		return err
	}
	// At the end the encoder's folder moves into the run's folder. A demo that was interrupted continues.
	encoder, kept := filepath.Clean(out)+"-pretraining", filepath.Join(out, "pretraining")
	if study.IsRun(kept) {
		encoder = kept
	}
	if study.IsRun(encoder) {
		if ssl, err = train.ReadSSLConfig(encoder); err != nil {
			return err
		}
	}
	if study.IsRun(out) {
		minutes = 0 // the run knows what is left of its own
		if cfg, err = train.ReadConfig(out); err != nil {
			return err
		}
	}
	setup, err := newSetup(c)
	if err != nil {
		return err
	}
	start := time.Now()
	const again = "the same liebm demo command"
	if err := study.Pretrain(c.Context, ssl, setup.Options("pretraining", encoder, study.IsRun(encoder))); err != nil {
		return explainStop(err, encoder, again)
	}
	pretrained := time.Now()
	o := setup.Options("training", out, study.IsRun(out))
	o.Minutes = minutes
	if err := study.Train(c.Context, cfg, encoder, o, study.MonitorOptions{}, setup); err != nil {
		return explainStop(err, out, again)
	}
	jobOf(c.Context).busy.Store(false)
	seconds := map[string]float64{"pretrain": pretrained.Sub(start).Seconds(), "train": time.Since(pretrained).Seconds()}
	records, err := study.AssessRun(c.Context, out, study.RunOptions{Samples: study.SampleOptions{Seed: c.Uint64("seed"), Seconds: seconds},
		Outliers: study.OutlierOptions{Seed: c.Uint64("seed")}}, setup)
	if err != nil {
		return err
	}
	if encoder != kept {
		if err := os.Rename(encoder, kept); err != nil {
			return err
		}
	}
	page, err := study.WriteReport(out)
	if err != nil {
		return err
	}
	if err := printSummary(study.Summarize(records), false); err != nil {
		return err
	}
	fmt.Printf("\nlook at %s and %s\n", filepath.Join(out, "samples.png"), page)
	return nil
}
