package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/liebm/liebm/data"
)

// The files of a run folder. Beside them lie checkpoint-00001234.safetensors and TensorBoard's event files.
const (
	configFile  = "config.yaml"
	infoFile    = "run.json"
	metricsFile = "metrics.jsonl"
	logFile     = "log.txt"
	lockFile    = ".lock"
)

// ErrNoCheckpoint says that a run has saved nothing yet, so that resuming it means starting at step 0.
var ErrNoCheckpoint = errors.New("no checkpoint yet")

// ErrLocked says that another process is training in a run folder.
var ErrLocked = errors.New("in use by another training process")

// A runDir is the folder of one training run.
type runDir struct {
	Keep int // SaveCheckpoint keeps this many checkpoints; 0 keeps all

	path    string
	lock    *os.File     // nil when opened for reading
	damaged map[int]bool // steps whose checkpoints LastCheckpoint refused
}

// RunInfo is run.json: where a run's numbers come from, beside its config.
type RunInfo struct {
	Seed      uint64            `json:"seed"`
	Command   []string          `json:"command"` // as started first: os.Args
	Started   time.Time         `json:"started"`
	Finished  time.Time         `json:"finished,omitzero"` // zero while it runs, or when it died
	Resumed   []Resume          `json:"resumed,omitempty"`
	Host      string            `json:"host"`
	Device    string            `json:"device"`
	Threads   int               `json:"threads"`             // of each process
	Processes int               `json:"processes,omitempty"` // that shared each batch, at the start
	Versions  map[string]string `json:"versions"`            // of liebm, Go, libtorch
	Data      map[string]string `json:"data"`                // file name → SHA-256
	Imported  *Imported         `json:"imported,omitempty"`  // weights that were not trained here
}

// A Resume is one continuation of a run.
type Resume struct {
	Step    int       `json:"step"` // of the checkpoint it went on from
	Time    time.Time `json:"time"`
	Host    string    `json:"host"`
	Command []string  `json:"command"`
}

// A Checkpoint is one saved state of a run.
type Checkpoint struct {
	Step int
	Path string
}

// createRun makes the folder of a new run at path, or with resume takes up the run in it, and locks it against a second
// process until Close. A new run wants a path that is free or an empty folder; a resumed one a folder with a config.yaml.
func createRun(path string, resume bool) (*runDir, error) {
	if err := fit(path, resume); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("make the run folder: %w", err)
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	err = fit(path, resume) // again: another process may have come and gone in between
	if err == nil {
		err = data.RemoveTemporaries(path)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &runDir{path: path, lock: lock}, nil
}

// openRun opens the run in path for reading, also while it is being trained.
func openRun(path string) (*runDir, error) {
	if err := fit(path, true); err != nil {
		return nil, err
	}
	return &runDir{path: path}, nil
}

// Close ends the lock.
func (r *runDir) Close() error {
	if r.lock == nil {
		return nil
	}
	return r.lock.Close()
}

// Path returns the path of the folder, or of a file in it.
func (r *runDir) Path(name ...string) string {
	return filepath.Join(append([]string{r.path}, name...)...)
}

// WriteConfig writes config.yaml, which makes the folder one that can be resumed.
func (r *runDir) WriteConfig(text []byte) error { return r.write(configFile, text) }

// Config returns config.yaml.
func (r *runDir) Config() ([]byte, error) { return os.ReadFile(r.Path(configFile)) }

// WriteInfo writes run.json.
func (r *runDir) WriteInfo(info RunInfo) error {
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", r.Path(infoFile), err)
	}
	return r.write(infoFile, append(text, '\n'))
}

// Info returns run.json.
func (r *runDir) Info() (info RunInfo, err error) {
	text, err := os.ReadFile(r.Path(infoFile))
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(text, &info); err != nil {
		return info, fmt.Errorf("read %s: %w", r.Path(infoFile), err)
	}
	return info, nil
}

