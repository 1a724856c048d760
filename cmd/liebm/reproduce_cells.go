package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

// A cell is one variant of the method that the paper's tables and figures compare.
type cell struct {
	Name   string   // folder, and what --cells calls it
	Label  string   // in tables and plots
	Set    []string // what differs from the base config
	Target string   // what h was pretrained by; empty: simclr
	Over   string   // the cell whose G and h stay frozen while a q is trained over them (Eq. 26)
}

// cells are all variants, in the order in which they are trained: what most tables need comes first.
var cells = []cell{
	{Name: "em", Label: "EM"},
	{Name: "none", Label: "EBM without latents", Set: []string{"energy.posterior=none"}},
	{Name: "em-no-aug", Label: "EM w/o Aug", Set: []string{"replace_prob=0"}},
	{Name: "em-no-pretrain", Label: "EM w/o pretrain", Set: []string{"encoder=joint"}},
	{Name: "ejm", Label: "EJM", Set: []string{"target=ejm"}},
	{Name: "erm", Label: "ERM", Set: []string{"target=erm"}},
	{Name: "em-wmse", Label: "W-MSE", Target: train.WMSE},
	{Name: "em-byol", Label: "BYOL", Target: train.BYOL},
	{Name: "none-erm", Label: "EBM without latents, ERM", Set: []string{"energy.posterior=none", "target=erm", "rho=0"}},
	{Name: "vae", Label: "VAE", Set: []string{"energy.posterior=none", "target=erm", "rho=0", "omega1=0"}},
	{Name: "em-noise", Label: "V adds noise", Set: []string{"views.noise=true"}},
	{Name: "em-gaussian", Label: "Gaussian posterior", Set: []string{"energy.posterior=gaussian"}},
	{Name: "em-cebm", Label: "CEBM", Set: []string{"energy.posterior=cebm"}},
	{Name: "em-linear", Label: "EM, linear F", Set: []string{"energy.linear_f=true"}},
	{Name: "erm-linear", Label: "ERM, linear F", Set: []string{"energy.linear_f=true", "target=erm"}},
	{Name: "em-q", Label: "EM, q by Eq. 26", Over: "em"},
	{Name: "em-bfloat16", Label: "EM, bfloat16 chains", Set: []string{"precision=bfloat16"}},
}

// cellNamed returns a cell by name; studies name theirs in the source, so there is one.
func cellNamed(name string) cell {
	return cells[slices.IndexFunc(cells, func(c cell) bool { return c.Name == name })]
}

// target is what the cell's encoder was pretrained by.
func (c cell) target() string {
	if c.Target == "" {
		return train.SimCLR
	}
	return c.Target
}

// A grid is the folder in which cells are trained once, for every table that reads them.
type grid struct {
	c     *cli.Context
	out   string
	scale scale
	data  string // the data set's preset prefix
}

// A cellResult is what is kept of a trained and measured cell, as cell.json in its run folder.
type cellResult struct {
	Cell     string             `json:"cell"`
	Seed     uint64             `json:"seed"`
	Settings []string           `json:"settings"` // over the preset
	Preset   string             `json:"preset"`
	Encoder  string             `json:"encoder"`             // preset of its pretraining
	Diverged string             `json:"diverged,omitempty"`  // why training ended early for good
	WentBack bool               `json:"went_back,omitempty"` // it diverged, went back and finished with smaller steps
	Measured []measurement      `json:"measured,omitempty"`
	Values   map[string]float64 `json:"values,omitempty"`
}

// dir is the cell's run folder.
func (g grid) dir(c cell, seed uint64) string {
	return filepath.Join(g.out, g.data, fmt.Sprintf("%s-seed%d", c.Name, seed))
}

// asked is the cell's result before there is one: what names it.
func (g grid) asked(c cell, seed uint64) cellResult {
	settings := append(slices.Clone(g.scale.set), c.Set...)
	return cellResult{Cell: c.Name, Seed: seed, Settings: append(settings, fmt.Sprintf("seed=%d", seed)),
		Preset: g.data + "-em", Encoder: g.data + "-" + c.target()}
}

// config is the cell's whole training config.
func (r cellResult) config() (train.Config, error) {
	return train.Sources{Preset: r.Preset, Set: r.Settings}.Resolve()
}

// read returns the cell's result if it is there, and refuses one that was made with other settings.
func (g grid) read(c cell, seed uint64) (r cellResult, ok bool, err error) {
	path := filepath.Join(g.dir(c, seed), "cell.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, false, fmt.Errorf("%s: %w: remove it, and the cell is measured again", path, err)
	}
	if r.Values == nil { // trained, and not measured yet
		r.Values = map[string]float64{}
	}
	if want := g.asked(c, seed); !slices.Equal(r.Settings, want.Settings) || r.Preset != want.Preset || r.Encoder != want.Encoder {
		return r, false, fmt.Errorf("%s was made with %s %v, this is %s %v: name another --out, or remove the folder", path, r.Preset, r.Settings, want.Preset, want.Settings)
	}
	return r, true, nil
}

// run trains a cell and makes the measurements that it lacks; what an interruption left goes on.
func (g grid) run(c cell, seed uint64, needs []measurement) error {
	r, done, err := g.read(c, seed)
	if err != nil {
		return err
	}
	if !done && c.Over != "" {
		r, err = g.trainOver(c, seed)
	} else if !done {
		r, err = g.train(c, seed)
	}
	if err != nil {
		return err
	}
	for _, what := range needs {
		if r.Diverged != "" || slices.Contains(r.Measured, what) {
			continue
		}
		if err := g.scale.measures[what](g, c, seed, r.Values); err != nil {
			return err
		}
		r.Measured = append(r.Measured, what)
		if err := g.write(c, r); err != nil {
			return err
		}
	}
	return nil
}

