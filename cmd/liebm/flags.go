package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/internal/shell"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// configFlags choose a config.
func configFlags(preset string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "preset", Usage: "name of a complete config to start from, such as " + preset},
		&cli.StringFlag{Name: "config", Usage: "YAML `FILE` that names a preset and the settings that differ from it"},
		&cli.StringSliceFlag{Name: "set", Usage: "change one setting, as in chain.steps=60; may be repeated"},
		&cli.Uint64Flag{Name: "seed", Usage: "seed of weights, data order and noise (default: as the config says)"},
		countFlag("steps", 0, 1, "training steps (default: as the config says)"),
		&cli.StringFlag{Name: "data", Usage: "a folder, archive or file of images, or a known data set (default: that of the preset)"},
		countFlag("size", 0, 4, "height and width to which images are resized (default: that of the preset or, without a preset, 32, 64, 128 or 256)"),
	}
}

// runFlags place a run.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "out", Required: true, Usage: "run `FOLDER` to make"},
		&cli.GenericFlag{Name: "resume", Value: new(resumption), Usage: "go on with the run in --out, with the run's own config; `[auto]`: go on if --out holds a run, else start it"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print the whole config and stop"},
		deviceFlag(),
	}
}

// resumption is the value of --resume: empty, true or auto.
type resumption string

const auto = "auto"

// Set implements [cli.Generic].
func (r *resumption) Set(s string) error {
	if s != "true" && s != auto {
		return fmt.Errorf("use --resume or --resume %s", auto)
	}
	*r = resumption(s)
	return nil
}

func (r *resumption) String() string { return string(*r) }

// IsBoolFlag tells the flag package that --resume needs no value.
func (r *resumption) IsBoolFlag() bool { return true }

// flagValues are the values of a command line's flags, as *cli.Context has them.
type flagValues interface {
	Bool(name string) bool
	Float64(name string) float64
	Generic(name string) any
	Int(name string) int
	IsSet(name string) bool
	String(name string) string
	StringSlice(name string) []string
	Uint64(name string) uint64
	Value(name string) any
}

// resumes reports whether a command goes on with the run in --out. automatic is false if --resume says so itself.
func resumes(c flagValues) (yes, automatic bool) {
	automatic = fmt.Sprint(c.Generic("resume")) == auto
	return c.IsSet("resume") && (!automatic || study.IsRun(c.String("out"))), automatic
}

func deviceFlag() cli.Flag {
	return &cli.StringFlag{Name: "device", Value: "auto", Usage: "cpu, cuda, cuda:N, or auto: a GPU if there is one"}
}

const skipUnreadable = "skip-unreadable"

func skipFlag() cli.Flag {
	return &cli.BoolFlag{Name: skipUnreadable, Usage: "leave out files that cannot be read, and list them"}
}

func runFlag() cli.Flag {
	return &cli.StringFlag{Name: "run", Required: true, Usage: "run `FOLDER` of liebm train"}
}

func checkpointFlag() cli.Flag {
	return &cli.StringFlag{Name: "checkpoint", Value: "last", Usage: "checkpoint to use: last, best (the smallest distance in training), or the number of a step. last@0.999 uses the average of the weights with decay 0.999, which the config's emas must have"}
}

// weightsFlag names Inception's weights. by is how the file is chosen without the flag.
func weightsFlag(use, by string) cli.Flag {
	return &cli.StringFlag{Name: "weights", Usage: "`FILE` of Inception's weights" + use + "; auto: the file that liebm data fetch inception or pytorch-fid downloaded (default: " + by + ")"}
}

const onGPU = "auto on a GPU, but none for Fashion-MNIST; none on a CPU, where FID takes long"

// inceptionWeights is the file of Inception's weights that --weights names, or "" for none. Without the flag, a file that was
// downloaded is used on a GPU only, and not for Fashion-MNIST, which has a small network of its own.
func inceptionWeights(c flagValues, s study.Setup, dataset string) (string, error) {
	switch word := c.String("weights"); word {
	case "none":
		return "", nil
	case "":
		found, err := eval.FindInception()
		if err != nil || study.Classified(dataset) {
			return "", nil
		}
		if s.Device.Type == torch.CUDA {
			return found, nil
		}
		if s.Log != nil {
			fmt.Fprintf(s.Log, "no FID, which takes long on a CPU: --weights auto measures it with %s\n", found)
		}
		return "", nil
	default:
		return inceptionFile(word)
	}
}

