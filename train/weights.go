package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// The kinds of network that a file can hold. Its metadata has the config of the network under this name, as JSON.
const (
	kindE = "energy"
	kindG = "generator"
	kindQ = "inference"
	kindH = "encoder"
)

// checkpointKey is the metadata with the SHA-256 of the checkpoint that weights come from.
const checkpointKey = "checkpoint_sha256"

// Export writes the networks of the model to a folder and returns the paths. energy.safetensors and generator.safetensors have
// the averaged E and G. inference.safetensors and encoder.safetensors have q and h, if the model has them. Each file has the
// config and the origin of its network. The files energy.pt, generator.pt, encoder.pt and score.pt are TorchScript; gamma is the
// γ of the score (Eq. 15). config.json is the config of the run. docs/weights.md lists the names of all tensors. versions are the
// versions of the program.
func (m *Model) Export(folder string, gamma float64, versions map[string]string) (paths []string, err error) {
	if err := m.needG("an export"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("make the folder of the export: %w", err)
	}
	notes, err := m.notes(versions)
	if err != nil {
		return nil, err
	}
	file := func(name string) string {
		paths = append(paths, filepath.Join(folder, name))
		return paths[len(paths)-1]
	}
	if err := data.WriteJSON(file("config.json"), json.RawMessage(notes["run"])); err != nil {
		return nil, err
	}
	type exported struct {
		kind           string
		module, config any
		script         func() (string, []torch.Entry, string) // nil: none
	}
	parts := []exported{{kindE, m.E, m.E.Config, m.E.TorchScript}, {kindG, m.G, m.G.Config, m.G.TorchScript}}
	if m.Q != nil {
		parts = append(parts, exported{kindQ, m.Q, m.Q.Config, nil})
	}
	if m.H != nil {
		parts = append(parts, exported{kindH, m.H, m.H.Config, m.H.TorchScript})
	}
	for _, p := range parts {
		if err := writeNetwork(file(p.kind+".safetensors"), p.kind, nn.Entries("", p.module), p.config, notes); err != nil {
			return nil, err
		}
		if p.script == nil {
			continue
		}
		if err := saveScript(file(p.kind+".pt"), p.script); err != nil {
			return nil, err
		}
	}
	score := models.Scorer{E: m.E, H: m.H, Gamma: gamma, Range: m.Config.Data.Range, Size: m.Config.Data.Size, Inner: m.Config.ImageSize()}
	return paths, saveScript(file("score.pt"), score.TorchScript)
}

// saveScript writes a network as TorchScript.
func saveScript(path string, of func() (class string, entries []torch.Entry, methods string)) error {
	return torch.Do(func() error {
		class, entries, methods := of()
		return data.WriteAtomic(path, func(w io.Writer) error { return models.WriteTorchScript(w, class, entries, methods) })
	})
}

// notes is the metadata on the origin of an export.
func (m *Model) notes(versions map[string]string) (map[string]string, error) {
	all := map[string]string{"libtorch": torch.Version()}
	maps.Copy(all, versions)
	versionsJSON, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	run, err := config.JSON(m.Config)
	if err != nil {
		return nil, err
	}
	span, err := config.JSON(m.Config.Data.Range)
	return map[string]string{"run": string(run), "range": string(span), "step": strconv.Itoa(m.Step), "versions": string(versionsJSON),
		"seed": strconv.FormatUint(m.Config.Seed, 10), checkpointKey: m.SHA256}, err
}

// writeNetwork writes the tensors of a network with its config and further metadata.
func writeNetwork(path, kind string, entries []torch.Entry, shape any, notes map[string]string) error {
	text, err := config.JSON(shape)
	if err != nil {
		return err
	}
	if err := finite(entries); err != nil {
		return fmt.Errorf("%s: not written: %w", path, err)
	}
	meta := map[string]string{"format": "liebm-" + kind, kind: string(text)}
	maps.Copy(meta, notes)
	return data.WriteAtomic(path, func(w io.Writer) error { return writeSealed(w, entries, meta) })
}

// LoadEncoder reads h, for images in the range r, from a file that [Pretrain] or [Model.Export] wrote. The caller
// closes it with nn.Close, or gives it to a trainer.
func LoadEncoder(path string, r models.Range) (*models.Encoder, error) {
	return loadNetwork(path, kindH, func(c models.EncoderConfig, _ models.Range) (*models.Encoder, error) {
		return models.NewEncoder(c, r, 0)
	})
}

// LoadEnergy reads E from a file that [Model.Export] wrote. The caller closes it with nn.Close.
func LoadEnergy(path string) (*models.Energy, error) {
	return loadNetwork(path, kindE, func(c models.EnergyConfig, _ models.Range) (*models.Energy, error) { return models.NewEnergy(c, 0) })
}

// LoadGenerator reads G from a file that [Model.Export] wrote. The caller closes it with nn.Close.
func LoadGenerator(path string) (*models.Generator, error) {
	return loadNetwork(path, kindG, func(c models.GeneratorConfig, r models.Range) (*models.Generator, error) {
		if !(r.Low < r.High) {
			return nil, errors.New("the file does not say in which range G draws pixels: open its run, or use the file of an export")
		}
		return models.NewGenerator(c, r, 0)
	})
}

// LoadInference reads q from a file that [Model.Export] wrote. The caller closes it with nn.Close.
func LoadInference(path string) (*models.Inference, error) {
	return loadNetwork(path, kindQ, func(c models.InferenceConfig, _ models.Range) (*models.Inference, error) {
		return models.NewInference(c, 0)
	})
}

func loadNetwork[C, M any](path, kind string, build func(C, models.Range) (M, error)) (none M, err error) {
	tensors, meta, err := readSealed(path)
	if err != nil {
		return none, err
	}
	defer closeAll(tensors)
	var shape C
	if err := config.Decode([]byte(meta[kind]), &shape); err != nil || meta[kind] == "" { // JSON is YAML
		return none, fmt.Errorf("%s: no %s of liebm (its metadata has no readable config)", path, kind)
	}
	if err := config.Bounds(shape); err != nil {
		return none, fmt.Errorf("%s: %s.%w", path, kind, err)
	}
	var r models.Range
	if err := config.Decode([]byte(meta["range"]), &r); err != nil {
		return none, fmt.Errorf("%s: the range in its metadata: %w", path, err)
	}
	module, err := build(shape, r)
	if err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	if err := nn.Load(module, "", tensors); err != nil {
		nn.Close(module)
		return none, fmt.Errorf("%s: %w", path, err)
	}
	return module, nil
}
