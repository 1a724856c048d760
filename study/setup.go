package study

import (
	"fmt"
	"io"

	"github.com/liebm/liebm/torch"
)

// Setup says where to compute and whom to tell. It changes no result.
type Setup struct {
	Device   torch.Device
	Versions map[string]string // recorded with every result, besides those of Go and libtorch

	// Progress begins a task and returns a function that reports how much of it is done; nil: nobody watches.
	Progress func(task string) func(done, total int)

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