// inceptionFile is the file of Inception's weights that --weights names, or the one that was downloaded.
func inceptionFile(word string) (string, error) {
	if word == "" || word == auto {
		return eval.FindInception()
	}
	return word, nil
}

func gammaFlag() cli.Flag {
	f := numberFlag("gamma", 0, 0, "γ of the score s(x) (Eq. 15)")
	f.DefaultText = "score_gamma of the run's config"
	return f
}

// gamma is the number of --gamma, or nil.
func gamma(c flagValues) *float64 {
	if !c.IsSet("gamma") {
		return nil
	}
	g := c.Float64("gamma")
	return &g
}

func licenseFlag() cli.Flag {
	return &cli.StringFlag{Name: "license", Value: "unknown", Usage: "licence of the weights for the model card, by its name on the hub, such as apache-2.0"}
}

func recordFlag() cli.Flag {
	return &cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, as one line of JSON"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON instead of a table"}
}

// The largest numbers of flags. Memory is allocated for some of them.
const (
	mostCount = 100_000_000
	mostFloat = 1e9
)

// countFlag is a flag of a whole number from least to mostCount.
func countFlag(name string, value, least int, usage string) cli.Flag {
	return &cli.IntFlag{Name: name, Value: value, Usage: usage, Action: func(_ *cli.Context, n int) error {
		if n < least || n > mostCount {
			return fmt.Errorf("--%s %d: use %d to %d", name, n, least, mostCount)
		}
		return nil
	}}
}

// numberFlag is a flag of a number from least to mostFloat.
func numberFlag(name string, value, least float64, usage string) *cli.Float64Flag {
	return &cli.Float64Flag{Name: name, Value: value, Usage: usage, Action: func(_ *cli.Context, x float64) error {
		if !(x >= least && x <= mostFloat) { // also NaN
			return fmt.Errorf("--%s %v: use %v to %.10g", name, x, least, mostFloat)
		}
		return nil
	}}
}

// choiceFlag is a flag of one of these words.
func choiceFlag(name, value, usage string, words ...string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Value: value, Usage: usage, Action: func(_ *cli.Context, word string) error {
		if !slices.Contains(words, word) {
			return fmt.Errorf("--%s %s: use %s", name, word, strings.Join(words, " or "))
		}
		return nil
	}}
}

// pictureFlag is a required flag of a file to write, whose ending is one of these formats.
func pictureFlag(name, usage string, formats ...string) cli.Flag {
	return &cli.StringFlag{Name: name, Required: true, Usage: usage, Action: func(_ *cli.Context, path string) error {
		if format := strings.ToLower(strings.TrimPrefix(filepath.Ext(path), ".")); !slices.Contains(formats, format) {
			return fmt.Errorf("--%s %s: the ending decides the format: name a file that ends in .%s", name, path, strings.Join(formats, " or ."))
		}
		return nil
	}}
}

// sources reads configFlags; the flags with names of their own come after --set.
func sources(c flagValues) (train.Sources, error) {
	s := train.Sources{Preset: c.String("preset"), File: c.String("config"), Data: c.String("data"), Size: c.Int("size"), Set: c.StringSlice("set")}
	if s.Preset == "" && s.File == "" && s.Data == "" {
		return s, fmt.Errorf("name images or a config: --data FOLDER, --preset NAME or --config FILE; training presets are %v, pretraining presets %v", train.Presets(), train.SSLPresets())
	}
	for _, name := range []string{"seed", "steps", "target"} {
		if c.IsSet(name) {
			s.Set = append(s.Set, fmt.Sprintf("%s=%v", name, c.Value(name)))
		}
	}
	return s, nil
}

// configOf reads the flags of configFlags or, with --resume, the config of the run in --out.
func configOf[C any](c flagValues, read func(dir string) (C, error), resolve func(train.Sources) (C, error)) (cfg C, err error) {
	if yes, automatic := resumes(c); yes {
		if err := refuseWithResume(c); err != nil && !automatic {
			return cfg, err
		}
		cfg, err = read(c.String("out"))
		switch {
		case err != nil && !study.IsRun(c.String("out")):
			return cfg, fmt.Errorf("%w, or leave out --resume to start a run there", err)
		case err == nil && automatic:
			warnOfOtherSettings(c, cfg, resolve)
		}
		if err == nil && c.IsSet("steps") {
			err = config.Set(&cfg, fmt.Sprintf("steps=%d", c.Int("steps")))
		}
		return cfg, err
	}
	s, err := sources(c)
	if err != nil {
		return cfg, err
	}
	return resolve(s)
}

