package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/liebm/liebm/data"
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
}

// Watch receives the progress after every step. The next step waits until it returns.
type Watch func(Progress)

// loop is a training in a run folder: of E and G, of an encoder, or of q over a trained generator. It runs the
// training step by step, records its metrics and saves it.
type loop struct {
	cfg         any // config.yaml
	seed        uint64
	batch       int
	flip        bool // data.flip
	log         LogConfig
	made, steps *int                                    // numbers of steps: made so far, and at the end
	step        func(x torch.Tensor) ([]Metric, error)  // one step on x: [n,c,h,w] in [0,1]
	format      string                                  // of a checkpoint
	parts       []part                                  // what it holds
	notes       map[string]string                       // further metadata
	load        func(path string) error                 // reads a checkpoint and sets made
	samples     func(tb *tensorBoard) ([]Metric, error) // called every log.samples steps; may be nil
	picture     func(name string) error                 // draws samples of the networks as a divergence left them; may be nil
	warn        func(mean []Metric) string              // a warning about the metrics, or ""; may be nil
	warned      bool                                    // it comes once
	budget      *budget                                 // of minutes; nil: none
	rule        string                                  // how the learning rate changes
}

// begin loads the newest checkpoint of a resumed run that can be read; without checkpoints the run starts over.
// Then it writes the files that a run folder has before the first step. networks are those that the training reads.
func (l *loop) begin(run *runDir, set *data.Set, networks []part, o Options) error {
	if o.Resume {
		last, skipped, err := run.LastCheckpoint()
		for _, s := range skipped {
			o.printf("warning: %v", s)
		}
		switch {
		case errors.Is(err, ErrNoCheckpoint):
			o.printf("no checkpoint yet: starting at step 0")
		case err != nil:
			return err
		default:
			o.printf("resuming from step %d", last.Step)
			if err := l.load(last.Path); err != nil {
				return err
			}
		}
	}
	if *l.made > *l.steps {
		return fmt.Errorf("%s made %d steps already: use a number of steps above that, not %d", run.Path(), *l.made, *l.steps)
	}
	if err := run.writeStart(*l.made, l.seed, l.cfg, set, o); err != nil {
		return err
	}
	l.summarize(run, set, networks, o)
	run.Keep, run.Milestones = l.log.Keep, l.log.Milestones
	return run.WriteConfig(l.cfg)
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

// drive makes the remaining steps. If ctx ends it saves and returns ctx.Err(). If a step fails it returns the
// error and does not save. run is nil in a process that neither records nor saves.
func (l *loop) drive(ctx context.Context, run *runDir, set *data.Set, o Options) (err error) {
	var r *recorder
	first := *l.made
	if run != nil {
		if r, err = openRecorder(run, first); err != nil {
			return err
		}
		defer closing(r, &err)
	}
	batches := newBatches(set, l.seed, l.batch, l.flip, o.Group)
	cut := l.catchUp(run, r, first, o) // cut is the error of a measurement that ctx ended
	if cut != nil && ctx.Err() == nil {
		return cut
	}
	for i := first; i < *l.steps; i++ {
		if err := o.Group.Agree(ctx.Err()); err != nil { // all processes stop after the same step
			return l.stop(run, r, first, err)
		}
		var values []Metric
		err := torch.Do(func() (err error) {
			values, err = l.step(batches.at(i))
			return err
		})
		if errors.Is(err, torch.ErrPeerLost) {
			return l.stop(run, r, first, err)
		}
		switch {
		case run == nil && err != nil:
			return err
		case run == nil:
			continue
		}
		r.recent = append(r.recent[max(0, len(r.recent)-history+1):], MetricsLine{i + 1, byName(values)})
		if err != nil {
			return l.explain(run, err, r.recent)
		}
		if cut = l.record(run, r, i+1, values, o); cut != nil && ctx.Err() == nil {
			return l.explain(run, cut, r.recent)
		}
	}
	if cut != nil {
		return l.stop(run, r, first, cut)
	}
	return nil
}

// record reports a step, and writes what is due after it: metrics, samples, a checkpoint.
func (l *loop) record(run *runDir, r *recorder, done int, values []Metric, o Options) error {
	r.add(values)
	last := done == *l.steps
	p := Progress{Step: done, Steps: *l.steps, Metrics: values, Rate: float64(done-r.first) / time.Since(r.began).Seconds()}
	if done%l.log.Metrics == 0 || last {
		mean := r.mean(values)
		if err := r.write(done, append(mean, Metric{rateMetric, p.Rate})); err != nil {
			return err
		}
		if l.warn != nil {
			if text := l.warn(mean); text != "" && !l.warned {
				l.warned = true
				o.printf("warning: step %d: %s", done, text)
			}
		}
	}
	if o.Watch != nil {
		o.Watch(p)
	}
	if l.sampled(done) {
		if err := l.measure(r, done); err != nil {
			return err
		}
	}
	if done%l.log.Checkpoint == 0 || last || isMultiple(l.log.Milestones, done) || asked(o.Save) {
		err := l.checkpoint(run, r, done)
		var state *notFinite
		if errors.As(err, &state) && o.Group.World() == 1 { // in a group, the others have begun the next step
			return &Diverged{done, state.name, state.sum}
		}
		return err
	}
	return nil
}

// sampled reports whether samples are drawn and measured after a step.
func (l *loop) sampled(step int) bool {
	return l.samples != nil && step > 0 && (step%l.log.Samples == 0 || step == *l.steps)
}

// measure draws samples after a step and records what is measured of them.
func (l *loop) measure(r *recorder, step int) error {
	values, err := l.samples(r.tb)
	if err != nil || len(values) == 0 {
		return err
	}
	return r.write(step, values)
}

// catchUp makes the measurement of a resumed run's first step, if ctx had ended it. Only lines of
// measurements lack a rate in metrics.jsonl, so such a line shows that the measurement was made.
func (l *loop) catchUp(run *runDir, r *recorder, step int, o Options) error {
	if run == nil || !l.sampled(step) || o.Evaluate == nil && o.Probe == nil {
		return nil
	}
	lines, err := ReadMetrics(run.Path(metricsFile))
	if err != nil || slices.ContainsFunc(lines, func(line MetricsLine) bool { _, ok := line.Values[rateMetric]; return line.Step == step && !ok }) {
		return err
	}
	return l.measure(r, step)
}

// rateMetric is the training's speed.
const rateMetric = "steps_per_second"

// save writes a checkpoint.
func (l *loop) save(w io.Writer, notes map[string]string) error {
	maps.Copy(notes, l.notes)
	return writeCheckpoint(w, l.format, *l.made, entriesOf(l.parts), notes)
}

// checkpoint saves the state after a step, and with it the metrics since the last line of metrics.jsonl.
func (l *loop) checkpoint(run *runDir, r *recorder, step int) error {
	if err := r.metrics.Sync(); err != nil { // a checkpoint must not outlive the metrics before it
		return data.WriteError(r.metrics.Name(), err)
	}
	if b := l.budget; b != nil && b.minutes > 0 {
		if err := b.keep(run); err != nil {
			return err
		}
	}
	notes := run.note()
	if r.pending.Step > 0 {
		notes[pendingKey] = string(r.pending.text())
	}
	return run.SaveCheckpoint(step, func(w io.Writer) error { return l.save(w, notes) })
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

// stop saves the state if steps were made after the first ones, and returns the cause.
func (l *loop) stop(run *runDir, r *recorder, first int, cause error) error {
	if run != nil && *l.made > first {
		if err := l.checkpoint(run, r, *l.made); err != nil {
			return fmt.Errorf("%w, and saving failed: %w", cause, err)
		}
	}
	return fmt.Errorf("stopped after step %d of %d: %w", *l.made, *l.steps, cause)
}

// run makes the remaining steps of a training. run is nil in a process that neither records nor saves.
func (l *loop) run(ctx context.Context, run *runDir, set *data.Set, o Options) error {
	var err error
	if run != nil {
		err = l.begin(run, set, l.parts, o)
	}
	if err := o.Group.Agree(err); err != nil {
		return err
	}
	join(o.Group, l.parts)
	return torch.Do(func() error { // one scope, so one thread and its OpenMP pool
		spread(o.Group, l.parts, l.made)
		return l.drive(ctx, run, set, o)
	})
}

// recorder writes metrics.jsonl and TensorBoard's file. It averages measurements between two lines.
type recorder struct {
	metrics *os.File
	tb      *tensorBoard
	first   int // steps made before
	began   time.Time
	pending MetricsLine   // the sums of measurements since the last line, and the number of their steps
	recent  []MetricsLine // of the last steps
}

// openRecorder continues the files after the first steps.
func openRecorder(run *runDir, first int) (*recorder, error) {
	if err := truncateAfter(run.Path(metricsFile), first); err != nil {
		return nil, err
	}
	pending := MetricsLine{Values: map[string]float64{}}
	if run.pending != "" {
		var err error
		if pending, err = parseMetricLine([]byte(run.pending)); err != nil {
			return nil, fmt.Errorf("the metrics in the checkpoint of step %d: %w", first, err)
		}
	}
	metrics, err := openMetrics(run.Path(metricsFile))
	if err != nil {
		return nil, err
	}
	tb, err := openTensorBoard(run.Path(), first+1)
	if err != nil {
		return nil, errors.Join(err, metrics.Close())
	}
	return &recorder{metrics: metrics, tb: tb, first: first, began: time.Now(), pending: pending}, nil
}

// Close closes the files.
func (r *recorder) Close() error {
	return errors.Join(r.tb.Close(), data.WriteError(r.metrics.Name(), r.metrics.Close()))
}

func (r *recorder) add(values []Metric) {
	for _, v := range values {
		r.pending.Values[v.Name] += v.Value
	}
	r.pending.Step++
}

// mean is the mean since the last line, in the order of the values of the present step.
func (r *recorder) mean(values []Metric) []Metric {
	out := make([]Metric, len(values))
	for i, v := range values {
		out[i] = Metric{v.Name, r.pending.Values[v.Name] / float64(r.pending.Step)}
	}
	r.pending = MetricsLine{Values: map[string]float64{}}
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
		r.tb.Scalar(step, "train/"+m.Name, m.Value)
	}
	if err := (MetricsLine{step, byName(values)}).appendTo(r.metrics); err != nil {
		return err
	}
	return r.tb.Flush()
}

func closing(c io.Closer, err *error) {
	if closeErr := c.Close(); *err == nil {
		*err = closeErr
	}
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
