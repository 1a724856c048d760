package study

import (
	"fmt"
	"io"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// Setup says where to compute and whom to tell. It changes no result.
type Setup struct {
	Device   torch.Device
	Versions map[string]string // recorded with every result, besides those of Go and libtorch

	// Progress begins a task and returns a function that reports how much of it is done; nil: nobody watches.
	Progress func(task string) func(done, total int)

	// Training begins a training and returns what is told of each of its steps; nil: Progress counts them.
	Training func(task string) train.Watch

	Log io.Writer // one line for each thing that a person should know; nil: nobody reads
}

// progress is s.Progress, or a function that does nothing.
func (s Setup) progress(task string) func(done, total int) {
	if s.Progress == nil {
		return func(int, int) {}
	}
	return s.Progress(task)
}

// logf writes a line to s.Log.
func (s Setup) logf(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, format+"\n", args...)
	}
}

// options are those of a training in the run folder out, which goes on if it was begun.
func (s Setup) options(task, out string) train.Options {
	o := train.Options{Out: out, Resume: isRun(out), Device: s.Device, Version: s.Versions, Log: s.Log}
	if s.Training != nil {
		o.Watch = s.Training(task)
		return o
	}
	report := s.progress(task)
	o.Watch = func(now train.Progress) {
		if now.Warning != "" {
			s.logf("warning: step %d: %s", now.Step, now.Warning)
		}
		report(now.Step, now.Steps)
	}
	return o
}
