package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

// A plan is what reproducing some studies trains: each cell once, whatever the number of tables that
// read it.
type plan struct {
	scale   scale
	studies []study
	seeds   []uint64
	parts   []planPart
	out     string
}

// A planPart is the cells on one data set.
type planPart struct {
	grid  grid
	cells []neededCell
}

// A neededCell is a cell, and what the studies of a plan read of it.
type neededCell struct {
	name  string
	needs []measurement
}

func makePlan(c *cli.Context, sc scale, studies []study, only []string, seeds []uint64) (*plan, error) {
	p := &plan{scale: sc, studies: studies, seeds: seeds, out: filepath.Join(c.String("out"), sc.name)}
	for _, s := range studies {
		p.part(c, sc.dataOf(s))
	}
	for i, part := range p.parts {
		for _, c := range cells {
			if needs := p.needs(c.Name, part.grid.data); needs != nil && (only == nil || slices.Contains(only, c.Name)) {
				p.parts[i].cells = append(p.parts[i].cells, neededCell{c.Name, needs})
			}
		}
		for _, c := range p.parts[i].cells { // settings that contradict each other are found before the first step
			if _, err := part.grid.asked(cellNamed(c.name), 1).config(); err != nil {
				return nil, fmt.Errorf("%s on %s: %w", c.name, part.grid.data, err)
			}
		}
	}
	return p, nil
}

// part adds the part of a data set, if it is not there.
func (p *plan) part(c *cli.Context, data string) {
	if !slices.ContainsFunc(p.parts, func(part planPart) bool { return part.grid.data == data }) {
		p.parts = append(p.parts, planPart{grid: grid{c: c, out: p.out, scale: p.scale, data: data}})
	}
}

// needs is what the plan's studies read of a cell; nil if nothing does.
func (p *plan) needs(cell, data string) (needs []measurement) {
	for _, s := range p.studies {
		if p.scale.dataOf(s) != data || !slices.Contains(s.cells(), cell) {
			continue
		}
		for _, what := range s.measurements() {
			if !slices.Contains(needs, what) {
				needs = append(needs, what)
			}
		}
	}
	return needs
}

// plannedCell is one line of a plan.
type plannedCell struct {
	Data     string      `json:"data"`
	Cell     string      `json:"cell"`
	Seeds    int         `json:"seeds"`
	Done     int         `json:"done"` // of the seeds
	Plan     *train.Plan `json:"plan"` // of one seed
	Settings []string    `json:"settings"`
}

// sustained is the speed that GPU-hours are estimated for, in FLOP/s: an assumption, since no GPU is
// asked. Where there is one, liebm plan measures.
const sustained = 30e12

func (p *plan) lines() (lines []plannedCell, err error) {
	for _, part := range p.parts {
		for _, needed := range part.cells {
			c := cellNamed(needed.name)
			asked := part.grid.asked(c, p.seeds[0])
			cfg, err := asked.config()
			if err != nil {
				return nil, err
			}
			line := plannedCell{Data: part.grid.data, Cell: c.Name, Seeds: len(p.seeds), Settings: asked.Settings}
			if line.Plan, err = train.CountPlan(cfg, train.EncoderFor(cfg)); err != nil {
				return nil, err
			}
			for _, seed := range p.seeds {
				_, done, err := part.grid.read(c, seed)
				if err != nil {
					return nil, err
				}
				if done {
					line.Done++
				}
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// print shows what will be trained, and what that takes.
func (p *plan) print(c *cli.Context) error {
	lines, err := p.lines()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		if c.Bool("dry-run") {
			return printJSON(os.Stdout, lines)
		}
		return nil // the results are printed instead
	}
	if len(lines) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model\tdata\tsteps × images\tPFLOP a run\t%s\tdisk a run\tseeds done\n", map[string]string{"mini": "minutes on 2 cores", "paper": "GPU-hours"}[p.scale.name])
	var total float64
	var disk int64
	for _, l := range lines {
		flops := l.Plan.FLOPsPerIteration * float64(l.Plan.Steps)
		hours := flops / sustained / 3600
		if p.scale.name == "mini" {
			hours = float64(l.Plan.Steps) * miniSeconds / 60
		}
		left := float64(l.Seeds - l.Done)
		total, disk = total+hours*left, disk+l.Plan.DiskBytes*int64(l.Seeds)
		fmt.Fprintf(t, "%s\t%s\t%d × %d\t%.3g\t%.3g\t%.2g GB\t%d of %d\n", l.Cell, l.Data, l.Plan.Steps, l.Plan.Batch, flops/1e15, hours, float64(l.Plan.DiskBytes)/1e9, l.Done, l.Seeds)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if p.scale.name == "mini" {
		fmt.Printf("in all about %.0f minutes are left, at the %.2g s a step that two AVX-512 cores take; models in %s\n", total, miniSeconds, p.out)
		return nil
	}
	fmt.Printf("in all %.0f GPU-hours are left, if the GPU sustains %.0f TFLOP/s (liebm plan measures a GPU that is here), and %.3g GB of disk; without pretraining\n",
		total, sustained/1e12, float64(disk)/1e9)
	return nil
}

// miniSeconds is a training step of fmnist-em, as measured on two AVX-512 cores (README).
const miniSeconds = 0.062
