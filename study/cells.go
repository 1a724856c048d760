package study

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/train"
)

// A variant is one way of training that the studies compare.
type variant struct {
	name    string   // of its run folders, and of PlanOptions.Variants
	label   string   // in tables and plots
	set     []string // what differs from the data set's preset
	encoder string   // how its encoder is pretrained; empty: that of [Scale.encoder]
	over    string   // the variant whose G and h stay frozen while this one trains a q (Eq. 26)
	seconds float64  // of training, in place of the config's steps; 0: the steps
	rival   string   // a method that is not Algorithm 1: see newRival
}

// variants are all of them, in the order of training: those that most studies read come first.
var variants = append([]variant{
	{name: "em", label: "EM"},
	{name: "none", label: "EBM without latents", set: []string{"energy.posterior=none"}},
	{name: "em-no-aug", label: "EM w/o Aug", set: []string{"replace_prob=0"}},
	{name: "em-no-pretrain", label: "EM w/o pretrain", set: []string{"encoder=joint"}},
	{name: "em-left-out", label: "EM, class 8 left out", set: []string{"data.leave_out=[8]"}},
	{name: "ejm", label: "EJM", set: []string{"target=ejm"}},
	{name: "erm", label: "ERM", set: []string{"target=erm"}},
	{name: "em-wmse", label: "W-MSE", encoder: train.WMSE},
	{name: "em-byol", label: "BYOL", encoder: train.BYOL},
	{name: "em-simclr", label: "SimCLR", encoder: train.SimCLR},
	{name: "none-erm", label: "EBM without latents, ERM", set: []string{"energy.posterior=none", "target=erm", "rho=0"}},
	{name: "vae", label: "VAE", set: []string{"energy.posterior=none", "target=erm", "rho=0", "omega1=0"}},
	{name: "em-noise", label: "V adds noise", set: []string{"views.noise=true"}},
	{name: "em-gaussian", label: "Gaussian posterior", set: []string{"energy.posterior=gaussian"}},
	{name: "em-cebm", label: "CEBM", set: []string{"energy.posterior=cebm"}},
	{name: "em-gaussian-0.1", label: "Gaussian posterior, weight 0.1", set: []string{"energy.posterior=gaussian", "energy.posterior_weight=0.1"}},
	{name: "em-cebm-0.1", label: "CEBM, weight 0.1", set: []string{"energy.posterior=cebm", "energy.posterior_weight=0.1"}},
	{name: "em-q", label: "EM, q by Eq. 26", over: "em"},
	{name: "em-q-1", label: "ρ = 1", over: "em", set: []string{"rho_q=1"}},
	{name: "em-q-10", label: "ρ = 10", over: "em", set: []string{"rho_q=10"}},
	{name: "em-q-1000", label: "ρ = 1000", over: "em", set: []string{"rho_q=1000"}},
	{name: "em-q-fast", label: "ρ = 100, ten times the rate", over: "em", set: []string{"lr_q=1e-3"}},
	{name: "em-aug-02", label: "EM, p = 0.02", set: []string{"replace_prob=0.02"}},
	{name: "em-aug-05", label: "EM, p = 0.05", set: []string{"replace_prob=0.05"}},
	{name: "em-gamma-0.01", label: "EM, γ = 0.01", set: []string{"energy.gamma=0.01"}},
	{name: "em-gamma-0.1", label: "EM, γ = 0.1", set: []string{"energy.gamma=0.1"}},
	{name: "em-gamma-1", label: "EM, γ = 1", set: []string{"energy.gamma=1"}},
	{name: "em-bfloat16", label: "EM, bfloat16 chains", set: []string{"precision=bfloat16"}},
}, timedVariants()...)

// budgets are the seconds of training that the study of equal time compares after.
var budgets = []float64{100, 350, 1200}

// timedVariants are the methods of the study of equal time, with each of the budgets: em-100s and so on. They measure no
// distance along the way, which would take of their time.
func timedVariants() (all []variant) {
	for _, seconds := range budgets {
		for _, v := range []variant{
			{name: "dcgan", label: "DCGAN", rival: "dcgan"}, {name: "vae", label: "VAE", rival: "vae"},
			{name: "none", label: "EBM without latents", set: []string{"energy.posterior=none"}},
			{name: "em", label: "EM"}, {name: "erm", label: "ERM", set: []string{"target=erm"}},
		} {
			v.name, v.label = fmt.Sprintf("%s-%vs", v.name, seconds), fmt.Sprintf("%s, %v s", v.label, seconds)
			v.seconds, v.set = seconds, append(v.set, "log.samples=1000000")
			all = append(all, v)
		}
	}
	return all
}

