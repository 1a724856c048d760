package train

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
)

// history is what a run folder holds of a training besides its measurements, and how it goes on.
type history struct {
	cfg  any
	seed uint64
	keep int  // checkpoints
	step *int // updates made, which load sets
	load func(path string) error
}

// begin loads what a resumed run left, and writes what a run folder has before the first step.
func (h history) begin(run *RunDir, set *data.Set, o Options) error {
	if o.Resume {
		if err := resume(run, h.load, o); err != nil {
			return err
		}
	}
	if err := writeInfo(run, *h.step, h.seed, set, o); err != nil {
		return err
	}
	if err := writeConfig(run, h.cfg); err != nil {
		return err
	}
	run.Keep = h.keep
	return nil
}

// resume loads the newest checkpoint that can be read; a run without any starts over.
func resume(run *RunDir, load func(path string) error, o Options) error {
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

// writeInfo writes run.json, or adds a resumption to it.
func writeInfo(run *RunDir, step int, seed uint64, set *data.Set, o Options) error {
	if info, err := run.Info(); err == nil && o.Resume {
		host, _ := os.Hostname()
		info.Resumed = append(info.Resumed, Resume{Step: step, Time: time.Now().UTC(), Host: host, Command: os.Args})
		sum := set.SHA256()
		if info.Imported != nil && len(info.Data) == 0 { // what it was trained on elsewhere is not known
			info.Data = map[string]string{set.Name: sum}
		}
		if info.Data[set.Name] != sum {
			return fmt.Errorf("the data changed since the run began: %s has SHA-256 %s, the run used %s: bring the old data back, or start a new run", set.Name, sum, info.Data[set.Name])
		}
		return run.WriteInfo(info)
	}
	info := newInfo(seed, o)
	info.Data = map[string]string{set.Name: set.SHA256()}
	return run.WriteInfo(info)
}

// newInfo is run.json as of now, without the data.
func newInfo(seed uint64, o Options) RunInfo {
	host, _ := os.Hostname()
	versions := map[string]string{"go": runtime.Version(), "libtorch": torch.Version()}
	maps.Copy(versions, o.Version)
	return RunInfo{Seed: seed, Command: os.Args, Started: time.Now().UTC(), Host: host, Device: o.Device.String(), Threads: torch.Threads(),
		Processes: o.Group.World(), Versions: versions}
}

func finished(run *RunDir) error {
	info, err := run.Info()
	if err != nil {
		return err
	}
	info.Finished = time.Now().UTC()
	return run.WriteInfo(info)
}

func writeConfig(run *RunDir, cfg any) error {
	text, err := config.YAML(cfg)
	if err != nil {
		return err
	}
	return run.WriteConfig(text)
}

// readConfig reads the config of a training run.
func readConfig(run *RunDir) (cfg Config, err error) {
	text, err := run.Config()
	if err != nil {
		return cfg, err
	}
	if err := config.Decode(text, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", run.Path(configFile), err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: not the config of a training run: %w", run.Path(configFile), err)
	}
	return cfg, nil
}

// EncoderPath is where h lies in a folder of pretrain, or path itself if it is a file.
func EncoderPath(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, encoderFile)
	}
	return path
}
