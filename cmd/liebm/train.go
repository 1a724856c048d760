package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

func pretrainCommand() *cli.Command {
	return &cli.Command{
		Name:  "pretrain",
		Usage: "train the latent encoder h by SimCLR, BYOL or W-MSE",
		Description: `Leaves FOLDER/encoder.safetensors for liebm train.

	liebm pretrain --preset fmnist-simclr --out runs/encoder
	liebm pretrain --preset cifar10-wmse --out runs/encoder
	liebm pretrain --preset fmnist-simclr --target byol --out runs/encoder
	liebm pretrain --out runs/encoder --resume`,
		Flags: append(append(configFlags("fmnist-simclr"), runFlags()...),
			&cli.StringFlag{Name: "target", Usage: "what is learnt: simclr, byol or wmse; presets such as fmnist-byol set batch and rate too"}),
		Action: pretrain,
	}
}

func pretrain(c *cli.Context) error {
	if err := need(c, "out"); err != nil {
		return err
	}
	var cfg train.SSLConfig
	var err error
	if c.Bool("resume") {
		if err := refuseWithResume(c, "preset", "config", "set", "seed", "steps", "data", "target"); err != nil {
			return err
		}
		cfg, err = train.ReadSSLConfig(c.String("out"))
	} else {
		var s train.Sources
		if s, err = sources(c); err == nil {
			cfg, err = s.ResolveSSL()
		}
	}
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return printConfig(cfg)
	}
	if follower, err := alone(c); follower || err != nil {
		return err
	}
	out := c.String("out")
	return explainStop(runPretraining(c, cfg, out, c.Bool("resume")), out, resuming("pretrain", out))
}

func runPretraining(c *cli.Context, cfg train.SSLConfig, out string, resume bool) error {
	set, err := cfg.Data.Open(data.Train, cfg.Encoder.Channels)
	if err != nil {
		return err
	}
	defer set.Close()
	o, err := options(c, "pretraining")
	if err != nil {
		return err
	}
	o.Out, o.Resume = out, resume
	probe, done := pretrainProbe(set, cfg)
	defer done()
	o.Probe = probe
	return train.Pretrain(c.Context, cfg, set, o)
}

func trainCommand() *cli.Command {
	flags := append(configFlags("fmnist-em"), runFlags()...)
	return &cli.Command{
		Name:  "train",
		Usage: "train energy and generator together (Algorithm 1)",
		Description: `Needs an encoder of liebm pretrain. Ctrl-C saves; --resume goes on bit for bit.

	liebm train --preset fmnist-em --encoder runs/encoder --out runs/em --minutes 6
	liebm train --preset cifar10-em --encoder runs/h --out runs/cifar --data cifar-10-binary.tar.gz --set precision=bfloat16
	liebm train --out runs/em --resume

Presets are a data set (fmnist, cifar10, imagenet32, celeba64, celebahq256), a hyphen and what G
learns from: em, chains on E(x) (Eq. 9); ejm, chains on E(x,h(x)) (Eq. 10); erm, em and the data,
with q trained along (Eq. 11). The paper's best are em at 32 pixels, erm on CelebA and CelebA-HQ.

Variants and ablations are one setting away:

	--set target=erm                   as in the presets; ejm with em_after=N goes over to em
	--set energy.posterior=gaussian    or cebm (Fig. 8); none: a conventional EBM, without an encoder
	--set energy.linear_f=true         F a learnt linear map
	--set encoder=joint                the encoder learns along, as in CLEL; --encoder may be left out
	--set replace_prob=0               no augmentation of negative samples
	--set views.noise=true             V adds noise instead of augmenting

Several processes share every batch where torchrun, Slurm or Kubernetes starts them (docs/parallel.md):

	torchrun --no_python --nproc_per_node 2 liebm train --preset fmnist-em --encoder runs/encoder --out runs/em`,
		Flags: append(flags,
			&cli.StringFlag{Name: "encoder", Usage: "`FOLDER` of liebm pretrain, or its encoder.safetensors"},
			&cli.Float64Flag{Name: "minutes", Usage: "budget of wall time, instead of --steps"},
		),
		Action: runTrain,
	}
}

