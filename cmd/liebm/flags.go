package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// configFlags choose a config.
func configFlags(preset string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "preset", Usage: "complete config to start from, such as " + preset},
		&cli.StringFlag{Name: "config", Usage: "YAML `FILE` that names a preset and what differs from it"},
		&cli.StringSliceFlag{Name: "set", Usage: "change one setting, as in chain.steps=60; may be repeated"},
		&cli.Uint64Flag{Name: "seed", Usage: "seed of weights, data order and noise"},
		&cli.IntFlag{Name: "steps", Usage: "training steps"},
		&cli.StringFlag{Name: "data", Usage: "`PATH` of the data set (default: where it is usually installed)"},
	}
}

// runFlags place a run.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "run `FOLDER` to make"},
		&cli.BoolFlag{Name: "resume", Usage: "go on with the run in --out, with its own config"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the whole config and stop"},
		deviceFlag(),
	}
}

func deviceFlag() cli.Flag {
	return &cli.StringFlag{Name: "device", Value: "auto", Usage: "cpu, cuda, cuda:N, or auto: a GPU if there is one"}
}

const skipUnreadable = "skip-unreadable"

func skipFlag() cli.Flag {
	return &cli.BoolFlag{Name: skipUnreadable, Usage: "leave out files that cannot be read, and list them"}
}

func runFlag() cli.Flag {
	return &cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"}
}

func gammaFlag() cli.Flag {
	return &cli.Float64Flag{Name: "gamma", Value: 0.1, Usage: "γ of the score s(x) (Eq. 15); 0.1 in Table 12, 1 for CelebA-HQ"}
}

func recordFlag() cli.Flag {
	return &cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, one JSON a line"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON instead of a table"}
}

// sources reads configFlags; the flags with names of their own come after --set.
func sources(c *cli.Context) (train.Sources, error) {
	s := train.Sources{Preset: c.String("preset"), File: c.String("config"), Set: c.StringSlice("set")}
	if s.Preset == "" && s.File == "" {
		return s, fmt.Errorf("name a config: --preset NAME or --config FILE; training presets are %v, pretraining presets %v", train.Presets(), train.SSLPresets())
	}
	for flag, key := range map[string]string{"seed": "seed", "steps": "steps", "data": "data.path", "target": "target"} {
		if c.IsSet(flag) {
			s.Set = append(s.Set, fmt.Sprintf("%s=%v", key, c.Value(flag)))
		}
	}
	return s, nil
}

// refuseWithResume returns an error if a flag was given that a resumed run has in its own config.
func refuseWithResume(c *cli.Context, names ...string) error {
	for _, name := range names {
		if c.IsSet(name) {
			return fmt.Errorf("--resume goes on with the run's own config, so --%s cannot change it: leave it out, or start a new run", name)
		}
	}
	return nil
}

// device is where --device says to compute.
func device(c *cli.Context) (torch.Device, error) {
	d, err := torch.ParseDevice(c.String("device"))
	if err == nil && d.Type == torch.CPU {
		warnOfOneDNN()
	}
	return d, err
}

var warnOfOneDNN = sync.OnceFunc(func() {
	if why := torch.WhyNoOneDNN(); why != "" {
		fmt.Fprintln(os.Stderr, "warning:", why)
	}
})

// newSetup is the device that a command computes on, and the terminal that it reports to.
func newSetup(c *cli.Context) (study.Setup, error) {
	device, err := device(c)
	return study.Setup{Device: device, Versions: versions(), Log: os.Stderr,
		Progress: func(task string) func(done, total int) { return newProgress(task).count },
		Training: func(task string) train.Watch { return newProgress(task).watch }}, err
}

// need returns an error that names the first flag that is missing. The cli package's own check prints the
// whole help, and asks subcommands for their parent's flags.
func need(c *cli.Context, names ...string) error {
	for _, name := range names {
		if !c.IsSet(name) {
			return fmt.Errorf("--%s is missing: see liebm %s --help", name, c.Command.FullName())
		}
	}
	return nil
}

// checkPicture returns an error unless the file that a flag names ends in one of the formats that the
// command writes. Call it before work that takes long.
func checkPicture(c *cli.Context, flag string, formats ...string) error {
	path := c.String(flag)
	if format := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")); slices.Contains(formats, format) {
		return nil
	}
	return fmt.Errorf("--%s %s: the ending decides the format: name a file that ends in .%s", flag, path, strings.Join(formats, " or ."))
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeJSON writes v to a file, whole or not at all.
func writeJSON(path string, v any) error {
	return data.WriteAtomic(path, func(w io.Writer) error { return printJSON(w, v) })
}

// explainStop adds to err how to go on, if it left a run in out.
func explainStop(err error, out, remedy string) error {
	if err == nil || !isRun(out) {
		return err
	}
	return fmt.Errorf("%w\n  to go on: %s", err, remedy)
}

// resuming is the command line that goes on with the run in out.
func resuming(command, out string) string {
	return fmt.Sprintf("liebm %s --out %s --resume", command, out)
}

// openRun loads the run that --run names onto --device. The caller closes the model.
func openRun(c *cli.Context) (*train.Model, study.Setup, error) {
	setup, err := newSetup(c)
	if err != nil {
		return nil, setup, err
	}
	m, err := loadRun(c.String("run"), setup)
	return m, setup, err
}

// loadRun loads the run in a folder and prints warnings about it. The caller closes the model.
func loadRun(dir string, setup study.Setup) (*train.Model, error) {
	m, err := train.LoadModel(dir, setup.Device)
	if err != nil {
		return nil, err
	}
	for _, w := range m.Warnings {
		fmt.Fprintln(setup.Log, "warning:", w)
	}
	return m, nil
}

// isRun reports whether a folder holds a run.
func isRun(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "config.yaml"))
	return err == nil
}

// argument is the one argument of a command.
func argument(c *cli.Context) (string, error) {
	if c.NArg() != 1 {
		return "", fmt.Errorf("liebm %s takes one argument, %s, after its flags", c.Command.FullName(), c.Command.ArgsUsage)
	}
	return c.Args().First(), nil
}
