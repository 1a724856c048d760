package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "train on Fashion-MNIST and measure, in about ten minutes on two cores",
		Description: `Pretrains an encoder, trains energy and generator, evaluates them and writes a report. The presets are fmnist-simclr
and fmnist-em, with chains of 2 steps in place of 5, so that more steps of training fit into the time:

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
	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{seed, "chain.steps=2", "chain.delta2=40"}}.Resolve() // see docs/results/short-chains.md
	if err != nil {
		return err
	}
	// At the end the encoder's folder moves into the run's folder. A demo that was interrupted continues.
	encoder, kept := filepath.Clean(out)+"-pretraining", filepath.Join(out, "pretraining")
	if study.IsRun(kept) {
		encoder = kept
	}
	continued := study.IsRun(encoder) || study.IsRun(out)
	if study.IsRun(encoder) {
		if ssl, err = train.ReadSSLConfig(encoder); err != nil {
			return err
		}
	}
	if study.IsRun(out) {
		minutes = 0 // run.json records the minutes that are left
		if cfg, err = train.ReadConfig(out); err != nil {
			return err
		}
	}
	setup, err := newSetup(c.Context, c)
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
	if continued {
		seconds = nil // earlier starts trained, too
	}
	records, err := assessDemo(c.Context, out, c.Uint64("seed"), seconds, setup)
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
	s := study.Summarize(records)
	if err := printSummary(s, false); err != nil {
		return err
	}
	fmt.Printf("\nthe probes of h learned from %s training images\nlook at %s and %s\n", s.Of("linear_h").Settings["training_images"], filepath.Join(out, "samples.png"), page)
	return nil
}

// probed is the number of training images from which the probes of the demo learn. From all of them the linear probe would take six times as long.
const probed = 10_000

// assessDemo measures the run in dir and its encoder, and adds the records to the run's results. seconds are those of the trainings.
func assessDemo(ctx context.Context, dir string, seed uint64, seconds map[string]float64, s study.Setup) ([]*eval.Record, error) {
	records, err := study.AssessRun(ctx, dir, study.RunOptions{Samples: study.SampleOptions{Seed: seed, Seconds: seconds},
		Outliers: study.OutlierOptions{Seed: seed}}, s)
	if err != nil {
		return nil, err
	}
	m, err := s.LoadScorer(dir)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	probe, err := study.AssessProbe(ctx, m, study.ProbeOptions{On: "h", N: probed, Seed: seed}, s)
	if err != nil {
		return nil, err
	}
	return append(records, probe), study.Keep(dir, probe)
}