// warnOfOtherSettings says which flags of a run that goes on by --resume auto do not fit its config, which it keeps. Settings that a
// run changes by itself do not count.
func warnOfOtherSettings[C any](c flagValues, run C, resolve func(train.Sources) (C, error)) {
	s, err := sources(c)
	if err != nil {
		return
	}
	flags, err := resolve(s)
	if err != nil {
		return
	}
	others, err := config.Changes(run, flags)
	others = slices.DeleteFunc(others, func(setting string) bool {
		key, _, _ := strings.Cut(setting, "=")
		return slices.Contains([]string{"steps", "schedule.hold", "opt_e.lr", "chain.delta2", "data.path"}, key)
	})
	if err == nil && len(others) > 0 {
		fmt.Fprintf(os.Stderr, "warning: %s goes on with its own config; these settings of the flags are ignored: %s\n", c.String("out"), strings.Join(others, " "))
	}
}

// refuseWithResume returns an error if a flag was given that cannot change a resumed run, which has its own config.
func refuseWithResume(c flagValues) error {
	for _, name := range []string{"preset", "config", "set", "seed", "data", "size", "target", "encoder"} {
		if c.IsSet(name) {
			return fmt.Errorf("--resume goes on with the run's own config, so --%s cannot change it: leave it out, or start a new run", name)
		}
	}
	return nil
}

// device is where --device says to compute.
func device(c flagValues) (torch.Device, error) {
	d, err := torch.ParseDevice(c.String("device"))
	if err == nil && d.Type == torch.CPU {
		if why := torch.WhyNoOneDNN(); why != "" {
			fmt.Fprintln(os.Stderr, "warning:", why)
		}
	}
	return d, err
}

// trainingOptions are the options of a training in --out.
func trainingOptions(c flagValues, task string, s study.Setup) train.Options {
	yes, _ := resumes(c)
	o := s.Options(task, c.String("out"), yes)
	if yes {
		o.Steps = c.Int("steps")
	}
	return o
}

// newSetup is the device that a command computes on, and the terminal that it reports to.
func newSetup(ctx context.Context, c flagValues) (study.Setup, error) {
	device, err := device(c)
	job := jobOf(ctx)
	return study.Setup{Device: device, Checkpoint: c.String("checkpoint"), Versions: versions(), Log: cleaned{os.Stderr}, Save: job.save,
		Progress: func(task string) func(done, total int) { return newProgress(task).count },
		Training: func(task string) (train.Watch, io.Writer) {
			p := newProgress(task)
			return func(now train.Progress) {
				job.busy.Store(true)
				p.watch(now)
			}, p
		}}, err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// explainStop adds to err how to go on, if it left a run in out.
func explainStop(err error, out, remedy string) error {
	if diverged := new(train.Diverged); err == nil || !study.IsRun(out) || errors.As(err, &diverged) { // it would diverge again
		return err
	}
	return fmt.Errorf("%w\n  to go on: %s", err, remedy)
}

// resuming is the command line that goes on with the run in out.
func resuming(command, out string) string {
	return fmt.Sprintf("liebm %s --out %s --resume", command, shell.Word(out))
}

// useRun is the work of a command with the run of --run.
type useRun func(c *cli.Context, m *train.Model, s study.Setup) error

// onRun is the Action of a command that uses the run of --run on --device.
func onRun(use useRun) cli.ActionFunc { return onLoaded(study.Setup.LoadModel, use) }

// onScorer is onRun for a command that reads E and h only.
func onScorer(use useRun) cli.ActionFunc { return onLoaded(study.Setup.LoadScorer, use) }

func onLoaded(load func(s study.Setup, dir string) (*train.Model, error), use useRun) cli.ActionFunc {
	return func(c *cli.Context) error {
		if follower, err := alone(c); follower || err != nil {
			return err
		}
		setup, err := newSetup(c.Context, c)
		if err != nil {
			return err
		}
		m, err := load(setup, c.String("run"))
		if err != nil {
			return err
		}
		defer m.Close()
		return use(c, m, setup)
	}
}

// argument is the one argument of a command.
func argument(of *cli.Command, args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("%s takes one argument, %s, after its flags", of.HelpName, of.ArgsUsage)
	}
	return args[0], nil
}
