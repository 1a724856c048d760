package study

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// Setup says where to compute and where to report. Checkpoint selects the checkpoint of a run. The other fields do not change which
// model is measured.
type Setup struct {
	Device     torch.Device
	Checkpoint string            // of the runs that are opened, as in train.LoadCheckpoint; empty: the last
	Versions   map[string]string // recorded with every result, besides those of Go and libtorch

	// Progress begins a task and returns a function that reports how much of it is done; may be nil.
	Progress func(task string) func(done, total int)

	// Training begins a training. It returns a function that is told of each step, and a writer for log lines; nil:
	// Progress counts the steps, and lines go to Log.
	Training func(task string) (train.Watch, io.Writer)

	// Group are the processes that share trainings, sampling and measurements; nil: this process alone.
	Group *torch.Group

	Save <-chan os.Signal // makes a training save; may be nil
	Log  io.Writer        // messages for a person, a line each; nil: no messages
}

// progress is s.Progress, or a function that does nothing.
func (s Setup) progress(task string) func(done, total int) {
	if s.Progress == nil {
		return func(int, int) {}
	}
	return s.Progress(task)
}

// patient is a Setup that reports the progress of its tasks once they have taken this time.
func (s Setup) patient(after time.Duration) Setup {
	return Setup{Progress: func(task string) func(done, total int) {
		began, report := time.Now(), s.progress(task)
		return func(done, total int) {
			if time.Since(began) >= after {
				report(done, total)
			}
		}
	}}
}

// watch begins a task with a total and returns a function that reports how much of it is done.
func (s Setup) watch(task string, total int) func(done int) {
	report := s.progress(task)
	return func(done int) { report(done, total) }
}

// logf writes a line to s.Log.
func (s Setup) logf(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, format+"\n", args...)
	}
}

// Options are the options of a training in the run folder out. With resume it goes on.
func (s Setup) Options(task, out string, resume bool) train.Options {
	o := train.Options{Out: out, Resume: resume, Device: s.Device, Version: s.Versions, Save: s.Save, Log: s.Log, Group: s.Group}
	if s.Training != nil {
		o.Watch, o.Log = s.Training(task)
		return o
	}
	report := s.progress(task)
	o.Watch = func(now train.Progress) { report(now.Step, now.Steps) }
	return o
}

// LoadModel loads the run in a folder onto the device, and writes its warnings to Log. The caller closes the
// model. In a group all processes call it, and share the model's work. Rank 0 comes first, so that the others find the
// statistics of G that it keeps.
func (s Setup) LoadModel(dir string) (*train.Model, error) {
	return s.load(func() (*train.Model, error) { return train.LoadCheckpoint(dir, s.Checkpoint, s.Device, true) })
}

// LoadScorer is LoadModel without G and q.
func (s Setup) LoadScorer(dir string) (*train.Model, error) {
	return s.load(func() (*train.Model, error) { return train.LoadCheckpoint(dir, s.Checkpoint, s.Device, false) })
}

// LoadPretrained is LoadModel of a pretraining run, which has an encoder alone.
func (s Setup) LoadPretrained(dir string) (*train.Model, error) {
	return s.load(func() (*train.Model, error) { return train.LoadPretrained(dir, s.Device) })
}

func (s Setup) load(open func() (*train.Model, error)) (*train.Model, error) {
	var m *train.Model
	var err error
	for _, turn := range []bool{true, false} {
		if first := s.Group.Rank() == 0; first == turn {
			m, err = open()
		}
		if err = s.Group.Agree(err); err != nil {
			if m != nil {
				m.Close()
			}
			return nil, err
		}
	}
	if err := m.Share(s.Group); err != nil {
		m.Close()
		return nil, err
	}
	for _, w := range m.Warnings {
		s.logf("warning: %s", w)
	}
	return m, nil
}

// Sample draws n images from m, without the padding of training, and reports the work as task. In a group every process calls it.
func (s Setup) Sample(ctx context.Context, m *train.Model, n int, o train.SampleOptions, task string) (*data.Set, error) {
	o.Watch = s.watch(task, n)
	set, err := m.Sample(ctx, n, o)
	if err != nil {
		return nil, err
	}
	return m.Config.Crop(set)
}

// agreed returns a set that this process opened with err, or the error of another process of the group.
func (s Setup) agreed(set *data.Set, err error) (*data.Set, error) {
	failed := s.Group.Agree(err)
	if failed != nil && err == nil {
		failed = errors.Join(failed, set.Close())
	}
	return set, failed
}

// shared is the images of a set, for measurements that the processes of the group share.
func (s Setup) shared(set *data.Set) *eval.Images {
	images := eval.FromSet(set)
	images.Group = s.Group
	return images
}
