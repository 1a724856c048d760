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
	Variants []string // names of the models to train, as in em and erm; nil: all that the studies compare
}

// A Plan is the models that some studies compare. A model that several of them compare is trained
// once.
type Plan struct {
	scale   Scale
	studies []Study
	seeds   []uint64
	folders []*folder
	out     string
}

// NewPlan plans studies at a scale. It is an error if the settings of a model contradict each other.
func NewPlan(sc Scale, studies []Study, o PlanOptions) (*Plan, error) {
	if err := errors.Join(sc.check(), checkVariants(o.Variants)); err != nil {
		return nil, err
	}
	p := &Plan{scale: sc, studies: studies, seeds: o.Seeds, out: filepath.Join(o.Out, sc.Name())}
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
			if c.err != nil {
				return nil, fmt.Errorf("%s on %s: %w", name, f.data, c.err)
			}
			for _, q := range s.ours {
				if !slices.Contains(c.needs, q.from) {
					c.needs = append(c.needs, q.from)
				}
			}
		}
	}
	return p, nil
}

// folder is that of a data set.
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
		if c.needs != nil {
			all = append(all, c)
		}
	}
	return all
}

// PlannedModel is a model that a plan trains once for every seed.
type PlannedModel struct {
	Data     string      `json:"data"`
	Name     string      `json:"cell"`
	Seeds    int         `json:"seeds"`
	Done     int         `json:"done"`              // seeds that are trained
	Cost     *train.Cost `json:"cost,omitempty"`    // of one seed; nil if the model trains for a fixed time
	Seconds  float64     `json:"estimated_seconds"` // of training of one seed; exact if Cost is nil
	Settings []string    `json:"settings"`
}

// Models says what the plan trains, and how much of it is done.
func (p *Plan) Models() (models []PlannedModel, err error) {
	for _, f := range p.folders {
		for _, c := range f.planned() {
			m := PlannedModel{Data: f.data, Name: c.name, Seeds: len(p.seeds), Settings: c.settings}
			if m.Seconds = f.scale.seconds(c); m.Seconds == 0 {
				if m.Cost, err = train.CountCost(c.config, train.EncoderFor(c.config)); err != nil {
					return nil, err
				}
				m.Seconds = m.Cost.FLOPsPerIteration * float64(m.Cost.Steps) / f.scale.speed()
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
			models = append(models, m)
		}
	}
	return models, nil
}

// The speeds in FLOP/s that times are estimated for: of a GPU, which is an assumption, since none was measured, and of two
// AVX-512 cores, as measured for fmnist-em.
const (
	gpuSpeed  = 30e12
	coreSpeed = 0.16e12
)

// speed is the speed in FLOP/s that times of models at this scale are estimated with.
func (sc Scale) speed() float64 {
	if sc.paper {
		return gpuSpeed
	}
	return coreSpeed
}

// Print writes a table of the models, with the time and the disk space that they take.
func (p *Plan) Print(w io.Writer) error {
	models, err := p.Models()
	if err != nil || len(models) == 0 {
		return err
	}
	unit, seconds := "minutes on 2 cores", 60.0
	if p.scale.paper {
		unit, seconds = "GPU-hours", 3600
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model\tdata\tsteps × images\tPFLOP a run\t%s\tdisk a run\tseeds done\n", unit)
	var left float64
	var disk int64
	for _, m := range models {
		took := m.Seconds / seconds
		left += took * float64(m.Seeds-m.Done)
		size, flops, bytes := "", "", ""
		if m.Cost != nil {
			size = fmt.Sprintf("%d × %d", m.Cost.Steps, m.Cost.Batch)
			flops = fmt.Sprintf("%.3g", m.Cost.FLOPsPerIteration*float64(m.Cost.Steps)/1e15)
			bytes = fmt.Sprintf("%.2g GB", float64(m.Cost.DiskBytes)/1e9)
			disk += m.Cost.DiskBytes * int64(m.Seeds)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.3g\t%s\t%d of %d\n", m.Name, m.Data, size, flops, took, bytes, m.Done, m.Seeds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !p.scale.paper {
		_, err = fmt.Fprintf(w, "about %.0f minutes are left, at the %.2g TFLOP/s of two AVX-512 cores; models in %s\n", left, coreSpeed/1e12, p.out)
		return err
	}
	_, err = fmt.Fprintf(w, "%.0f GPU-hours are left if the GPU sustains %.0f TFLOP/s (liebm plan measures a GPU), and %.3g GB of disk; pretraining is not counted\n",
		left, gpuSpeed/1e12, float64(disk)/1e9)
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
