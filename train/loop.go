package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/liebm/liebm/torch"
)

// Metric is one named measurement of a step.
type Metric struct {
	Name  string
	Value float64
}

// Progress is the state of a running job after a step.
type Progress struct {
	Step, Steps int
	Rate        float64 // steps per second since the start or resume
	Metrics     []Metric
	Warning     string // a sign of collapse; each is reported once
}

// Watch receives the progress after every step. The next step waits until it returns.
type Watch func(Progress)

// loop runs a training step by step, records its metrics and saves it.
type loop struct {
	run     *runDir
	log     LogConfig
	start   int // first step to make
	steps   func() int
	step    func(i int) ([]Metric, error)
	save    func(w io.Writer) error
	samples func(step int, tb *tensorBoard) ([]Metric, error) // called every log.samples steps; may be nil
	picture func(path string) error                           // draws samples of the networks as a divergence left them; may be nil
	warn    func(mean []Metric) string                        // a warning about the metrics, or ""; may be nil
	watch   Watch
	saveNow <-chan os.Signal // makes the loop save; may be nil
	group   *torch.Group     // its processes step together; rank 0 records and saves
}

// drive makes the remaining steps. If ctx ends it saves and returns ctx.Err(). If a step fails it returns the
// error and does not save.
func (l *loop) drive(ctx context.Context) (err error) {
	if err := truncateAfter(l.run.Path(metricsFile), l.start); err != nil {
		return err
	}
	metrics, err := openMetrics(l.run.Path(metricsFile))
	if err != nil {
		return err
	}
	defer closing(metrics, &err)
	tb, err := openTensorBoard(l.run.Path(), l.start)
	if err != nil {
		return err
	}
	defer closing(tb, &err)

	r := recorder{metrics: metrics, tb: tb, began: time.Now()}
	warned := map[string]bool{}
	var recent []MetricsLine
	for i := l.start; i < l.steps(); i++ {
		if err := l.ended(ctx); err != nil {
			return l.stop(err, i)
		}
		values, err := l.step(i)
		if errors.Is(err, torch.ErrPeerLost) {
			return l.stop(err, i)
		}
		recent = append(recent[max(0, len(recent)-history+1):], MetricsLine{i + 1, byName(values)})
		if err != nil {
			return l.explain(err, recent)
		}
		r.add(values)
		done, p := i+1, Progress{Step: i + 1, Steps: l.steps(), Metrics: values}
		p.Rate = float64(done-l.start) / time.Since(r.began).Seconds()
		if done%l.log.Metrics == 0 || done == l.steps() {
			mean := r.mean()
			if err := r.write(done, append(mean, Metric{"steps_per_second", p.Rate})); err != nil {
				return err
			}
			if l.warn != nil {
				if w := l.warn(mean); w != "" && !warned[w] {
					warned[w], p.Warning = true, w
				}
			}
		}
		if l.watch != nil {
			l.watch(p)
		}
		if l.samples != nil && (done%l.log.Samples == 0 || done == l.steps()) {
			values, err := l.samples(done, tb)
			if err != nil {
				return err
			}
			if len(values) > 0 {
				if err := r.write(done, values); err != nil {
					return err
				}
			}
		}
		if done%l.log.Checkpoint == 0 || done == l.steps() || asked(l.saveNow) {
			if err := l.run.SaveCheckpoint(done, l.save); err != nil {
				return err
			}
		}
	}
	return nil
}

// asked reports whether somebody asked for a checkpoint.
func asked(save <-chan os.Signal) bool {
	select {
	case <-save:
		return true
	default:
		return false
	}
}

// history is the number of steps before a divergence that a run keeps the metrics of, each on its own.
const history = 50

// explain leaves the metrics of the last steps and a picture in the run folder if training diverged. It returns the
// failure, joined with errors of its own.
func (l *loop) explain(failure error, recent []MetricsLine) (err error) {
	var d *Diverged
	if !errors.As(failure, &d) {
		return failure
	}
	defer func() { err = errors.Join(failure, err) }()
	name := fmt.Sprintf("divergence-%08d", d.Step+1)
	metrics, err := openMetrics(l.run.Path(name + ".jsonl"))
	if err != nil {
		return err
	}
	defer closing(metrics, &err)
	for _, line := range recent {
		if err := metrics.Write(line.Step, line.Values); err != nil {
			return err
		}
	}
	if l.picture == nil {
		return nil
	}
	return l.picture(l.run.Path(samplesFolder, name+".png"))
}

// follow is drive on a process that neither records nor saves.
func (l *loop) follow(ctx context.Context) error {
	for i := l.start; i < l.steps(); i++ {
		if err := l.ended(ctx); err != nil {
			return l.stopped(err, i)
		}
		if _, err := l.step(i); errors.Is(err, torch.ErrPeerLost) {
			return l.stopped(err, i)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// ended returns an error if no further step may be made: ctx ended in this process or another one, or a
// process is lost.
func (l *loop) ended(ctx context.Context) error {
	cause := ctx.Err() // asked once, so that all processes act on the same answer
	stop, err := anyOf(l.group, cause != nil)
	switch {
	case err != nil:
		return err
	case stop && cause == nil:
		return fmt.Errorf("another process was told to stop: %w", context.Canceled)
	}
	return cause
}

// stop saves the state before step i and returns the cause.
func (l *loop) stop(cause error, i int) error {
	if i > l.start {
		if err := l.run.SaveCheckpoint(i, l.save); err != nil {
			return fmt.Errorf("%w, and saving failed: %w", cause, err)
		}
	}
	return l.stopped(cause, i)
}

func (l *loop) stopped(cause error, i int) error {
	return fmt.Errorf("stopped after step %d of %d: %w", i, l.steps(), cause)
}

// recorder averages measurements between two lines of metrics.jsonl.
type recorder struct {
	metrics *metricsWriter
	tb      *tensorBoard
	began   time.Time
	sum     []Metric
	n       int
}

func (r *recorder) add(values []Metric) {
	if r.n == 0 {
		r.sum = append(r.sum[:0], values...)
	} else {
		for i, v := range values {
			r.sum[i].Value += v.Value
		}
	}
	r.n++
}

func (r *recorder) mean() []Metric {
	out := make([]Metric, len(r.sum))
	for i, m := range r.sum {
		out[i] = Metric{m.Name, m.Value / float64(r.n)}
	}
	r.n = 0
	return out
}

func byName(values []Metric) map[string]float64 {
	all := map[string]float64{}
	for _, m := range values {
		all[m.Name] = m.Value
	}
	return all
}

func (r *recorder) write(step int, values []Metric) error {
	for _, m := range values {
		if err := r.tb.Scalar(step, "train/"+m.Name, m.Value); err != nil {
			return err
		}
	}
	if err := r.metrics.Write(step, byName(values)); err != nil {
		return err
	}
	return r.tb.Flush()
}

func closing(c io.Closer, err *error) {
	if closeErr := c.Close(); *err == nil {
		*err = closeErr
	}
}
