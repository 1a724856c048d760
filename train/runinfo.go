package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
)

// RunInfo is the content of run.json: the facts about a run that are not in its config.
type RunInfo struct {
	Seed        uint64            `json:"seed"`
	Command     []string          `json:"command"` // os.Args of the first start
	Started     time.Time         `json:"started"`
	Finished    time.Time         `json:"finished,omitzero"` // zero if it still runs or was killed
	Resumed     []Resume          `json:"resumed,omitempty"`
	Host        string            `json:"host"`
	Device      string            `json:"device"`
	Threads     int               `json:"threads"`                // of each process
	Processes   int               `json:"processes,omitempty"`    // that shared each batch at the first start
	Versions    map[string]string `json:"versions"`               // of liebm, Go, libtorch
	Data        map[string]string `json:"data"`                   // file name → SHA-256
	HeldOut     *data.Division    `json:"held_out,omitempty"`     // images that training did not read, if liebm chose them
	Imported    *Imported         `json:"imported,omitempty"`     // weights that were not trained here
	Minutes     float64           `json:"minutes,omitempty"`      // training time that was asked for; 0 as soon as it is converted to a number of steps
	MinutesUsed float64           `json:"minutes_used,omitempty"` // the part of Minutes that was used up to the last checkpoint
	ID          string            `json:"id,omitempty"`           // of config, data and encoder at the first start; checkpoints have it too
	Seal        string            `json:"seal,omitempty"`         // checksum of the file, see seal.go
}

// A Resume is one time that a run was resumed.
type Resume struct {
	Step    int       `json:"step"` // of the checkpoint that it started from
	Time    time.Time `json:"time"`
	Host    string    `json:"host"`
	Command []string  `json:"command"`
}

// newInfo returns a run.json without the data.
func newInfo(seed uint64, o Options) RunInfo {
	host, _ := os.Hostname()
	versions := map[string]string{"go": runtime.Version(), "libtorch": torch.Version()}
	maps.Copy(versions, o.Version)
	return RunInfo{Seed: seed, Command: os.Args, Started: time.Now().UTC(), Host: host, Device: o.Device.String(), Threads: torch.Threads(),
		Processes: o.Group.World(), Versions: versions, Minutes: o.Minutes}
}

// writeStart writes run.json, or adds an entry to it when a run is resumed.
func (r *runDir) writeStart(step int, seed uint64, cfg any, set *data.Set, o Options) (err error) {
	if err := set.Verify(); err != nil {
		return err
	}
	own := map[string]string{set.Name: set.SHA256()}
	if !o.Resume {
		info := newInfo(seed, o)
		info.Data, info.HeldOut = own, set.Division
		if info.ID, err = r.identity(cfg, own); err != nil {
			return err
		}
		return r.WriteInfo(info)
	}
	info, err := r.Info()
	if err != nil {
		return err
	}
	if now := torch.Threads(); now != info.Threads {
		o.printf("warning: the run began with %d threads and goes on with %d, so it does not go on bit for bit", info.Threads, now)
	}
	info.Finished = time.Time{}
	if info.Minutes != o.Minutes {
		info.Minutes, info.MinutesUsed = o.Minutes, 0
	}
	host, _ := os.Hostname()
	info.Resumed = append(info.Resumed, Resume{Step: step, Time: time.Now().UTC(), Host: host, Command: os.Args})
	if info.Imported != nil && len(info.Data) == 0 { // an imported model does not name its data
		info.Data = own
	}
	if sum := own[set.Name]; info.Data[set.Name] != sum {
		return fmt.Errorf("the data changed since the run began: %s has SHA-256 %s, the run used %s: put the old data back, or start a new run", set.Name, sum, info.Data[set.Name])
	}
	return r.WriteInfo(info)
}

// finish records the time in run.json, and says that the run is finished. It does nothing without a folder.
func (r *runDir) finish(steps int, o Options) error {
	if r == nil {
		return nil
	}
	info, err := r.Info()
	if err != nil {
		return err
	}
	began, from := info.Started, 0
	if n := len(info.Resumed); n > 0 {
		began, from = info.Resumed[n-1].Time, info.Resumed[n-1].Step
	}
	info.Finished = time.Now().UTC()
	if from < steps {
		o.printf("finished step %d after %v: results in %s", steps, info.Finished.Sub(began).Round(time.Second), r.Path())
	}
	return r.WriteInfo(info)
}

// ReadInfo reads the run.json of the run in dir.
func ReadInfo(dir string) (RunInfo, error) {
	run, err := openRun(dir)
	if err != nil {
		return RunInfo{}, err
	}
	return run.Info()
}

// WriteInfo writes run.json.
func (r *runDir) WriteInfo(info RunInfo) error {
	info.Seal = unsealed
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", r.Path(infoFile), err)
	}
	return r.write(infoFile, seal(append(text, '\n'), infoMark))
}

// Info returns run.json.
func (r *runDir) Info() (info RunInfo, err error) {
	text, err := os.ReadFile(r.Path(infoFile))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return info, fmt.Errorf("read %s: %w: restore it from a copy", r.Path(infoFile), err)
	}
	info.Seal = ""
	return info, checkSeal(r.Path(infoFile), infoMark, text, len(text))
}

// note is the identity of the run, for the metadata of checkpoints.
func (r *runDir) note() map[string]string {
	notes := map[string]string{}
	if info, err := r.Info(); err == nil && info.ID != "" {
		notes[runKey] = info.ID
	}
	return notes
}

// identity is a checksum of what a run depends on.
func (r *runDir) identity(cfg any, sums map[string]string) (string, error) {
	h := sha256.New()
	text, err := config.YAML(cfg)
	h.Write(text)
	fmt.Fprintln(h, sums)
	if encoder, err := os.ReadFile(r.Path(encoderFile)); err == nil {
		h.Write(encoder)
	}
	return hex.EncodeToString(h.Sum(nil))[:32], err
}
