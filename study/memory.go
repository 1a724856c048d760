package study

import (
	"fmt"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// watchMemory measures the peak memory of a training with these options, and returns a function that reads it in bytes. The peak is that of
// the steps after the first one, without measurements before the first and after the last step. It is 0 if there were no such steps.
func (w *work) watchMemory(o *train.Options) (bytes func() float64) {
	var read func() float64
	peak, watch := 0.0, o.Watch
	o.Watch = func(now train.Progress) {
		watch(now)
		if read != nil {
			peak = read()
		} else {
			read = train.PeakMemory(w.Device)
		}
	}
	return func() float64 { return peak }
}

// keepMemory adds the peak memory of a training to a model's results. A training that goes on replaces it.
func (w *work) keepMemory(c *cell, seed uint64, bytes float64) error {
	if bytes == 0 {
		return nil
	}
	r := eval.NewRecord("memory of training", w.Versions)
	r.Settings = map[string]string{studyKey: "memory", "device": w.Device.String(), "threads": fmt.Sprint(torch.Threads())}
	recordMemory(r, bytes)
	return Keep(c.dir(seed), r)
}

// recordMemory adds to r the peak memory of a training as memory_mb, in 10⁶ bytes. It adds nothing where the memory is not known.
func recordMemory(r *eval.Record, bytes float64) {
	if bytes > 0 {
		r.Values["memory_mb"] = bytes / 1e6
	}
}
