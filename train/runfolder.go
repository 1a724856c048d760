package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/liebm/liebm/data"
)

// The files of a run folder. Beside them lie checkpoint-00001234.safetensors and TensorBoard's event files.
const (
	configFile  = "config.yaml"
	infoFile    = "run.json"
	metricsFile = "metrics.jsonl"
	lockFile    = ".lock"

	encoderConfig = "encoder.yaml" // config of the pretraining of encoder.safetensors

	samplesFolder = "samples"
)

// ErrNoCheckpoint says that a run has not saved a checkpoint yet. Such a run can only start at step 0.
var ErrNoCheckpoint = errors.New("no checkpoint yet")

// ErrLocked says that another process is training in a run folder.
var ErrLocked = errors.New("in use by another training process")

// A runDir is the folder of one run.
type runDir struct {
	Keep       int // SaveCheckpoint keeps this many checkpoints; 0 keeps all
	Milestones int // it never deletes a checkpoint whose step is a multiple of this; 0: there are none

	path    string
	lock    io.Closer    // nil when opened for reading
	damaged map[int]bool // steps whose checkpoints LastCheckpoint could not read
	pending string       // metrics since the last line of metrics.jsonl, in the metadata of LastCheckpoint's
}

// generatorFile has the averaged G of a step with its batch-norm statistics. LoadModel writes it. average is empty, or
// the decay of a further average, as in @0.999.
func generatorFile(step int, average string) string {
	return fmt.Sprintf("generator-%08d%s.safetensors", step, average)
}

// posteriorFile is generatorFile of a G with the batch-norm statistics of q's latents.
func posteriorFile(step int, average string) string { return generatorFile(step, average+"-posterior") }

// A savedCheckpoint is one saved state of a run.
type savedCheckpoint struct {
	Step int
	Path string
}

