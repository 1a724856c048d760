package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// A scale is how large the models of a reproduction are, on which data, and how they are measured.
type scale struct {
	name     string
	steps    int      // of --steps; 0: the scale's
	set      []string // over each cell's preset
	setSSL   []string // over each encoder's preset
	dataOf   func(s study) string
	quality  quality
	outliers func(data string) []string // columns of an outlier table, as the results name them
	samples  int                        // that distances are of
	restored int                        // images that Table 8 is measured on
	measures map[measurement]measure
}

// measure adds numbers of a cell to its values.
type measure func(g grid, c cell, seed uint64, values map[string]float64) error

// quality is the distance that a scale measures samples by.
type quality struct{ metric, title string }

// miniSteps is a cell's training at mini scale: at some 12 steps a second on two cores, three minutes.
const miniSteps = 2000

func scaleOf(c *cli.Context) (scale, error) {
	var sc scale
	switch c.String("scale") {
	case "mini":
		sc = scale{name: "mini", set: []string{fmt.Sprintf("steps=%d", miniSteps), "log.samples=250", "log.checkpoint=500"},
			dataOf: func(study) string { return "fmnist" }, quality: quality{"fd", "FD"},
			outliers: func(string) []string { return []string{"constant", "noise", "inverted"} },
			samples:  10_000, restored: 100, measures: map[measurement]measure{ofSamples: miniSamples, ofReconstruction: measureReconstruction,
				ofRestoration: measureRestoration, ofProbes: measureProbes}}
	case "paper":
		sc = scale{name: "paper", dataOf: func(s study) string { return s.Data }, quality: quality{"fid", "FID"},
			outliers: paperOutliers,
			samples:  50_000, restored: 100, measures: map[measurement]measure{ofSamples: paperSamples, ofReconstruction: measureReconstruction,
				ofRestoration: measureRestoration, ofProbes: measureProbes}}
	default:
		return sc, fmt.Errorf("--scale %s: give mini or paper", c.String("scale"))
	}
	if c.IsSet("steps") {
		if c.Int("steps") < 1 {
			return sc, fmt.Errorf("--steps %d: give at least 1", c.Int("steps"))
		}
		sc.steps = c.Int("steps")
		sc.set = append(sc.set, fmt.Sprintf("steps=%d", sc.steps))
	}
	if c.IsSet("data") {
		path := "data.path=" + c.String("data")
		sc.set, sc.setSSL = append(sc.set, path), append(sc.setSSL, path)
	}
	if sc.name == "mini" && c.IsSet("weights") {
		return sc, fmt.Errorf("--weights is for --scale paper: mini measures on features for Fashion-MNIST, and calls no number FID")
	}
	return sc, nil
}

// ready refuses what cannot be carried out here, before the first step.
func (sc scale) ready(c *cli.Context, p *plan) error {
	if sc.name == "mini" || !slices.ContainsFunc(p.parts, func(part planPart) bool { return len(part.cells) > 0 }) {
		return nil
	}
	device, err := device(c)
	if err != nil {
		return err
	}
	if device.Type != torch.CUDA {
		return fmt.Errorf("--scale paper trains on a GPU, and --device %s is %s here: see liebm doctor for the reason; --scale mini runs on a CPU", c.String("device"), device)
	}
	if c.String("weights") == "" {
		return fmt.Errorf("--weights is missing: FID and IS need pytorch-fid's pt_inception-2015-12-05-6726825d.pth")
	}
	return nil
}

// miniSamples is liebm eval in the run folder: the distance on Fashion-MNIST's features, AUROC and
// speed.
func miniSamples(g grid, c cell, seed uint64, values map[string]float64) error {
	dir := g.dir(c, seed)
	cfg, err := train.ReadConfig(dir)
	if err != nil {
		return err
	}
	s, err := evaluate(g.c, dir, evalOptions{n: g.scale.samples, gamma: cfg.Energy.Gamma}, nil)
	if err != nil {
		return err
	}
	maps.Copy(values, map[string]float64{"fd": s.FD, "fd_no_mcmc": s.FDNoMCMC, "fd_floor": s.FDFloor, "nfe": float64(s.NFE), "nfe_no_mcmc": 1,
		"seconds": 1 / s.Rate, "seconds_no_mcmc": 1 / s.RateNoMCMC})
	for prefix, areas := range map[string]map[string]float64{"auroc/": s.AUROC, "auroc_energy/": s.AUROCEnergy, "auroc_cosine/": s.AUROCCosine} {
		for name, area := range areas {
			values[prefix+name] = area
		}
	}
	return nil
}