func (g grid) write(c cell, r cellResult) error {
	return writeJSON(filepath.Join(g.dir(c, r.Seed), "cell.json"), r)
}

// train trains a cell, or goes on with it.
func (g grid) train(c cell, seed uint64) (r cellResult, err error) {
	r, dir := g.asked(c, seed), g.dir(c, seed)
	r.Values = map[string]float64{}
	asked, err := r.config()
	if err != nil {
		return r, err
	}
	fmt.Fprintf(os.Stderr, "%s, seed %d: %s\n", c.Label, seed, dir)
	encoder, err := g.encoder(c, asked)
	if err != nil {
		return r, err
	}
	cfg, began := asked, isRun(dir)
	if began {
		if cfg, err = train.ReadConfig(dir); err != nil {
			return r, err
		}
		if !sameButCalmer(cfg, asked) {
			return r, fmt.Errorf("%s holds an unfinished run of other settings: name another --out, or remove the folder", dir)
		}
	}
	var diverged *train.Diverged
	if err := runTraining(g.c, cfg, encoder, dir, 0, began, nil); errors.As(err, &diverged) {
		r.Diverged = fmt.Sprintf("step %d: %s is %.3g", diverged.Step, diverged.Name, diverged.Value)
	} else if err != nil {
		return r, err
	}
	if cfg, err = train.ReadConfig(dir); err != nil {
		return r, err
	}
	r.WentBack = cfg.OptE.LR != asked.OptE.LR
	return r, g.write(c, r)
}

// sameButCalmer reports whether a run's config is what was asked, but for what going back after a
// divergence lowers.
func sameButCalmer(cfg, asked train.Config) bool {
	cfg.OptE.LR, cfg.Chain.Delta2 = asked.OptE.LR, asked.Chain.Delta2
	return reflect.DeepEqual(cfg, asked)
}

// trainOver trains q over another cell's model.
func (g grid) trainOver(c cell, seed uint64) (r cellResult, err error) {
	if err := g.run(cellNamed(c.Over), seed, nil); err != nil {
		return r, err
	}
	r = g.asked(c, seed)
	r.Values = map[string]float64{}
	fmt.Fprintf(os.Stderr, "%s, seed %d: %s\n", c.Label, seed, g.dir(c, seed))
	m, err := openModel(g.c, g.dir(cellNamed(c.Over), seed))
	if err != nil {
		return r, err
	}
	defer m.Close()
	set, err := m.Config.Open(data.Train)
	if err != nil {
		return r, err
	}
	defer set.Close()
	o, err := options(g.c, "training q")
	if err != nil {
		return r, err
	}
	o.Out = g.dir(c, seed)
	o.Resume = isRun(o.Out)
	if err := train.TrainInference(g.c.Context, m.Config, m, set, o); err != nil {
		return r, err
	}
	return r, g.write(c, r)
}

// open loads a cell's model, with the q that was trained over it.
func (g grid) open(c cell, seed uint64) (*train.Model, error) {
	if c.Over == "" {
		return openModel(g.c, g.dir(c, seed))
	}
	m, err := openModel(g.c, g.dir(cellNamed(c.Over), seed))
	if err != nil {
		return nil, err
	}
	if err := m.LoadInference(g.dir(c, seed), m.G.In.Weight.Device()); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// encoder pretrains h for a cell, once for all that share it: the spread over seeds is that of
// Algorithm 1 given h. It is empty where the cell needs none.
func (g grid) encoder(c cell, cfg train.Config) (string, error) {
	if !cfg.NeedsEncoder() || cfg.Encoder == train.Joint {
		return "", nil
	}
	dir := filepath.Join(g.out, g.data, "encoder-"+c.target())
	if _, err := os.Stat(train.EncoderPath(dir)); err == nil {
		return dir, nil // pretraining writes it last
	}
	ssl, err := train.Sources{Preset: g.data + "-" + c.target(), Set: g.scale.setSSL}.ResolveSSL()
	if err != nil {
		return "", err
	}
	return dir, runPretraining(g.c, ssl, dir, isRun(dir))
}

// runAll runs a part's cells for every seed, all cells of a seed before the next one. Cells that another
// process is at are left to it; it returns their names.
func (part planPart) runAll(ctx context.Context, seeds []uint64) (left []string, err error) {
	for _, seed := range seeds {
		for _, c := range part.cells {
			err := ctx.Err()
			if err == nil {
				err = part.grid.run(cellNamed(c.name), seed, c.needs)
			}
			switch {
			case errors.Is(err, train.ErrLocked):
				left = append(left, fmt.Sprintf("%s-seed%d", c.name, seed))
			case err != nil:
				return left, fmt.Errorf("%s, seed %d: %w", c.name, seed, err)
			}
		}
	}
	return left, nil
}

// results reads what there is of the cells: by name, then by seed.
func (g grid) results(names []string, seeds []uint64) (map[string][]cellResult, error) {
	all := map[string][]cellResult{}
	for _, name := range names {
		for _, seed := range seeds {
			r, ok, err := g.read(cellNamed(name), seed)
			if err != nil {
				return nil, err
			}
			if ok {
				all[name] = append(all[name], r)
			}
		}
	}
	return all, nil
}

// checkCells refuses a name that no cell has.
func checkCells(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(cells, func(c cell) bool { return c.Name == name }) {
			var known []string
			for _, c := range cells {
				known = append(known, c.Name)
			}
			return fmt.Errorf("--cells %s: there is no cell of that name; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