// Log opens log.txt for appending.
func (r *runDir) Log() (*os.File, error) {
	return os.OpenFile(r.Path(logFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
}

func (r *runDir) write(name string, text []byte) error {
	return data.WriteAtomic(r.Path(name), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// SaveCheckpoint writes the checkpoint of step, and once that is safely on the disk deletes older ones beyond Keep.
// Damaged ones do not count as kept, and are left for the user to look at.
func (r *runDir) SaveCheckpoint(step int, write func(io.Writer) error) error {
	if step < 0 {
		return fmt.Errorf("train: a checkpoint of step %d", step)
	}
	if err := data.WriteAtomic(r.Path(fmt.Sprintf("checkpoint-%08d.safetensors", step)), write); err != nil {
		return err
	}
	delete(r.damaged, step)
	if r.Keep <= 0 {
		return nil
	}
	saved, err := r.Checkpoints()
	if err != nil {
		return err
	}
	// A later step than the one just saved is from before a fall-back; only older ones are in the way.
	older := slices.DeleteFunc(saved, func(c Checkpoint) bool { return c.Step >= step || r.damaged[c.Step] })
	for _, c := range older[:max(0, len(older)-(r.Keep-1))] {
		if err := os.Remove(c.Path); err != nil {
			return fmt.Errorf("delete an old checkpoint: %w", err)
		}
	}
	return nil
}

var checkpointName = regexp.MustCompile(`^checkpoint-(\d{8,})\.safetensors$`)

// Checkpoints lists the checkpoints by step. Temporary files of an interrupted save are not among them.
func (r *runDir) Checkpoints() ([]Checkpoint, error) {
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var all []Checkpoint
	for _, entry := range entries {
		if match := checkpointName.FindStringSubmatch(entry.Name()); match != nil {
			if step, err := strconv.Atoi(match[1]); err == nil {
				all = append(all, Checkpoint{step, r.Path(entry.Name())})
			}
		}
	}
	slices.SortFunc(all, func(a, b Checkpoint) int { return a.Step - b.Step })
	return all, nil
}

// LastCheckpoint returns the newest checkpoint that verify accepts. skipped says which newer ones it refused, and why.
// The error is ErrNoCheckpoint when there is none at all, another one when there are some but all are damaged.
func (r *runDir) LastCheckpoint(verify func(path string) error) (last Checkpoint, skipped []error, err error) {
	all, err := r.Checkpoints()
	if err != nil {
		return last, nil, err
	}
	if len(all) == 0 {
		return last, nil, fmt.Errorf("%s: %w", r.path, ErrNoCheckpoint)
	}
	r.damaged = map[int]bool{}
	for _, c := range slices.Backward(all) {
		err := verify(c.Path)
		if err == nil {
			return c, skipped, nil
		}
		r.damaged[c.Step] = true
		skipped = append(skipped, fmt.Errorf("skipped %s: %w", c.Path, err))
	}
	return last, skipped, fmt.Errorf("%s: no checkpoint can be read, of %d; the newest: %w", r.path, len(all), skipped[0])
}

// fit says whether path can hold a new run, or with resume whether it holds one.
func fit(path string, resume bool) error {
	_, err := os.Stat(filepath.Join(path, configFile))
	isRun := err == nil
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !resume:
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is a file, and a run needs a folder: choose another path", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look into the run folder: %w", err)
	case resume && !isRun:
		return fmt.Errorf("%s holds no run (it has no %s): check the path, or train one there", path, configFile)
	case resume:
		return nil
	case isRun:
		return fmt.Errorf("%s already holds a run: resume it, or choose another folder", path)
	}
	for _, entry := range entries { // a run killed before its config was written may start over
		if name := entry.Name(); name != lockFile && !data.IsTemporary(name) {
			return fmt.Errorf("%s is not empty (it has %s): choose another folder; only a run, with a %s, can be resumed", path, name, configFile)
		}
	}
	return nil
}

// lockFolder takes the lock of the folder at path, which the kernel drops with the process, however that ends. The file
// stays, since deleting it would let two processes lock two files of one name.
func lockFolder(path string) (*os.File, error) {
	name := filepath.Join(path, lockFile)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, data.WriteError(name, err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	switch {
	case err == syscall.EWOULDBLOCK:
		holder, _ := io.ReadAll(io.LimitReader(file, 200))
		file.Close()
		return nil, fmt.Errorf("%s is %w (%s): stop that process, or choose another folder", path, ErrLocked, strings.TrimSpace(string(holder)))
	case err != nil && !errors.Is(err, errors.ErrUnsupported) && err != syscall.ENOLCK:
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	// Without an error, or on a cluster file system that has no locks: training there beats refusing to.
	host, _ := os.Hostname()
	if err = file.Truncate(0); err == nil {
		_, err = file.WriteAt(fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0)
	}
	if err != nil {
		file.Close()
		return nil, data.WriteError(name, err)
	}
	return file, nil
}