// createRun makes the folder of a new run at path, or with resume opens that of a run, and locks it until Close. For a
// new run path must not exist or be an empty folder. A run to resume must have a config.yaml.
func createRun(path string, resume bool) (*runDir, error) {
	if err := fit(path, resume); err != nil {
		return nil, err
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	err = fit(path, resume) // again, since another process may have used the folder before the lock
	if err == nil {
		err = clean(path, resume)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &runDir{path: path, lock: lock}, nil
}

// openRun opens the run in path for reading. Another process may train it meanwhile.
func openRun(path string) (*runDir, error) {
	if err := fit(path, true); err != nil {
		return nil, err
	}
	return &runDir{path: path}, nil
}

// Close ends the lock. It does nothing without a folder.
func (r *runDir) Close() error {
	if r == nil || r.lock == nil {
		return nil
	}
	return r.lock.Close()
}

// Path returns the path of the folder, or of a file in it.
func (r *runDir) Path(name ...string) string {
	return filepath.Join(append([]string{r.path}, name...)...)
}

func (r *runDir) write(name string, text []byte) error { return data.WriteBytes(r.Path(name), text) }

// SaveCheckpoint writes the checkpoint of step. When it is on the disk, SaveCheckpoint deletes older ones beyond Keep.
// It neither counts nor deletes damaged ones.
func (r *runDir) SaveCheckpoint(step int, write func(io.Writer) error) error {
	if step < 0 {
		return fmt.Errorf("train: a checkpoint of step %d", step)
	}
	if err := data.WriteAtomic(r.Path(checkpointFile(step)), write); err != nil {
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
	// Checkpoints of later steps were saved before the run went back; they stay until it reaches their step.
	older := slices.DeleteFunc(saved, func(c savedCheckpoint) bool {
		return c.Step >= step || r.damaged[c.Step] || isMultiple(r.Milestones, c.Step)
	})
	for _, c := range older[:max(0, len(older)-(r.Keep-1))] {
		if err := os.Remove(c.Path); err != nil {
			return fmt.Errorf("delete an old checkpoint: %w", err)
		}
		generators, _ := fs.Glob(os.DirFS(r.path), generatorFile(c.Step, "*")) // there may be none
		for _, name := range generators {
			_ = os.Remove(r.Path(name))
		}
	}
	return nil
}

func checkpointFile(step int) string { return fmt.Sprintf("checkpoint-%08d.safetensors", step) }

// isMultiple reports whether step is a multiple of n. It is false if n is 0.
func isMultiple(n, step int) bool { return n > 0 && step%n == 0 }

// The checkpoints that are named by a word: the newest that can be read, and the one with the smallest distance.
const (
	lastCheckpoint = "last"
	bestCheckpoint = "best"
	bestFile       = "checkpoint-best.safetensors"
)

// keepBest saves a state as the best if it has a smaller distance than the kept one. The distance of the kept one is read from its
// metadata: metrics.jsonl may lack it, because a run that goes back removes lines. Files of earlier versions have no distance.
func (r *runDir) keepBest(distance Metric, save func(w io.Writer, notes map[string]string) error) error {
	if math.IsNaN(distance.Value) {
		return nil
	}
	if meta, err := r.inspect(r.Path(bestFile)); err == nil {
		name, text, _ := strings.Cut(meta[distanceKey], " ")
		if best, err := strconv.ParseFloat(text, 64); err == nil && name == distance.Name && best <= distance.Value {
			return nil
		}
	}
	lines, err := ReadMetrics(r.Path(metricsFile))
	if err != nil || slices.ContainsFunc(lines, func(line MetricsLine) bool {
		v, ok := line.Values[distance.Name]
		return ok && v <= distance.Value
	}) {
		return err
	}
	notes := r.note()
	notes[distanceKey] = fmt.Sprint(distance.Name, " ", distance.Value)
	return data.WriteAtomic(r.Path(bestFile), func(w io.Writer) error { return save(w, notes) })
}

// Checkpoint returns the checkpoint of a step or of one of the words, "" being the last. skipped is as of LastCheckpoint.
func (r *runDir) Checkpoint(which string) (c savedCheckpoint, skipped []error, err error) {
	if which == "" || which == lastCheckpoint {
		return r.LastCheckpoint()
	}
	all, err := r.Checkpoints()
	if err != nil {
		return c, nil, err
	}
	have := []string{lastCheckpoint}
	if _, err := os.Stat(r.Path(bestFile)); err == nil {
		if have = append(have, bestCheckpoint); which == bestCheckpoint {
			meta, err := r.inspect(r.Path(bestFile))
			step, _ := strconv.Atoi(meta["step"]) // readCheckpoint refuses another
			return savedCheckpoint{step, r.Path(bestFile)}, nil, err
		}
	}
	for _, c := range all {
		if have = append(have, strconv.Itoa(c.Step)); which == strconv.Itoa(c.Step) {
			return c, nil, r.verify(c.Path)
		}
	}
	note := ""
	if which == bestCheckpoint {
		note = "; there is a best checkpoint only if training measured a distance"
	}
	return c, nil, fmt.Errorf("%s has no checkpoint %s: use %s%s", r.path, which, strings.Join(have, ", "), note)
}

// read calls use with the checkpoint which, as of Checkpoint. If training deletes it meanwhile, there is a newer one, and
// read tries again.
func (r *runDir) read(which string, use func(c savedCheckpoint) error) (skipped []error, err error) {
	for range maxReads {
		var c savedCheckpoint
		if c, skipped, err = r.Checkpoint(which); err == nil {
			err = use(c)
		}
		if _, here := os.Stat(c.Path); here == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNoCheckpoint) {
			break
		}
	}
	return skipped, err
}

// maxReads is how often read tries. It fails only if training deletes a checkpoint during each of these tries.
const maxReads = 5

var checkpointName = regexp.MustCompile(`^checkpoint-(\d{8,})\.safetensors$`)

// Checkpoints lists the checkpoints by step, without temporary files of an interrupted save.
func (r *runDir) Checkpoints() ([]savedCheckpoint, error) {
	entries, err := os.ReadDir(r.path)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var all []savedCheckpoint
	for _, entry := range entries {
		if match := checkpointName.FindStringSubmatch(entry.Name()); match != nil {
			if step, err := strconv.Atoi(match[1]); err == nil {
				all = append(all, savedCheckpoint{step, r.Path(entry.Name())})
			}
		}
	}
	slices.SortFunc(all, func(a, b savedCheckpoint) int { return a.Step - b.Step })
	return all, nil
}

// verify returns what is wrong with a checkpoint.
func (r *runDir) verify(path string) error {
	_, err := r.inspect(path)
	return err
}

// inspect reads the whole of a checkpoint, to find damage, and returns its metadata. It also refuses one of another run or
// another step than its name says.
func (r *runDir) inspect(path string) (meta map[string]string, err error) {
	info, err := r.Info()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	tensors, meta, err := readSealed(path)
	closeAll(tensors)
	switch name := filepath.Base(path); {
	case err != nil:
		return nil, err
	case info.ID != "" && meta[runKey] != info.ID:
		return nil, fmt.Errorf("%s belongs to another run (%.40q, this run is %.40q): put this run's own file back", path, meta[runKey], info.ID)
	case info.ID != "" && (meta[sealKey] == "" || name != bestFile && fmt.Sprintf("checkpoint-%08s.safetensors", meta["step"]) != name):
		return nil, fmt.Errorf("%s is the checkpoint of step %.20q: rename it to that step", path, meta["step"])
	}
	return meta, nil
}

// LastCheckpoint returns the newest checkpoint that inspect accepts. skipped has an error for each newer one that inspect
// refused. The error is ErrNoCheckpoint if there is no checkpoint, and another one if all are damaged.
func (r *runDir) LastCheckpoint() (last savedCheckpoint, skipped []error, err error) {
	all, err := r.Checkpoints()
	if err != nil {
		return last, nil, err
	}
	if len(all) == 0 {
		return last, nil, fmt.Errorf("%s: %w", r.path, ErrNoCheckpoint)
	}
	r.damaged = map[int]bool{}
	for _, c := range slices.Backward(all) {
		meta, err := r.inspect(c.Path)
		if err == nil {
			r.pending = meta[pendingKey]
			return c, skipped, nil
		}
		r.damaged[c.Step] = true
		skipped = append(skipped, fmt.Errorf("skipped a checkpoint: %w", err))
	}
	return last, skipped, fmt.Errorf("%s: no checkpoint can be read, of %d; the newest: %w", r.path, len(all), skipped[0])
}

// fit returns an error if path cannot hold a new run, or with resume if it does not hold a run.
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
		return fmt.Errorf("%s holds no run (it has no %s): check the path", path, configFile)
	case resume:
		return nil
	case isRun:
		return fmt.Errorf("%s already holds a run: resume it, or choose another folder", path)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != lockFile && !data.IsTemporary(name) && !slices.Contains(beforeConfig(), name) {
			return fmt.Errorf("%s is not empty (it has %s) and holds no run (no %s): choose another folder", path, name, configFile)
		}
	}
	return nil
}

