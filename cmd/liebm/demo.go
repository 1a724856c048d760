package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

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
			&cli.Float64Flag{Name: "minutes", Value: 5.5, Usage: "training budget, after pretraining"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "seed of everything"},
			deviceFlag(),
		},
		Action: demo,
	}
}

func demo(c *cli.Context) error {
	out, minutes := c.String("out"), c.Float64("minutes")
	if !(minutes > 0) {
		return fmt.Errorf("--minutes %v: give a budget above 0", minutes)
	}
	seed := fmt.Sprintf("seed=%d", c.Uint64("seed"))
	ssl, err := train.Sources{Preset: "fmnist-simclr", Set: []string{seed}}.ResolveSSL()
	if err != nil {
		return err
	}
	cfg, err := train.Sources{Preset: "fmnist-em", Set: []string{seed}}.Resolve()
	if err != nil {
		return err
	}
	// The encoder's folder joins the run's when that is there. What an interrupted demo left goes on.
	encoder := filepath.Clean(out) + "-pretraining"
	if isRun(encoder) {
		if ssl, err = train.ReadSSLConfig(encoder); err != nil {
			return err
		}
	}
	if isRun(out) {
		minutes = 0 // settled already
		if cfg, err = train.ReadConfig(out); err != nil {
			return err
		}
	}
	start := time.Now()
	const again = "the same liebm demo command"
	if err := runPretraining(c, ssl, encoder, isRun(encoder)); err != nil {
		return explainStop(err, encoder, again)
	}
	pretrained := time.Now()
	if err := runTraining(c, cfg, encoder, out, minutes, isRun(out), nil); err != nil {
		return explainStop(err, out, again)
	}
	seconds := map[string]float64{"pretrain": pretrained.Sub(start).Seconds(), "train": time.Since(pretrained).Seconds()}
	s, err := evaluate(c, out, evalOptions{n: 10_000, seed: c.Uint64("seed"), gamma: cfg.Energy.Gamma}, seconds)
	if err != nil {
		return err
	}
	if err := os.Rename(encoder, filepath.Join(out, "pretraining")); err != nil {
		return err
	}
	page, err := writeReport(out)
	if err != nil {
		return err
	}
	s.print(os.Stdout)
	fmt.Printf("\nlook at %s and %s\n", filepath.Join(out, "samples.png"), page)
	return nil
}

func isRun(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "config.yaml"))
	return err == nil
}
