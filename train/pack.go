package train

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Pack writes a small copy of the run in dir to the folder out, for others to use. which names the checkpoint, as in
// [LoadCheckpoint]. The copy has the networks, with weights of half precision, and no state of
// training. Every function that opens a run opens it, but training cannot go on from it. It also has the config of the encoder's
// pretraining, if the run has it. The warnings say what could not be packed.
func Pack(ctx context.Context, dir, which, out string) (warnings []string, err error) {
	m, err := LoadCheckpoint(dir, which, torch.Device{}, true)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	m.Config.EMAs = nil // the copy has one average
	info, err := ReadInfo(dir)
	if err != nil {
		return nil, err
	}
	run, err := createRun(out, false)
	if err != nil {
		return nil, err
	}
	defer closing(run, &err)
	info.Host, info.Resumed = "", nil
	info.Command = withoutFolders(info.Command)
	if err := run.WriteInfo(info); err != nil {
		return nil, err
	}
	err = torch.Do(func() error {
		if m.H != nil {
			if err := writeNetwork(run.Path(encoderFile), kindH, halved("", m.H), m.H.Config, nil); err != nil {
				return err
			}
			if err := run.keepPretraining(dir); err != nil {
				return err
			}
		}
		save := func(w io.Writer) error { return writeCheckpoint(w, trainerFormat, m.Step, m.packed(), run.note()) }
		if err := run.SaveCheckpoint(m.Step, save); err != nil {
			return err
		}
		sum, err := data.FileSHA256(run.Path(checkpointFile(m.Step)))
		if err != nil {
			return err
		}
		notes := map[string]string{checkpointKey: sum}
		if err := writeNetwork(run.Path(generatorFile(m.Step, "")), kindG, halved("", m.G), m.G.Config, notes); err != nil {
			return err
		}
		if err := m.packPosterior(ctx, run, notes); err != nil {
			return err
		}
		return run.WriteConfig(m.Config)
	})
	if m.NoPosterior != nil {
		warnings = append(warnings, fmt.Sprintf("the copy has no batch-norm statistics of G for latents of q, so its reconstructions will be worse: %v", m.NoPosterior))
	}
	return warnings, err
}

// packPosterior writes the G for latents of ERM's q, since others may not have the training images that its statistics come from.
func (m *Model) packPosterior(ctx context.Context, run *runDir, notes map[string]string) error {
	of, err := m.posterior(ctx)
	if err != nil || m.posteriorG == nil {
		return err
	}
	return writeNetwork(run.Path(posteriorFile(m.Step, "")), kindG, halved("", of.G), of.G.Config, notes)
}

// withoutFolders cuts absolute paths in a command to their last parts, since others need not know the folders of a machine.
func withoutFolders(command []string) (words []string) {
	for _, word := range command {
		flag, path := "", word
		if name, value, joined := strings.Cut(word, "="); joined {
			flag, path = name+"=", value
		}
		if filepath.IsAbs(path) {
			word = flag + filepath.Base(path)
		}
		words = append(words, word)
	}
	return words
}

// packed lists what [LoadCheckpoint] reads of a checkpoint, but for G, which has a file of its own.
func (m *Model) packed() []torch.Entry {
	all := append(halved("energy_ema.", m.E), halved("inference.", m.Q)...)
	if m.Config.Encoder == Joint {
		all = append(all, halved("encoder.", m.H)...)
	}
	return all
}

// halved lists the tensors of a network, the matrices and kernels in half precision. Vectors, such as biases and the
// statistics of batch norm, are small and stay as they are.
func halved(prefix string, net any) []torch.Entry {
	all := nn.Entries(prefix, net)
	for i, e := range all {
		if e.Tensor.Dim() > 1 {
			all[i].Tensor = e.Tensor.Detach().To(torch.Float16)
		}
	}
	return all
}
