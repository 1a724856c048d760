package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/internal/shell"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func pretrainCommand() *cli.Command {
	return &cli.Command{
		Name:  "pretrain",
		Usage: "train the latent encoder h by SimCLR, BYOL or W-MSE",
		Description: `Writes encoder.safetensors to the folder of --out. liebm train reads it.

	liebm pretrain --data photos/ --out runs/encoder
	liebm pretrain --preset fmnist-simclr --out runs/encoder
	liebm pretrain --preset cifar10-wmse --out runs/encoder
	liebm pretrain --preset fmnist-simclr --target byol --out runs/encoder
	liebm pretrain --out runs/encoder --resume

Several processes share every batch, as in liebm train (docs/parallel.md):

	torchrun --no_python --nproc_per_node 2 liebm pretrain --preset cifar10-simclr --out runs/encoder`,
		Flags: append(append(configFlags("fmnist-simclr"), runFlags()...),
			&cli.StringFlag{Name: "target", Usage: "the loss: simclr, byol or wmse; presets such as fmnist-byol set batch and rate too"}),
		Action: pretrain,
	}
}

func pretrain(c *cli.Context) error {
	cfg, err := configOf(c, train.ReadSSLConfig, train.Sources.ResolveSSL)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return printConfig(cfg)
	}
	setup, err := sharedSetup(c.Context, c)
	if err != nil {
		return err
	}
	defer setup.Group.Close()
	out := c.String("out")
	err = study.Pretrain(c.Context, cfg, trainingOptions(c, "pretraining", setup))
	if setup.Group.Rank() > 0 {
		return err // rank 0 says how to go on
	}
	return explainStop(err, out, resuming("pretrain", out))
}

func trainCommand() *cli.Command {
	flags := append(configFlags("fmnist-em"), runFlags()...)
	return &cli.Command{
		Name:  "train",
		Usage: "train energy and generator together (Algorithm 1)",
		Description: `Most variants need an encoder of liebm pretrain. Ctrl-C saves the run, and --resume continues it. On a CPU the
result is the same as without the stop. With a larger --steps it also continues a finished run. For jobs that may be
stopped at any time use --resume auto.

	liebm train --data photos/ --encoder runs/encoder --out runs/em
	liebm train --preset fmnist-em --encoder runs/encoder --out runs/em --minutes 6
	liebm train --preset cifar10-em --encoder runs/h --out runs/cifar --data cifar-10-binary.tar.gz --set precision=bfloat16
	liebm train --out runs/em --resume --steps 40000
	liebm train --preset fmnist-em --encoder runs/encoder --out runs/em --resume auto

The name of a preset has two parts with a hyphen between them. The first part is a data set (fmnist, stacked,
cifar10, imagenet32, celeba64, celebahq256), or the size of other images: small (up to 32 pixels), medium (64) or
large (128; 256 with --size 256). The second part says what G learns from:

	em     the ends of chains on E(x) (Eq. 9); in the paper the best at 32 pixels
	ejm    the ends of chains on E(x,h(x)) (Eq. 10)
	erm    em and the data; trains q too (Eq. 11); in the paper the best on CelebA and CelebA-HQ

The presets of the paper's data sets differ from Table 12, whose settings did not learn in small trials. Presets
with Table 12's settings end in -published, as in cifar10-em-published.

One setting selects a variant or an ablation:

	--set target=erm                   as in the presets; ejm with em_after=N changes to em at step N
	--set energy.posterior=gaussian    or cebm (Fig. 8); none: a conventional EBM, without an encoder
	--set energy.linear_f=true         F is a learnt linear map
	--set encoder=joint                the encoder learns with E, as in CLEL; --encoder may be left out
	--set replace_prob=0               no augmentation of negative samples
	--set views.noise=true             V adds noise instead of augmenting

If torchrun, Slurm or Kubernetes starts several processes, they share every batch (docs/parallel.md):

	torchrun --no_python --nproc_per_node 2 liebm train --preset fmnist-em --encoder runs/encoder --out runs/em`,
		Flags: append(flags,
			&cli.StringFlag{Name: "encoder", Usage: "`FOLDER` of liebm pretrain, or its encoder.safetensors"},
			numberFlag("minutes", 0, 1e-6, "training time, instead of --steps (default: --steps decides)"),
			weightsFlag(", for a FID in training", onGPU),
		),
		Action: runTrain,
	}
}

func runTrain(c *cli.Context) error {
	cfg, err := configOf(c, train.ReadConfig, train.Sources.Resolve)
	if err != nil {
		return err
	}
	if c.IsSet("minutes") && c.IsSet("steps") {
		return fmt.Errorf("--minutes and --steps are both given: leave one out")
	}
	if c.IsSet("minutes") && cfg.Schedule.Hold == 0 {
		return fmt.Errorf("--minutes needs schedule.hold above 0, since the number of steps is chosen while the learning rates are constant: set schedule.hold, or use --steps")
	}
	if c.Bool("dry-run") {
		return printConfig(cfg)
	}
	resumed, automatic := resumes(c)
	if !resumed && c.String("encoder") == "" && cfg.NeedsEncoder() && cfg.Encoder != train.Joint {
		return fmt.Errorf("--encoder is missing: make one with liebm pretrain %s--out FOLDER", pretraining(c, cfg))
	}
	if c.String("encoder") != "" && !cfg.NeedsEncoder() {
		return fmt.Errorf("--encoder %s: this training reads no encoder (energy.posterior=none): leave it out", c.String("encoder"))
	}
	setup, err := sharedSetup(c.Context, c)
	if err != nil {
		return err
	}
	g := setup.Group
	defer g.Close()
	weights, err := inceptionWeights(c, setup, cfg.Data.Name)
	if err != nil {
		return err
	}
	out := c.String("out")
	o := trainingOptions(c, "training", setup)
	if !automatic || !resumed { // a run that goes on by itself has its own
		o.Minutes = c.Float64("minutes")
	}
	err = study.Train(c.Context, cfg, c.String("encoder"), o, study.MonitorOptions{Inception: weights}, setup)
	jobOf(c.Context).busy.Store(false)
	if g.Rank() > 0 {
		return err // rank 0 says how to go on
	}
	if err == nil { // keeps the batch-norm statistics of G, so that the commands that use the run open it at once
		if setup.Log != nil {
			fmt.Fprintln(setup.Log, "computing the batch-norm statistics of G for samples; the training is complete")
		}
		setup.Group = nil // the others have ended
		m, err := setup.LoadModel(out)
		if err != nil {
			return err
		}
		m.Close()
	}
	return explainStop(err, out, resuming("train", out))
}

func printConfig(cfg any) error {
	text, err := train.YAML(cfg)
	fmt.Print(text)
	return err
}

// pretraining is the arguments that pretrain an encoder for cfg.
func pretraining(c flagValues, cfg train.Config) (args string) {
	if c.IsSet("data") {
		args = fmt.Sprintf("--data %s ", shell.Word(c.String("data")))
	}
	if c.IsSet("size") {
		args += fmt.Sprintf("--size %d ", c.Int("size"))
	}
	if args == "" || c.IsSet("preset") || c.IsSet("config") {
		args += fmt.Sprintf("--preset %s ", train.EncoderPreset(cfg, train.SimCLR))
	}
	return args
}
