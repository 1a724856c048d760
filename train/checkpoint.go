package train

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// encoderFile holds h in a run folder, as pretraining made it or as a training run used it.
const encoderFile = "encoder.safetensors"

// A part is a network that a training holds, and what belongs to it. The names are those in a checkpoint.
type part struct {
	name     string // prefix of the weights
	net      any    // may be nil
	averages []average
	optName  string
	opt      **optim.Adam // points to nil if the network is not trained by an optimiser of its own; or nil
}

// An average is a moving average of the weights of a part.
type average struct {
	name  string // prefix of the weights
	decay float64
	net   any
}

// ofDecay is the suffix in the names of an average's tensors and files. It is empty for the decay ema. For a decay of emas it is,
// for example, @0.999.
func (c Config) ofDecay(decay float64) string {
	if decay == c.EMA {
		return ""
	}
	return "@" + strconv.FormatFloat(decay, 'g', -1, 64)
}

// chooseAverage splits the name of a checkpoint, such as best@0.999, into the checkpoint and the decay of an average of its
// weights. Without a decay it is that of ema.
func (c Config) chooseAverage(name string) (which string, decay float64, err error) {
	which, text, named := strings.Cut(name, "@")
	if !named {
		return which, c.EMA, nil
	}
	have := append([]float64{c.EMA}, c.EMAs...)
	if decay, err = strconv.ParseFloat(text, 64); err != nil || !slices.Contains(have, decay) {
		return "", 0, fmt.Errorf("checkpoint %s: the run has averages of the weights with the decays %v (ema and emas in its config): use one of them", name, have)
	}
	return which, decay, nil
}

// withAverage is the config of a training whose average is that of decay, one of emas.
func (c Config) withAverage(decay float64) Config {
	if i := slices.Index(c.EMAs, decay); i >= 0 {
		c.EMAs = slices.Clone(c.EMAs)
		c.EMA, c.EMAs[i] = decay, c.EMA
	}
	return c
}

// state lists what training moves: weights and the optimiser's moments.
func (p part) state() []torch.Entry {
	all := nn.Entries(p.name+".", p.net)
	if *p.opt != nil {
		all = append(all, (*p.opt).Entries(p.optName+".")...)
	}
	return all
}

func (p part) close() {
	nn.Close(p.net)
	for _, a := range p.averages {
		nn.Close(a.net)
	}
	if *p.opt != nil {
		(*p.opt).Close()
	}
}

// entriesOf lists everything that a checkpoint holds of the parts.
func entriesOf(parts []part) (all []torch.Entry) {
	for _, p := range parts {
		all = append(all, p.state()...)
		for _, a := range p.averages {
			all = append(all, nn.Entries(a.name+".", a.net)...)
		}
	}
	return all
}

// writeCheckpoint writes entries, unless a number in them is not finite. notes are further metadata.
func writeCheckpoint(w io.Writer, format string, step int, entries []torch.Entry, notes map[string]string) error {
	if err := finite(entries); err != nil {
		return fmt.Errorf("step %d: not saved: %w", step, err)
	}
	meta := map[string]string{"step": strconv.Itoa(step), "format": format}
	maps.Copy(meta, notes)
	return writeSealed(w, entries, meta)
}

// readCheckpoint restores parts from a checkpoint of that format and returns the step. check may refuse
// the metadata.
func readCheckpoint(path, format string, parts []part, check func(meta map[string]string) error) (step int, err error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return parseCheckpoint(path, file, format, parts, check)
}

// parseCheckpoint is readCheckpoint of a file in memory.
func parseCheckpoint(path string, file []byte, format string, parts []part, check func(meta map[string]string) error) (step int, err error) {
	tensors, meta, err := parseSealed(path, file)
	if err != nil {
		return 0, err
	}
	defer closeAll(tensors)
	if step, err = strconv.Atoi(meta["step"]); err != nil || meta["format"] != "" && meta["format"] != format {
		return 0, fmt.Errorf("%s: not a checkpoint of this kind of training, whose format is %s", path, format)
	}
	if err := check(meta); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range parts {
		err := nn.Load(p.net, p.name+".", tensors)
		for _, a := range p.averages {
			err = cmp.Or(err, nn.Load(a.net, a.name+".", tensors))
		}
		if err == nil && p.opt != nil && *p.opt != nil {
			err = (*p.opt).Load(p.optName+".", tensors, step)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w: was it trained with another config?", path, err)
		}
	}
	return step, nil
}

func anyMeta(map[string]string) error { return nil }

const trainerFormat = "liebm-checkpoint"

// Save writes the whole state. If a weight is not finite, it writes nothing and returns an error.
func (t *Trainer) Save(w io.Writer) error {
	return writeCheckpoint(w, trainerFormat, t.step, entriesOf(t.trained()), nil)
}

// Load restores what Save wrote.
func (t *Trainer) Load(path string) error {
	step, err := readCheckpoint(path, trainerFormat, t.trained(), anyMeta)
	if err == nil {
		t.step = step
	}
	return err
}

func closeAll(tensors map[string]torch.Tensor) {
	for _, t := range tensors {
		t.Close()
	}
}

// notFinite is the error of a file that is not written, because a tensor has a NaN or an infinity. sum is the sum of its numbers.
type notFinite struct {
	name string
	sum  float64
}

func (e *notFinite) Error() string { return e.name + " is not finite" }

// finite returns a *notFinite that names the first tensor with a NaN or an infinity.
func finite(entries []torch.Entry) error {
	return torch.Do(func() error {
		for _, e := range entries {
			if s := e.Tensor.Detach().To(torch.Float32).Sum().Item(); math.IsNaN(s) || math.IsInf(s, 0) {
				return &notFinite{e.Name, s}
			}
		}
		return nil
	})
}
