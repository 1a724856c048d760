package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
)

// A session is one start of a training in its run folder: the first, or one that resumes it.
type session struct {
	cfg  any
	seed uint64
	log  LogConfig
	step *int // number of steps made; load sets it
	load func(path string) error
}

// begin loads the state of a resumed run, and writes the files that a run folder has before the first step.
func (s session) begin(run *runDir, set *data.Set, o Options) error {
	if o.Resume {
		if err := resume(run, s.load, o); err != nil {
			return err
		}
	}
	if err := writeInfo(run, *s.step, s.seed, set, o); err != nil {
		return err
	}
	o.printf("%s", trainingImages(set))
	if err := writeConfig(run, s.cfg); err != nil {
		return err
	}
	run.Keep = s.log.Keep
	return nil
}

// trainingImages describes the images that training reads.
func trainingImages(set *data.Set) string {
	text := set.String()
	if set.Fit != "" {
		text += ", brought to that size (" + set.Fit + ")"
	}
	if d := set.Division; d != nil {
		text += fmt.Sprintf("; %d others are held out", d.N)
	}
	return text
}

// resume loads the newest checkpoint that can be read. A run without checkpoints starts over.
func resume(run *runDir, load func(path string) error, o Options) error {
	last, skipped, err := run.LastCheckpoint(verifyCheckpoint)
	for _, s := range skipped {
		o.printf("warning: %v", s)
	}
	if errors.Is(err, ErrNoCheckpoint) {
		o.printf("no checkpoint yet: starting at step 0")
		return nil
	}
	if err != nil {
		return err
	}
	o.printf("resuming from step %d", last.Step)
	return load(last.Path)
}

// writeInfo writes run.json, or adds an entry to it when a run is resumed.
func writeInfo(run *runDir, step int, seed uint64, set *data.Set, o Options) error {
	if o.Resume {
		info, err := run.Info()
		if err != nil {
			return err
		}
		host, _ := os.Hostname()
		info.Resumed = append(info.Resumed, Resume{Step: step, Time: time.Now().UTC(), Host: host, Command: os.Args})
		sum := set.SHA256()
		if info.Imported != nil && len(info.Data) == 0 { // an imported model does not name its data
			info.Data = map[string]string{set.Name: sum}
		}
		if info.Data[set.Name] != sum {
			return fmt.Errorf("the data changed since the run began: %s has SHA-256 %s, the run used %s: bring the old data back, or start a new run", set.Name, sum, info.Data[set.Name])
		}
		return run.WriteInfo(info)
	}
	info := newInfo(seed, o)
	info.Data, info.HeldOut = map[string]string{set.Name: set.SHA256()}, set.Division
	return run.WriteInfo(info)
}

// newInfo returns a run.json without the data.
func newInfo(seed uint64, o Options) RunInfo {
	host, _ := os.Hostname()
	versions := map[string]string{"go": runtime.Version(), "libtorch": torch.Version()}
	maps.Copy(versions, o.Version)
	return RunInfo{Seed: seed, Command: os.Args, Started: time.Now().UTC(), Host: host, Device: o.Device.String(), Threads: torch.Threads(),
		Processes: o.Group.World(), Versions: versions}
}

// finished records the time in run.json.
func finished(run *runDir) error {
	info, err := run.Info()
	if err != nil {
		return err
	}
	info.Finished = time.Now().UTC()
	return run.WriteInfo(info)
}

func writeConfig(run *runDir, cfg any) error {
	text, err := config.YAML(cfg)
	if err != nil {
		return err
	}
	return run.WriteConfig(text)
}

// ReadConfig reads the config of the training run in dir.
func ReadConfig(dir string) (Config, error) { return readConfig[Config](dir) }

// ReadSSLConfig reads the config of the pretraining run in dir.
func ReadSSLConfig(dir string) (SSLConfig, error) { return readConfig[SSLConfig](dir) }

// ReadInfo reads the run.json of the run in dir.
func ReadInfo(dir string) (RunInfo, error) {
	run, err := openRun(dir)
	if err != nil {
		return RunInfo{}, err
	}
	return run.Info()
}

func readConfig[C interface{ Validate() error }](dir string) (cfg C, err error) {
	run, err := openRun(dir)
	if err != nil {
		return cfg, err
	}
	text, err := run.Config()
	if err != nil {
		return cfg, err
	}
	if err := config.Decode(text, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", run.Path(configFile), err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: not the config of this kind of run: %w", run.Path(configFile), err)
	}
	return cfg, nil
}

// EncoderPath returns the path of the encoder in the folder of a pretraining run. It returns path itself if
// that is a file.
func EncoderPath(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, encoderFile)
	}
	return path
}

// A simpleTraining is a training by one loss beside Algorithm 1: of an encoder, or of q over a trained
// generator.
type simpleTraining struct {
	session
	batch, steps int
	flip         bool                                  // data.flip
	loss         string                                // name of its metric
	update       func(x torch.Tensor) (float64, error) // one step on x: [n,c,h,w] in [0,1]
	save         func(w io.Writer) error
	probe        func(ctx context.Context) ([]Metric, error) // called every log.samples steps; may be nil
}

// run makes the remaining steps.
func (s simpleTraining) run(ctx context.Context, run *runDir, set *data.Set, o Options) error {
	if err := enough(set, s.batch); err != nil {
		return err
	}
	if err := s.begin(run, set, o); err != nil {
		return err
	}
	batches := newBatches(set, s.seed, s.batch, s.flip, nil)
	l := loop{
		run: run, log: s.log, start: *s.step, steps: func() int { return s.steps }, watch: o.Watch, save: s.save, saveNow: o.Save,
		step: func(i int) (metrics []Metric, err error) {
			err = torch.Do(func() error {
				loss, err := s.update(batches.at(i))
				metrics = []Metric{{s.loss, loss}}
				return err
			})
			return metrics, err
		},
	}
	if s.probe != nil {
		l.samples = func(int, *tensorBoard) ([]Metric, error) { return s.probe(ctx) }
	}
	return torch.Do(func() error { return l.drive(ctx) })
}

// batches are the images of every step. They depend on the seed and the step only. In a group each process
// gathers its own share of n.
type batches struct {
	set        *data.Set
	sampler    *data.Sampler
	seed       uint64
	flip       bool
	n          int
	first, own int
	pixels     []byte
	group      *torch.Group
}

func newBatches(set *data.Set, seed uint64, n int, flip bool, g *torch.Group) *batches {
	own := n / g.World()
	return &batches{set, data.NewSampler(seed, set.N), seed, flip, n, g.Rank() * own, own, make([]byte, own*set.ImageBytes()), g}
}

// enough returns an error if the set has no whole batch.
func enough(set *data.Set, batch int) error {
	if batch > set.N {
		return fmt.Errorf("batch is %d, and there are %d training images: use a batch of at most that, or more images", batch, set.N)
	}
	return nil
}

// at returns step i's images: [own,c,h,w] in [0,1].
func (b *batches) at(i int) torch.Tensor {
	b.set.Gather(b.pixels, b.sampler.Batch(i, b.n)[b.first:b.first+b.own])
	x := data.Floats(b.pixels, b.own, b.set.H, b.set.W, b.set.C)
	if !b.flip {
		return x
	}
	mirrored := torch.NewRNG(b.seed, i, "flip").Share(b.group.Rank(), b.group.World()).Bernoulli(0.5, b.own, 1, 1, 1)
	return torch.Where(mirrored.To(torch.Bool), x.Flip(3), x)
}
