package train

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// encoderFile holds h in a run folder: what pretraining made, and what a training run used.
const encoderFile = "encoder.safetensors"

// Names of the parts of a checkpoint.
const (
	partE, partAvgE = "energy.", "energy_ema."
	partG, partAvgG = "generator.", "generator_ema."
	partOptE        = "opt_e."
	partOptG        = "opt_g."
	partQ, partOptQ = "inference.", "opt_q." // of ERM
	partH, partOptH = "encoder.", "opt_h."   // of an encoder that is trained along
)

func (t *Trainer) entries() []torch.Entry {
	var all []torch.Entry
	all = append(all, nn.Entries(partE, t.E)...)
	all = append(all, nn.Entries(partAvgE, t.AvgE)...)
	all = append(all, nn.Entries(partG, t.G)...)
	all = append(all, nn.Entries(partAvgG, t.AvgG)...)
	all = append(all, t.optE.Entries(partOptE)...)
	all = append(all, t.optG.Entries(partOptG)...)
	if t.optQ != nil {
		all = append(append(all, nn.Entries(partQ, t.Q)...), t.optQ.Entries(partOptQ)...)
	}
	if t.optH != nil {
		all = append(append(all, nn.Entries(partH, t.H)...), t.optH.Entries(partOptH)...)
	}
	return all
}

// Save writes the whole state, unless a weight is not finite.
func (t *Trainer) Save(w io.Writer) error {
	all := t.entries()
	if err := finite(all); err != nil {
		return fmt.Errorf("step %d: not saved: %w", t.step, err)
	}
	return torch.WriteSafetensors(w, all, map[string]string{"step": strconv.Itoa(t.step), "format": "liebm-checkpoint"})
}

// Load restores what Save wrote.
func (t *Trainer) Load(path string) error {
	tensors, meta, err := torch.ReadSafetensors(path)
	if err != nil {
		return err
	}
	defer closeAll(tensors)
	step, err := strconv.Atoi(meta["step"])
	if err != nil {
		return fmt.Errorf("%s: no step in its metadata: not a checkpoint of liebm train", path)
	}
	parts := []struct {
		name, optName string
		module        any
		opt           *optim.Adam
	}{{partE, partOptE, t.E, t.optE}, {partAvgE, "", t.AvgE, nil}, {partG, partOptG, t.G, t.optG}, {partAvgG, "", t.AvgG, nil},
		{partQ, partOptQ, t.Q, t.optQ}, {partH, partOptH, t.H, t.optH}}
	for _, p := range parts {
		if p.opt == nil && p.optName != "" {
			continue // not trained by this config
		}
		if err := nn.Load(p.module, p.name, tensors); err != nil {
			return fmt.Errorf("%s: %w: was it trained with another config?", path, err)
		}
		if p.opt == nil {
			continue
		}
		if err := p.opt.Load(p.optName, tensors, step); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	t.step = step
	return nil
}

// verifyCheckpoint reads a checkpoint whole, to know that it can be.
func verifyCheckpoint(path string) error {
	tensors, _, err := torch.ReadSafetensors(path)
	closeAll(tensors)
	return err
}

func closeAll(tensors map[string]torch.Tensor) {
	for _, t := range tensors {
		t.Close()
	}
}

// finite is an error that names the first tensor with a NaN or an infinity.
func finite(entries []torch.Entry) error {
	return torch.Do(func() error {
		for _, e := range entries {
			if s := e.Tensor.Detach().Sum().Item(); math.IsNaN(s) || math.IsInf(s, 0) {
				return fmt.Errorf("%s is not finite", e.Name)
			}
		}
		return nil
	})
}
