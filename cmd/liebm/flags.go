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
	return &cli.BoolFlag{Name: skipUnreadable, Usage: "leave files out that cannot be read, and list them"}
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

// refuseWithResume is an error if a flag was given that the resumed run has settled already.
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

// options are what all runs of a command share.
func options(c *cli.Context, title string) (train.Options, error) {
	device, err := device(c)
	if err != nil {
		return train.Options{}, err
	}
	p := newProgress(title)
	return train.Options{Device: device, Version: map[string]string{"liebm": version}, Watch: p.watch, Log: p}, nil
}

// need is an error that names the flags that are missing. The cli package's own check prints the
// whole help instead of one line, and asks subcommands for their parent's flags.
func need(c *cli.Context, names ...string) error {
	for _, name := range names {
		if !c.IsSet(name) {
			return fmt.Errorf("--%s is missing: see liebm %s --help", name, c.Command.FullName())
		}
	}
	return nil
}

// pictureFormat is the format of the picture that a flag names, by its ending: one of those that the command writes.
// Ask before what takes long.
func pictureFormat(c *cli.Context, flag string, formats ...string) (string, error) {
	path := c.String(flag)
	if format := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")); slices.Contains(formats, format) {
		return format, nil
	}
	return "", fmt.Errorf("--%s %s: the ending decides the format: name a file that ends in .%s", flag, path, strings.Join(formats, " or ."))
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeJSON leaves v as a file, whole or not at all.
func writeJSON(path string, v any) error {
	return data.WriteAtomic(path, func(w io.Writer) error { return printJSON(w, v) })
}

// writeText leaves text as a file, whole or not at all.
func writeText(path, text string) error {
	return data.WriteAtomic(path, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}

// explainStop adds how to go on, after Ctrl-C or a failure that left something to go on with.
func explainStop(err error, out, remedy string) error {
	if err == nil || !isRun(out) {
		return err
	}
	return fmt.Errorf("%w\n  to go on: %s", err, remedy)
}

// resuming is the command that goes on with the run in out.
func resuming(command, out string) string {
	return fmt.Sprintf("liebm %s --out %s --resume", command, out)
}

// openModel loads the run in dir onto --device. The caller closes it.
func openModel(c *cli.Context, dir string) (*train.Model, error) {
	device, err := device(c)
	if err != nil {
		return nil, err
	}
	m, err := train.LoadModel(dir, device)
	if err != nil {
		return nil, err
	}
	for _, w := range m.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	return m, nil
}