// beforeConfig names the files that may be written before config.yaml. A folder with nothing else is that of a run that
// was killed at its start, and a new run may use it.
func beforeConfig() []string {
	return []string{encoderFile, encoderConfig, infoFile, logFile, checkpointFile(0)}
}

// clean removes the files that a killed process left and that a start may not write again: temporaries and, for a new run, the
// checkpoint of an import and the config of an encoder.
func clean(path string, resume bool) error {
	for _, dir := range []string{path, filepath.Join(path, samplesFolder)} {
		if err := data.RemoveTemporaries(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if resume {
		return nil
	}
	for _, name := range []string{checkpointFile(0), encoderConfig} {
		if err := os.Remove(filepath.Join(path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lockFolder locks the folder at path for this process until the lock is closed, and makes the folder if it is missing. The
// error is [ErrLocked], with the name of the holder, if another process has it. The lock file stays in the folder, with the
// name of its last holder.
func lockFolder(path string) (lock io.Closer, err error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("make the run folder: %w", err)
	}
	name := filepath.Join(path, lockFile)
	lock, err = data.LockFile(name, false)
	if errors.Is(err, data.ErrInUse) {
		holder, _ := os.ReadFile(name)
		return nil, fmt.Errorf("%s is %w (%s): stop that process, or choose another folder", path, ErrLocked, strings.TrimSpace(string(holder)))
	}
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	if err := os.WriteFile(name, fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0o666); err != nil {
		lock.Close()
		return nil, data.WriteError(name, err)
	}
	return lock, nil
}
