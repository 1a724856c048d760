package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/liebm/liebm/torch"
)

// Metric is one named measurement of a step.
type Metric struct {
	Name  string
	Value float64
}

// Progress is what a running job tells whoever watches.
type Progress struct {
	Step, Steps int
	Rate        float64 // steps per second since the start or resume
	Metrics     []Metric
	Warning     string // a sign of collapse, once per kind
}

// Watch receives progress after every step. It must return soon.
type Watch func(Progress)

// loop drives a job step by step, records what it measures, and saves it. Pretraining and
// Algorithm 1 share it.
type loop struct {
	run     *RunDir
	log     LogConfig
	start   int // first step to make
	steps   func() int
	step    func(i int) ([]Metric, error)
	save    func(w io.Writer) error
	samples func(step int, tb *TensorBoard) ([]Metric, error) // nil: nothing to draw
	warn    func(mean []Metric) string                        // nil: nothing to warn of
	watch   Watch
	group   *torch.Group // its processes step together; rank 0 alone records and saves
}

// drive makes the remaining steps. When ctx ends it saves and returns ctx.Err(), so that nothing is
// lost; when a step fails it returns the error and leaves the last checkpoint as it was.
func (l *loop) drive(ctx context.Context) (err error) {
	if err := truncateAfter(l.run.Path(metricsFile), l.start); err != nil {
		return err
	}
	metrics, err := OpenMetrics(l.run.Path(metricsFile))
	if err != nil {
		return err
	}
	defer closing(metrics, &err)
	tb, err := OpenTensorBoard(l.run.Path(), l.start)
	if err != nil {
		return err
	}
	defer closing(tb, &err)

	r := recorder{metrics: metrics, tb: tb, began: time.Now()}
	warned := map[string]bool{}
	for i := l.start; i < l.steps(); i++ {
		if err := l.ended(ctx); err != nil {
			return l.stop(err, i)
		}
		values, err := l.step(i)
		if errors.Is(err, torch.ErrPeerLost) {
			return l.stop(err, i)
		}
		if err != nil {
			return err
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
		if done%l.log.Checkpoint == 0 || done == l.steps() {
			if err := l.run.SaveCheckpoint(done, l.save); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow is drive on a process that only steps along.
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

// ended is why no further step is made: ctx ended here, or in another process, or one is lost.
func (l *loop) ended(ctx context.Context) error {
	cause := ctx.Err() // asked once: what it says now, all have heard
	stop, err := anyOf(l.group, cause != nil)
	switch {
	case err != nil:
		return err
	case stop && cause == nil:
		return fmt.Errorf("another process was told to stop: %w", context.Canceled)
	}
	return cause
}

// stop saves the state before step i on the way out.
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
	metrics *Metrics
	tb      *TensorBoard
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

func (r *recorder) write(step int, values []Metric) error {
	byName := map[string]float64{}
	for _, m := range values {
		byName[m.Name] = m.Value
		if err := r.tb.Scalar(step, "train/"+m.Name, m.Value); err != nil {
			return err
		}
	}
	if err := r.metrics.Write(step, byName); err != nil {
		return err
	}
	return r.tb.Flush()
}

func closing(c io.Closer, err *error) {
	if closeErr := c.Close(); *err == nil {
		*err = closeErr
	}
}