func runTrain(c *cli.Context) error {
	if err := need(c, "out"); err != nil {
		return err
	}
	cfg, err := trainConfig(c)
	if err != nil {
		return err
	}
	if c.IsSet("minutes") && (c.IsSet("steps") || !(c.Float64("minutes") > 0)) {
		return fmt.Errorf("--minutes %v: give a budget above 0, and not together with --steps", c.Float64("minutes"))
	}
	if c.IsSet("minutes") && cfg.Schedule.Hold == 0 {
		return fmt.Errorf("--minutes needs schedule.hold above 0, since the number of steps is settled while the rates are held: use --steps")
	}
	if c.Bool("dry-run") {
		return printConfig(cfg)
	}
	if !c.Bool("resume") && c.String("encoder") == "" && cfg.NeedsEncoder() && cfg.Encoder != train.Joint {
		return fmt.Errorf("--encoder is missing: make one with liebm pretrain --preset %s --out FOLDER", train.EncoderPreset(cfg, train.SimCLR))
	}
	if c.String("encoder") != "" && !cfg.NeedsEncoder() {
		return fmt.Errorf("--encoder %s: this training reads no encoder (energy.posterior=none): leave it out", c.String("encoder"))
	}
	g, err := joinGroup(c)
	if err != nil {
		return err
	}
	defer g.Close()
	out := c.String("out")
	err = runTraining(c, cfg, c.String("encoder"), out, c.Float64("minutes"), c.Bool("resume"), g)
	if g.Rank() > 0 {
		return err // rank 0 says how to go on
	}
	return explainStop(err, out, resuming("train", out))
}

func trainConfig(c *cli.Context) (train.Config, error) {
	if c.Bool("resume") {
		if err := refuseWithResume(c, "preset", "config", "set", "seed", "steps", "data", "encoder"); err != nil {
			return train.Config{}, err
		}
		return train.ReadConfig(c.String("out"))
	}
	s, err := sources(c)
	if err != nil {
		return train.Config{}, err
	}
	return s.Resolve()
}

func runTraining(c *cli.Context, cfg train.Config, encoder, out string, minutes float64, resume bool, g *torch.Group) error {
	set, err := cfg.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	o, err := options(c, "training")
	if err != nil {
		return err
	}
	o.Out, o.Resume, o.Minutes, o.Group = out, resume, minutes, g
	if g != nil && o.Device.Type == torch.CUDA && !strings.Contains(c.String("device"), ":") {
		o.Device.Index = g.LocalRank()
	}
	if cfg.Data.Name == "fmnist" && g.Rank() == 0 {
		monitor, err := newMonitor(c.Context, cfg)
		if err != nil {
			return err
		}
		defer monitor.features.Close()
		o.Evaluate = monitor.evaluate
	}
	return train.Run(c.Context, cfg, set, train.EncoderPath(encoder), o)
}

// monitor measures samples during training against the test split.
type monitor struct {
	features *eval.Classifier
	test     *eval.Stats
}

func newMonitor(ctx context.Context, cfg train.Config) (*monitor, error) {
	test, err := cfg.OpenHeldOut()
	if err != nil {
		return nil, err
	}
	defer test.Close()
	features, err := eval.FashionFeatures()
	if err != nil {
		return nil, err
	}
	stats, err := eval.Measure(ctx, features, test, nil)
	return &monitor{features, stats}, err
}

func (m *monitor) evaluate(ctx context.Context, samples *data.Set) ([]train.Metric, error) {
	stats, err := eval.Measure(ctx, m.features, samples, nil)
	if err != nil {
		return nil, err
	}
	fd, err := eval.Frechet(stats, m.test)
	return []train.Metric{{Name: "fd", Value: fd}, {Name: "fd_n", Value: float64(samples.N)}}, err
}

func printConfig(cfg any) error {
	text, err := train.YAML(cfg)
	fmt.Print(text)
	return err
}
