package train

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// logFile has all that a training said.
const logFile = "log.txt"

// A logger writes to a run's log.txt and to another writer, which may be nil.
type logger struct {
	path string
	also io.Writer
}

func (l logger) Write(text []byte) (int, error) {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		_, err = file.Write(text)
		err = errors.Join(err, file.Close())
	}
	if l.also != nil {
		_, _ = l.also.Write(text)
	}
	return len(text), err
}

// summarize says what is trained on what, where, and where the results lie.
func (l *loop) summarize(run *runDir, set *data.Set, networks []part, o Options) {
	o.printf("data: %s", trainingImages(set))
	var sizes []string
	for _, p := range networks {
		if n := nn.CountParams(p.net); n > 0 {
			sizes = append(sizes, fmt.Sprintf("%s %d", p.name, n))
		}
	}
	o.printf("parameters: %s", strings.Join(sizes, ", "))
	until := fmt.Sprint(*l.steps)
	if o.Minutes > 0 {
		until = fmt.Sprintf("as many as fit into %.3g minutes", o.Minutes)
	}
	o.printf("steps: from %d to %s, in batches of %d; %s", *l.made, until, l.batch, l.rule)
	threads := fmt.Sprintf("%d threads", torch.Threads())
	if n := o.Group.World(); n > 1 {
		threads = fmt.Sprintf("%d processes, %s each", n, threads)
	}
	o.printf("device: %s, %s", o.Device, threads)
	o.printf("results: %s", run.Path())
	if *l.made == *l.steps {
		o.printf("the run is finished: use a larger number of steps to go on")
	}
}

// rule says how the learning rates change during a training of total steps. 0: their number is open.
func (s Schedule) rule(total int) string {
	hold := int(s.Hold * float64(total))
	switch {
	case s.Hold >= 1:
		return "the learning rates are constant"
	case total == 0:
		return fmt.Sprintf("the learning rates are constant for %.3g %% of them, then fall linearly to %.3g times their value", 100*s.Hold, s.Floor)
	}
	return fmt.Sprintf("the learning rates are constant until step %d, then fall linearly to %.3g times their value at step %d", hold, s.Floor, total)
}

// rule says how the learning rate changes during pretraining.
func (c SSLConfig) rule() string {
	text := fmt.Sprintf("the learning rate rises until step %d", c.WarmUp)
	for _, drop := range c.Drops {
		if drop >= c.Steps {
			continue // the whole run has the smaller rate
		}
		text += fmt.Sprintf(", is multiplied by 0.2 at step %d", c.Steps-drop)
	}
	return text
}
