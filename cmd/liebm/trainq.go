package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/shell"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func trainQCommand() *cli.Command {
	return &cli.Command{
		Name:  "train-q",
		Usage: "train the inference model q over a trained, frozen generator (Eq. 26)",
		Description: `Needs a run of liebm train. It uses the settings of that run, and --set changes some of them.

	liebm train-q --run runs/em --out runs/q --steps 2000
	liebm train-q --run runs/em --out runs/q --set rho_q=10 --set lr_q=2e-4
	liebm train-q --run runs/em --out runs/q --resume`,
		Flags: append(runFlags(),
			runFlag(), checkpointFlag(),
			&cli.StringSliceFlag{Name: "set", Usage: "change one setting, as in rho_q=10; may be repeated"},
			countFlag("steps", 0, 1, "training steps (default: as many as the run had)")),
		Action: runTrainQ,
	}
}

func runTrainQ(c *cli.Context) error {
	from, settings := c.String("run"), c.StringSlice("set")
	if yes, automatic := resumes(c); yes {
		if err := refuseWithResume(c); err != nil && !automatic {
			return err
		}
		from, settings = c.String("out"), nil
	}
	if c.IsSet("steps") {
		settings = append(settings, fmt.Sprintf("steps=%d", c.Int("steps")))
	}
	cfg, err := train.ReadConfig(from)
	if err != nil {
		return err
	}
	if cfg, err = cfg.Change(settings); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return printConfig(cfg)
	}
	return onRun(func(c *cli.Context, m *train.Model, setup study.Setup) error {
		set, err := cfg.Open(data.Train)
		if err != nil {
			return err
		}
		defer set.Close()
		o, command := trainingOptions(c, "training q", setup), "train-q --run "+shell.Word(c.String("run"))
		if c.IsSet("checkpoint") {
			command += " --checkpoint " + shell.Word(c.String("checkpoint"))
		}
		return explainStop(train.TrainInference(c.Context, cfg, m, set, o), o.Out, resuming(command, o.Out))
	})(c)
}