// variantNamed returns a variant of the list.
func variantNamed(name string) variant {
	return variants[slices.IndexFunc(variants, func(v variant) bool { return v.name == name })]
}

// Variants returns the names for [PlanOptions]: em, erm and others.
func Variants() []string {
	var names []string
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}

// checkVariants is an error for a name that no variant has.
func checkVariants(names []string) error {
	known := Variants()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("no model is called %q: %sthere are %s", name, config.Guess(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// A folder holds what a plan trains on one data set: a run folder for each cell and seed, and the encoders.
type folder struct {
	path  string
	data  string // prefix of the presets
	scale Scale
	cells []*cell          // that train differently, in the order of variants
	named map[string]*cell // by variant: of two variants that train the same, both have the cell of the first
}

// A cell is a variant on the data set of a folder.
type cell struct {
	variant
	folder   *folder
	settings []string     // over the preset
	config   train.Config // resolved, but for the seed
	err      error        // why the config cannot be resolved

	planned bool          // the plan trains the cell
	needs   []measurement // that the plan makes of it
}

func newFolder(path, data string, sc Scale) *folder {
	f := &folder{path: path, data: data, scale: sc, named: map[string]*cell{}}
	for _, v := range variants {
		c := &cell{variant: v, folder: f, settings: append(sc.settings(), v.set...)}
		if c.encoder == "" {
			c.encoder = sc.encoder(data)
		}
		c.config, c.err = train.Sources{Preset: sc.preset(data), Set: c.settings}.Resolve()
		same := slices.IndexFunc(f.cells, func(earlier *cell) bool {
			return c.err == nil && reflect.DeepEqual(c.config, earlier.config) && c.encoder == earlier.encoder && c.over == earlier.over &&
				c.seconds == earlier.seconds && c.rival == earlier.rival
		})
		if same >= 0 {
			c = f.cells[same]
		} else {
			f.cells = append(f.cells, c)
		}
		f.named[v.name] = c
	}
	return f
}

// cell returns the cell of a variant: the earlier of two that train the same.
func (f *folder) cell(name string) *cell { return f.named[name] }

// dir is the run folder of a seed.
func (c *cell) dir(seed uint64) string {
	return filepath.Join(c.folder.path, fmt.Sprintf("%s-seed%d", c.name, seed))
}

// seeded is the config of a seed.
func (c *cell) seeded(seed uint64) train.Config {
	cfg := c.config
	cfg.Seed = seed
	return cfg
}

// likely is the config of a seed, with the settings of cfg that change nothing of a training, or that the cell leaves open.
func (c *cell) likely(cfg train.Config, seed uint64) train.Config {
	same := c.seeded(seed)
	same.ScoreGamma, same.BatchSplit, same.Log.Measured = cfg.ScoreGamma, cfg.BatchSplit, cfg.Log.Measured // they change nothing of a training
	if c.over == "" {                                                                                      // these are for a q over the model
		same.RhoQ, same.LRQ = cfg.RhoQ, cfg.LRQ
	}
	if c.seconds > 0 { // they became a number of steps
		same.Steps, same.Schedule.Hold = cfg.Steps, cfg.Schedule.Hold
	}
	if full, err := filepath.Abs(cfg.Data.Path); err == nil && full == same.Data.Path {
		same.Data.Path = cfg.Data.Path // earlier versions kept a relative path
	}
	return same
}

// A Cell is one model that a study trained: a variant of the method, from one seed.
type Cell struct {
	Name     string   `json:"cell"`
	Seed     uint64   `json:"seed"`
	Preset   string   `json:"preset"`
	Settings []string `json:"settings"` // over the preset
	// Statistics is "q" if G used the batch-norm statistics of q's latents for images from such latents. Empty: the prior's, as in earlier versions.
	Statistics string `json:"g_statistics,omitempty"`

	Encoder  string      `json:"encoder"`                  // the preset that pretrained its encoder, or the run that it is from; empty if it reads no pretrained one
	H        string      `json:"encoder_sha256,omitempty"` // SHA-256 of the file of that encoder; results of earlier versions lack it
	Diverged string      `json:"diverged,omitempty"`       // the step and the metric at which training diverged for good; empty: it did not
	WentBack bool        `json:"went_back,omitempty"`      // training diverged, went back and ended with smaller steps
	Values   eval.Values `json:"values"`                   // everything that was measured, as in fd_no_mcmc or auroc/constant
	Curve    []Point     `json:"curve,omitempty"`          // the distance of G alone in the course of training

	Version string `json:"liebm,omitempty"` // of liebm, at the first start of the training; results of earlier versions lack it

	Config  json.RawMessage `json:"config"`                   // complete, with the keys of config.yaml
	HConfig json.RawMessage `json:"encoder_config,omitempty"` // of the pretraining of its encoder; an encoder that comes with liebm and results of earlier versions lack it
}

// A Point of a curve.
type Point struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// The files of a run folder that studies read.
const (
	configFile  = "config.yaml"
	metricsFile = "metrics.jsonl"
)

// divergence is the metric of the record of a training that ended early for good.
const divergence = "divergence"

// IsRun reports whether a run was begun in a folder.
func IsRun(dir string) bool { return exists(filepath.Join(dir, configFile)) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readInfo returns the run.json of a run, or nil if it has none.
func readInfo(dir string) (*train.RunInfo, error) {
	info, err := train.ReadInfo(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &info, err
}

// begun returns the config of the run in a seed's folder, if there is one. It is an error if the run was
// begun with other settings than the plan's. After a divergence, a run goes on with smaller steps.
func (c *cell) begun(seed uint64) (cfg train.Config, found bool, err error) {
	dir := c.dir(seed)
	if !IsRun(dir) {
		return cfg, false, nil
	}
	if cfg, err = train.ReadConfig(dir); err != nil {
		return cfg, true, err
	}
	same := c.likely(cfg, seed)
	same.OptE.LR, same.Chain.Delta2 = cfg.OptE.LR, cfg.Chain.Delta2
	if c.hasEncoder() && c.comesWithLiebm() && !exists(train.EncoderPath(c.encoderDir())) {
		return cfg, true, fmt.Errorf("%s holds a run with another encoder than %s: choose another folder, or remove this one", dir, c.encoderName())
	}
	if !reflect.DeepEqual(cfg, same) {
		return cfg, true, fmt.Errorf("%s holds a run with other settings than %s %v: choose another folder, or remove this one", dir, c.folder.data, c.settings)
	}
	return cfg, true, nil
}

// read returns what is known of a seed's model, if it is trained.
func (c *cell) read(seed uint64) (r Cell, trained bool, err error) {
	if c.rival != "" {
		return c.readRival(seed)
	}
	if c.over != "" { // over a model that diverged there is no q
		if under, _, err := c.folder.cell(c.over).read(seed); err != nil || under.Diverged != "" {
			under.Name, under.Settings, under.Values, under.Curve = c.name, c.settings, eval.Values{}, nil
			return under, under.Diverged != "", err
		}
	}
	cfg, found, err := c.begun(seed)
	if err != nil || !found {
		return r, false, err
	}
	r = Cell{Name: c.name, Seed: seed, Preset: c.folder.scale.preset(c.folder.data), Settings: c.settings,
		WentBack: c.over == "" && cfg.OptE.LR != c.config.OptE.LR}
	if c.hasEncoder() {
		r.Encoder, r.H = c.encoderName(), encoderSHA256(c.encoderDir())
		if r.HConfig, err = pretrainingConfig(c.encoderDir()); err != nil {
			return r, false, err
		}
	}
	if r.Config, err = config.JSON(cfg); err != nil {
		return r, false, err
	}
	info, err := train.ReadInfo(c.dir(seed))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, false, err
	}
	r.Version = info.Versions["liebm"]
	records, err := eval.ReadRecords(filepath.Join(c.dir(seed), ResultsFile))
	if err != nil {
		return r, false, err
	}
	records = slices.DeleteFunc(records, c.folder.scale.others)
	r.Values = readings(records)
	for _, record := range records {
		if slices.Contains(ofLatents, measurement(record.Settings[studyKey])) {
			r.Statistics = "q"
		}
		if record.Metric == divergence {
			r.Diverged = fmt.Sprintf("step %.0f: %s is %.3g", record.Values["step"], record.Settings["measurement"], record.Values["value"])
		}
	}
	if info.Finished.IsZero() && r.Diverged == "" {
		return r, false, nil
	}
	if err := c.readCurve(&r, seed); err != nil {
		return r, false, err
	}
	return r, true, nil
}

// early is the share of a training after which a claim about its beginning is judged.
const early = 0.25

// readCurve adds the distance of G alone in the course of training, and its value early on.
func (c *cell) readCurve(r *Cell, seed uint64) error {
	lines, err := train.ReadMetrics(filepath.Join(c.dir(seed), metricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name := c.folder.scale.distance()
	for _, line := range lines {
		if v, ok := line.Values[name]; ok && v > 0 && !math.IsInf(v, 0) {
			r.Curve = append(r.Curve, Point{line.Step, v})
		}
	}
	for _, at := range r.Curve {
		if float64(at.Step) >= early*float64(r.Curve[len(r.Curve)-1].Step) {
			r.Values[name+"_early"] = at.Value
			break
		}
	}
	return nil
}
