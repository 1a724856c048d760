package study

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// work is one run of a plan.
type work struct {
	Setup
	plan *Plan
}

// trainAll trains and measures the models of the plan, all of a seed before those of the next. It leaves a model to the process
// that works on it, and looks at it again every few seconds until all are done.
func (w *work) trainAll(ctx context.Context) error {
	type model struct {
		cell *cell
		seed uint64
	}
	var todo []model
	for _, f := range w.plan.folders {
		for _, seed := range w.plan.seeds {
			for _, c := range f.planned() {
				todo = append(todo, model{c, seed})
			}
		}
	}
	for told := false; ; {
		var left []model
		var names []string
		for _, m := range todo {
			name := fmt.Sprintf("%s, seed %d", m.cell.name, m.seed)
			err := ctx.Err()
			if err == nil {
				_, err = w.run(ctx, m.cell, m.seed)
			}
			if inUse(err) {
				left, names = append(left, m), append(names, name)
			} else if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if len(left) == 0 {
			return nil
		}
		if !told {
			told = true
			w.logf("other processes work on these models or on their encoders: %s", strings.Join(names, "; "))
		}
		todo = left
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// pause is the time between two looks at models that other processes work on.
const pause = 3 * time.Second

// inUse reports whether an error says that another process works on a model or on its encoder.
func inUse(err error) bool { return errors.Is(err, data.ErrInUse) || errors.Is(err, train.ErrLocked) }

// reserve locks a model or an encoder for this process until release is called, by a file beside its folder dir. Training has a lock of
// its own. This one is also held between training and measurements, and before there is a run. The error is [data.ErrInUse] if
// another process has it. A process that is killed leaves the empty file, which does no harm.
func reserve(dir string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, err
	}
	name := dir + ".lock"
	lock, err := data.LockFile(name, false)
	if err != nil {
		return nil, err
	}
	return func() { os.Remove(name); lock.Close() }, nil
}

// run trains a seed's model and makes the measurements that it lacks. It returns what is known of the model after its training. It
// goes on where an earlier run was interrupted. It is an error if another process works on the model, see [inUse].
func (w *work) run(ctx context.Context, c *cell, seed uint64) (r Cell, err error) {
	release, err := reserve(c.dir(seed))
	if err != nil {
		return r, err
	}
	defer release()
	r, trained, err := c.read(seed)
	if err != nil {
		return r, err
	}
	if !trained {
		train := w.train
		switch {
		case c.over != "":
			train = w.trainOver
		case c.rival != "":
			train = w.trainRival
		}
		if err := train(ctx, c, seed); err != nil {
			return r, err
		}
		if r, _, err = c.read(seed); err != nil {
			return r, err
		}
	}
	if r.Diverged != "" {
		return r, nil
	}
	return r, w.measure(ctx, c, seed)
}

// announce says which model is trained next. It is called when no other process works on the networks that the training needs.
func (w *work) announce(c *cell, seed uint64) { w.logf("%s, seed %d: %s", c.label, seed, c.dir(seed)) }

// train trains a model, or goes on with it. A divergence for good is a result, not an error.
func (w *work) train(ctx context.Context, c *cell, seed uint64) error {
	encoder, err := w.pretrain(ctx, c)
	if err != nil {
		return err
	}
	w.announce(c, seed)
	cfg, found, err := c.begun(seed)
	if err != nil {
		return err
	}
	if !found {
		cfg = c.seeded(seed)
	}
	sc, o := c.folder.scale, w.Options("training", c.dir(seed), found)
	if !found { // a run that goes on has the rest of its minutes
		o.Minutes = sc.seconds(c) / 60
	}
	memory := w.watchMemory(&o)
	err = Train(ctx, cfg, encoder, o, MonitorOptions{Inception: sc.Weights, Reference: c.reference(), Samples: sc.Along}, w.Setup)
	if err == nil {
		return w.keepMemory(c, seed, memory())
	}
	var diverged *train.Diverged
	if !errors.As(err, &diverged) {
		return err
	}
	r := eval.NewRecord(divergence, w.Versions)
	r.Values = eval.Values{"step": float64(diverged.Step), "value": diverged.Value}
	r.Settings = map[string]string{"measurement": diverged.Name}
	return Keep(c.dir(seed), r)
}

// trainOver trains q over the model of another cell (Eq. 26).
func (w *work) trainOver(ctx context.Context, c *cell, seed uint64) error {
	under := c.folder.cell(c.over)
	if r, err := w.run(ctx, under, seed); err != nil || r.Diverged != "" {
		return err // no q is trained over a model that diverged
	}
	w.announce(c, seed)
	m, err := w.LoadModel(under.dir(seed))
	if err != nil {
		return err
	}
	defer m.Close()
	set, err := m.Config.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	return train.TrainInference(ctx, c.seeded(seed), m, set, w.Options("training q", c.dir(seed), IsRun(c.dir(seed))))
}

// open loads a seed's model, with the q that was trained over it. The caller closes it.
func (w *work) open(c *cell, seed uint64) (*train.Model, error) {
	if c.over == "" {
		return w.LoadModel(c.dir(seed))
	}
	m, err := w.LoadModel(c.folder.cell(c.over).dir(seed))
	if err != nil {
		return nil, err
	}
	if err := m.LoadInference(c.dir(seed), w.Device); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}
