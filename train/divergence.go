package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Diverged is the error of a training that diverged: a loss is not finite, L_E is huge, or the chains leap across the
// range of pixels. They move by a few hundredths of it in a good run. Soon after a leap the losses are not finite.
type Diverged struct {
	Step  int    // counted from 1, as in the files of the run folder
	Name  string // of the metric, or of the tensor that cannot be saved
	Value float64
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("step %d: %s is %.3g: training diverged. The last checkpoint can still be used. Start a new run with lower learning rates, another seed or, if it runs chains, a smaller chain.delta2", d.Step, d.Name, d.Value)
}

// history is the number of steps before a divergence that a run keeps the metrics of, each on its own.
const history = 50

// explain writes three things to the run folder if training diverged: the present config, the metrics of the last steps
// and a picture. It returns the failure, joined with errors of its own.
func (l *loop) explain(run *runDir, failure error, recent []MetricsLine) (err error) {
	var d *Diverged
	if !errors.As(failure, &d) {
		return failure
	}
	defer func() { err = errors.Join(failure, err) }()
	name := run.nextDivergence(d.Step)
	text, err := os.ReadFile(run.Path(configFile))
	if err == nil {
		err = run.write(name+".yaml", text)
	}
	if err != nil {
		return err
	}
	var metrics []byte
	for _, line := range recent {
		metrics = append(append(metrics, line.text()...), '\n')
	}
	if err := run.write(name+".jsonl", metrics); err != nil || l.picture == nil {
		return err
	}
	return l.picture(name)
}

// nextDivergence is the name, without an ending, of the files of a divergence in the step that ends at step. It has a number if
// smaller steps diverged at the same step again.
func (r *runDir) nextDivergence(step int) string {
	first := fmt.Sprintf("divergence-%08d", step)
	name := first
	for n := 2; ; n++ {
		if _, err := os.Stat(r.Path(name + ".yaml")); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", first, n)
	}
}

// Divergences returns the steps at which the training run in dir diverged, from the smallest on, and the config that the run began
// with. After a divergence, ReadConfig has smaller steps.
func Divergences(dir string) (steps []int, first Config, err error) {
	if first, err = ReadConfig(dir); err != nil {
		return nil, first, err
	}
	names, err := fs.Glob(os.DirFS(dir), "divergence-*.yaml")
	for _, name := range names {
		var step int
		_, noName := fmt.Sscanf(name, "divergence-%d", &step)
		before, noConfig := readTraining(dir, name)
		if err := cmp.Or(noName, noConfig); err != nil {
			return nil, first, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		steps = append(steps, step)
		if before.OptE.LR > first.OptE.LR { // each divergence makes it smaller
			first = before
		}
	}
	slices.Sort(steps)
	return steps, first, err
}
