package study

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/liebm/liebm/train"
)

// PlanOptions are the options of [NewPlan].
type PlanOptions struct {
	Out      string   // folder of models and results
	Seeds    []uint64 // each model is trained once for each of them; nil: 1
	Variants []string // names of the models to train, of [Variants]; nil: all that the studies compare, and those that they are over
	TFLOPS   float64  // speed of the machine in TFLOP/s, for estimates of time; 0: 30 for Paper, as of a GPU, and 0.16 for Mini, as of two CPU cores
}

// A Plan is the models that some studies compare. A model that several of them compare is trained
// once.
type Plan struct {
	scale   Scale
	studies []Study
	seeds   []uint64
	folders []*folder
	out     string
	tflops  float64 // of PlanOptions
}

// NewPlan plans studies at a scale. It is an error if the settings of a model contradict each other.
func NewPlan(sc Scale, studies []Study, o PlanOptions) (*Plan, error) {
	if err := errors.Join(sc.check(), checkVariants(o.Variants)); err != nil {
		return nil, err
	}
	p := &Plan{scale: sc, studies: studies, seeds: o.Seeds, out: filepath.Join(o.Out, sc.Name()), tflops: o.TFLOPS}
	if len(p.seeds) == 0 {
		p.seeds = []uint64{1}
	}
	for _, s := range studies {
		if s.text != nil {
			continue
		}
		f := p.folder(sc.dataOf(s))
		for _, name := range s.variants() {
			c := f.cell(name)
			if o.Variants != nil && !slices.Contains(o.Variants, name) && !slices.Contains(o.Variants, c.name) {
				continue
			}
			if err := c.plan(s.ours); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// plan makes the plan train a cell, and the model that it is over. It is an error if the cell's settings contradict each other.
func (c *cell) plan(needs []quantity) error {
	if c.err != nil {
		return fmt.Errorf("%s on %s: %w", c.name, c.folder.data, c.err)
	}
	c.planned = true
	for _, q := range needs {
		if what := c.folder.scale.needed(q.from); what != "" && !slices.Contains(c.needs, what) {
			c.needs = append(c.needs, what)
		}
	}
	if c.over == "" {
		return nil
	}
	return c.folder.cell(c.over).plan(nil)
}

// folder is the folder of a data set.
func (p *Plan) folder(data string) *folder {
	if i := slices.IndexFunc(p.folders, func(f *folder) bool { return f.data == data }); i >= 0 {
		return p.folders[i]
	}
	f := newFolder(filepath.Join(p.out, data), data, p.scale)
	p.folders = append(p.folders, f)
	return f
}

// planned are the cells that a plan trains in the folder, in order.
func (f *folder) planned() (all []*cell) {
	for _, c := range f.cells {
		if c.planned {
			all = append(all, c)
		}
	}
	return all
}

// PlannedModel is a model that a plan trains once for every seed, or an encoder that it pretrains once for all of them.
type PlannedModel struct {
	Data     string      `json:"data"`
	Name     string      `json:"cell"`              // as in em; for an encoder the name of its folder, as in encoder-byol
	Seeds    int         `json:"seeds"`             // 1 for an encoder
	Done     int         `json:"done"`              // seeds that are trained
	Cost     *train.Cost `json:"cost,omitempty"`    // of one seed; nil if the model trains for a fixed time
	Seconds  float64     `json:"estimated_seconds"` // of training of one seed; exact if Cost is nil
	TFLOPS   float64     `json:"assumed_tflops"`    // speed in TFLOP/s that Seconds is estimated with; 0 if Cost is nil
	Settings []string    `json:"settings"`
}

// Models says what the plan trains, and how much of it is done. The encoders that models of a data set need come before them.
func (p *Plan) Models() (all []PlannedModel, err error) {
	all = []PlannedModel{} // in JSON an empty list, not null
	for _, f := range p.folders {
		encoders, err := f.encoders()
		if err != nil {
			return nil, err
		}
		all = append(all, encoders...)
		for _, c := range f.planned() {
			m := PlannedModel{Data: f.data, Name: c.name, Seeds: len(p.seeds), Settings: c.settings}
			if m.Seconds = f.scale.seconds(c); m.Seconds == 0 {
				if m.Cost, err = c.cost(); err != nil {
					return nil, err
				}
			}
			for _, seed := range p.seeds {
				_, trained, err := c.read(seed)
				if err != nil {
					return nil, err
				}
				if trained {
					m.Done++
				}
			}
			all = append(all, m)
		}
	}
	for i, m := range all {
		if m.Cost != nil {
			all[i].TFLOPS = p.speed() / 1e12
			all[i].Seconds = m.Cost.FLOPsPerIteration * float64(m.Cost.Steps) / p.speed()
		}
	}
	return all, nil
}

// encoders are those that the planned cells of a folder pretrain, each once.
func (f *folder) encoders() (all []PlannedModel, err error) {
	for _, c := range f.planned() {
		name := filepath.Base(c.encoderDir())
		if !c.pretrains() || slices.ContainsFunc(all, func(m PlannedModel) bool { return m.Name == name }) {
			continue
		}
		cfg, err := c.encoderConfig()
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", name, f.data, err)
		}
		m := PlannedModel{Data: f.data, Name: name, Seeds: 1, Settings: f.scale.encoderSettings()}
		if m.Cost, err = train.CountPretrainingCost(cfg); err != nil {
			return nil, err
		}
		if exists(train.EncoderPath(c.encoderDir())) {
			m.Done = 1
		}
		all = append(all, m)
	}
	return all, nil
}

// cost is the cost of training the cell once.
func (c *cell) cost() (*train.Cost, error) {
	if c.over != "" {
		return train.CountInferenceCost(c.config, train.EncoderFor(c.config))
	}
	return train.CountCost(c.config, train.EncoderFor(c.config))
}

// The speeds in FLOP/s that times are estimated for by default: of a GPU, which is an assumption, since none was measured, and of
// two AVX-512 cores, as measured for fmnist-em.
const (
	gpuSpeed  = 30e12
	coreSpeed = 0.16e12
)

// speed is the speed in FLOP/s that times are estimated with.
func (p *Plan) speed() float64 {
	if p.tflops > 0 {
		return 1e12 * p.tflops
	}
	if p.scale.paper {
		return gpuSpeed
	}
	return coreSpeed
}

// speedNote says which speed times are estimated with.
func (p *Plan) speedNote() string {
	given := readable(p.speed()/1e12) + " TFLOP/s"
	switch {
	case p.tflops > 0:
		return "The speed is " + given + "."
	case p.scale.paper:
		return "The speed is an assumption, " + given + " of a GPU."
	}
	return "The speed is " + given + ", as of two AVX-512 cores."
}

// readable has three digits, and no exponent for large numbers.
func readable(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// Print writes a table of the models, with the time and the disk space that they take.
func (p *Plan) Print(w io.Writer) error {
	models, err := p.Models()
	if err != nil || len(models) == 0 {
		return err
	}
	unit, seconds := "minutes", 60.0
	if p.scale.paper {
		unit, seconds = "GPU-hours", 3600
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model\tdata\tsteps × images\tPFLOP a run\t%s a run\tdisk a run\tseeds done\n", unit)
	var left float64
	var disk int64
	for _, m := range models {
		took := m.Seconds / seconds
		left += took * float64(m.Seeds-m.Done)
		size, flops, bytes := "", "", ""
		if m.Cost != nil {
			size = fmt.Sprintf("%d × %d", m.Cost.Steps, m.Cost.Batch)
			flops = readable(m.Cost.FLOPsPerIteration * float64(m.Cost.Steps) / 1e15)
			bytes = fmt.Sprintf("%.2g GB", float64(m.Cost.DiskBytes)/1e9)
			disk += m.Cost.DiskBytes * int64(m.Seeds)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d of %d\n", m.Name, m.Data, size, flops, readable(took), bytes, m.Done, m.Seeds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "about %.0f %s are left, without measurements. %s\ncheckpoints take %.3g GB of disk; models in %s\n", left, unit, p.speedNote(), float64(disk)/1e9, p.out)
	return err
}

// Run trains and measures the models, writes the results of every study and a README.md to the plan's folder,
// and returns them. When ctx ends it saves and returns ctx.Err(); another Run of the same plan goes on. Processes with
// the same folder share the work: each takes models that no other one is working on. Each of them waits until all models are done.
func (p *Plan) Run(ctx context.Context, s Setup) ([]*Result, error) {
	if slices.ContainsFunc(p.folders, func(f *folder) bool { return len(f.planned()) > 0 }) {
		if err := p.scale.ready(s.Device); err != nil {
			return nil, err
		}
	}
	return p.run(ctx, s)
}

func (p *Plan) run(ctx context.Context, s Setup) (results []*Result, err error) {
	w := &work{s, p}
	if err := w.trainAll(ctx); err != nil {
		return nil, err
	}
	for _, study := range p.studies {
		r, err := w.result(ctx, study)
		if err == nil {
			err = r.write(p.out)
		}
		if err != nil {
			return results, fmt.Errorf("%s: %w", study.Name, err)
		}
		results = append(results, r)
	}
	return results, WritePages(p.out)
}
