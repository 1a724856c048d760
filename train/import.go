package train

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// DualMCMC is the name of the format of Dual-MCMC's checkpoints in run.json.
const DualMCMC = "dual-mcmc"

// ImportOptions are the options of [ImportDualMCMC].
type ImportOptions struct {
	Out         string            // run folder to make
	Preset      string            // preset that gives the settings that are neither in the file nor in its authors' configs, such as the data; empty: chosen by the image size
	Set         []string          // changes, such as chain.steps=70
	Recalibrate bool              // compute G's running statistics from latents of its prior, instead of using those of the file
	Version     map[string]string // of the program, for run.json
}

// Imported names the file that the weights of a run come from.
type Imported struct {
	Format string `json:"format"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Epoch  int    `json:"epoch"` // as the file says
}

// ImportDualMCMC makes a run folder from a checkpoint of Dual-MCMC and returns its config. The folder has a
// checkpoint of step 0 with the weights of the file. The config has an energy without a latent term, and target
// erm with ρ = 0, which trains q too. The [Model] of the run keeps the running statistics of the file.
func ImportDualMCMC(path string, o ImportOptions) (cfg Config, err error) {
	d, err := models.ReadDualMCMC(path)
	if err != nil {
		return cfg, err
	}
	defer d.Close()
	if cfg, err = dualMCMCConfig(d, o); err != nil {
		return cfg, fmt.Errorf("%s: %w", path, err)
	}
	sum, err := data.FileSHA256(path)
	if err != nil {
		return cfg, err
	}
	t, err := NewTrainer(cfg, nil, torch.Device{})
	if err != nil {
		return cfg, err
	}
	defer t.Close()
	err = torch.Do(func() error {
		if o.Recalibrate {
			cfg.recalibrate(d.G)
		}
		from := map[string]any{kindE: d.E, kindG: d.G, kindQ: d.Q}
		for _, p := range t.trained() {
			nn.Copy(p.net, from[p.name])
			for _, a := range p.averages {
				nn.Copy(a.net, from[p.name])
			}
		}
		return nil
	})
	if err != nil {
		return cfg, err
	}
	run, err := createRun(o.Out, false)
	if err != nil {
		return cfg, err
	}
	defer closing(run, &err)
	if path, err = filepath.Abs(path); err != nil {
		return cfg, err
	}
	info := newInfo(cfg.Seed, Options{Version: o.Version})
	info.Imported, info.Finished = &Imported{DualMCMC, path, sum, d.Epoch}, time.Now().UTC()
	if info.ID, err = run.identity(cfg, map[string]string{path: sum}); err != nil {
		return cfg, err
	}
	if err := run.WriteInfo(info); err != nil {
		return cfg, err
	}
	save := func(w io.Writer) error {
		return writeCheckpoint(w, trainerFormat, 0, entriesOf(t.trained()), run.note())
	}
	if err := run.SaveCheckpoint(0, save); err != nil {
		return cfg, err
	}
	return cfg, run.WriteConfig(cfg)
}

// dualMCMCConfig is a preset with the networks of a file and the settings of its authors' configs: chains of 30
// steps that are not clamped, no averaged weights, no replaced samples.
func dualMCMCConfig(d *models.DualMCMC, o ImportOptions) (Config, error) {
	size := d.G.Config.Size()
	preset := o.Preset
	if preset == "" {
		preset = map[int]string{32: "cifar10-em-published", 64: "celeba64-em-published"}[size]
	}
	if preset == "" {
		return Config{}, fmt.Errorf("images of %d×%d are of no data set that Dual-MCMC released: name a preset to start from", size, size)
	}
	c, err := Preset(preset)
	if err != nil {
		return c, err
	}
	c.Energy, c.Generator, c.Inference = d.E.Config, d.G.Config, d.Q.Config
	c.Data.Size, c.Data.Range = size, d.G.Range
	c.Target, c.Rho, c.EMA, c.ReplaceProb, c.Batch = ERM, 0, 0, 0, 100
	c.Chain = mcmc.Langevin{Steps: 30, Delta2: 0.25, Sigma: 1e-3, Clamp: mcmc.ClampNever} // steps of 0.5
	c.Tau2, c.Omega1, c.Omega2 = 0.5, 50, 1
	c.OptE, c.OptG, c.OptQ = adam(1e-4, 0.9), adam(3e-4, 0.9), adam(1e-4, 0.9)
	c.OptG.WeightDecay, c.OptQ.WeightDecay = 5e-4, 5e-4
	if size == 64 {
		c.Chain.Delta2, c.Omega1 = 0.09, 70 // steps of 0.3
	}
	return c.Change(o.Set)
}
