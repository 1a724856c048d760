package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// summary is what eval found, as summary.json.
type summary struct {
	Preset        string             `json:"preset"`
	Steps         int                `json:"steps"`
	N             int                `json:"n"` // samples, against the whole test split
	Seed          uint64             `json:"seed"`
	Features      string             `json:"features,omitempty"`
	FD            float64            `json:"fd"`         // after MCMC
	FDNoMCMC      float64            `json:"fd_no_mcmc"` // G alone
	FDFloor       float64            `json:"fd_floor"`   // n images of the training split
	NFE           int                `json:"nfe"`
	Rate          float64            `json:"images_per_second"`
	RateNoMCMC    float64            `json:"images_per_second_no_mcmc"`
	AUROC         map[string]float64 `json:"auroc"`        // by s(x) of Eq. 15
	AUROCEnergy   map[string]float64 `json:"auroc_energy"` // by F(f(x)) alone
	AUROCCosine   map[string]float64 `json:"auroc_cosine"` // by cos(g(f(x)), h(x)) alone
	Gamma         float64            `json:"gamma"`
	EnergyStd     float64            `json:"energy_std"` // of F(f(x)) on inliers: judge gamma by it
	Seconds       map[string]float64 `json:"seconds,omitempty"`
	WeightsSHA256 string             `json:"weights_sha256"`
	Histogram     histogram          `json:"histogram"`

	samples string // SHA-256 of those after MCMC
}

type histogram struct {
	Edges  []float64        `json:"edges"`
	Counts map[string][]int `json:"counts"`
}

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:  "eval",
		Usage: "measure a trained run: Fréchet distance and outlier detection",
		Description: `Leaves summary.json, samples.png, samples_no_mcmc.png and data.png in the run folder.
The Fréchet distance is on the features that the table names; it is no FID.

	liebm eval --run runs/em
	liebm eval --run runs/em --n 5000 --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.IntFlag{Name: "n", Value: 10_000, Usage: "how many samples to draw"},
			&cli.Uint64Flag{Name: "seed", Usage: "of samples and outliers"},
			&cli.Float64Flag{Name: "gamma", Value: 0.1, Usage: "γ of the score s(x) (Eq. 15); 0.1 in Table 12, 1 for CelebA-HQ"},
			jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "run"); err != nil {
				return err
			}
			s, err := evaluate(c, c.String("run"), evalOptions{c.Int("n"), c.Uint64("seed"), c.Float64("gamma")}, nil)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(os.Stdout, s)
			}
			s.print(os.Stdout)
			return nil
		},
		Subcommands: []*cli.Command{featuresCommand()},
	}
}

type evalOptions struct {
	n     int
	seed  uint64
	gamma float64
}

func (o evalOptions) validate() error {
	if o.n < 2 {
		return fmt.Errorf("--n %d: a covariance needs at least 2 samples", o.n)
	}
	if math.IsNaN(o.gamma) || math.IsInf(o.gamma, 0) {
		return fmt.Errorf("--gamma %v: give a number", o.gamma)
	}
	return nil
}

// evaluate measures the run in dir and writes what it found there.
func evaluate(c *cli.Context, dir string, o evalOptions, seconds map[string]float64) (*summary, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	m, err := openModel(c, dir)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s := &summary{Preset: m.Config.Preset, Steps: m.Step, N: o.n, Seed: o.seed, NFE: m.NFE(train.SampleOptions{}), Gamma: o.gamma,
		Seconds: seconds, WeightsSHA256: m.SHA256}
	test, err := m.Config.OpenHeldOut()
	if err != nil {
		return nil, err
	}
	defer test.Close()
	if err := s.generate(c.Context, dir, m, test, o); err != nil {
		return nil, err
	}
	if err := s.detect(c.Context, m, test, o); err != nil {
		return nil, err
	}
	if err := s.keep(dir, test); err != nil {
		return nil, err
	}
	return s, writeJSON(filepath.Join(dir, "summary.json"), s)
}

// generate draws samples with and without MCMC, measures them and leaves grids.
func (s *summary) generate(ctx context.Context, dir string, m *train.Model, test *data.Set, o evalOptions) error {
	draw := func(noMCMC bool, file string) (*data.Set, float64, error) {
		p, start := newProgress("sampling "+file), time.Now()
		set, err := m.Sample(ctx, o.n, train.SampleOptions{Seed: o.seed, NoMCMC: noMCMC, Watch: func(done int) { p.count(done, o.n) }})
		if err != nil {
			return nil, 0, err
		}
		rate := float64(o.n) / time.Since(start).Seconds()
		return set, rate, writeGrid(filepath.Join(dir, file), m.Config, set)
	}
	refined, rate, err := draw(false, "samples.png")
	if err != nil {
		return err
	}
	plain, plainRate, err := draw(true, "samples_no_mcmc.png")
	if err != nil {
		return err
	}
	s.Rate, s.RateNoMCMC, s.samples = rate, plainRate, refined.SHA256()
	if err := writeGrid(filepath.Join(dir, "data.png"), m.Config, test); err != nil {
		return err
	}
	if m.Config.Data.Name != "fmnist" {
		return nil // no features for it yet: the distances stay 0, and unnamed
	}
	features, err := eval.FashionFeatures()
	if err != nil {
		return err
	}
	defer features.Close()
	s.Features = features.Name()
	real, err := m.Config.Open(data.Train)
	if err != nil {
		return err
	}
	defer real.Close()
	against, err := eval.Measure(ctx, features, test, nil)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		set *data.Set
		to  *float64
	}{{refined, &s.FD}, {plain, &s.FDNoMCMC}, {real.Head(o.n), &s.FDFloor}} {
		stats, err := eval.Measure(ctx, features, part.set, nil)
		if err != nil {
			return err
		}
		if *part.to, err = eval.Frechet(stats, against); err != nil {
			return err
		}
	}
	return nil
}

// keep adds the distances and areas to the run's results.
func (s *summary) keep(dir string, test *data.Set) error {
	input := eval.Input{Name: s.Preset + ": test split", Kind: "set", N: test.N, Size: []int{test.H, test.W, test.C}, SHA256: test.SHA256()}
	areas := newRecord("AUROC")
	areas.Values["energy_std"] = s.EnergyStd
	for suffix, scores := range map[string]map[string]float64{"": s.AUROC, "/energy alone": s.AUROCEnergy, "/cosine alone": s.AUROCCosine} {
		for name, area := range scores {
			areas.Values[name+suffix] = area
		}
	}
	areas.Settings = map[string]string{"gamma": fmt.Sprint(s.Gamma), "positive": "inliers score high"}
	records := []*eval.Record{areas}
	if s.Features != "" {
		fd := newRecord("Fréchet distance")
		fd.Network, fd.NFE = s.Features, s.NFE
		fd.Values = eval.Values{"fd": s.FD, "fd_no_mcmc": s.FDNoMCMC, "fd_floor": s.FDFloor}
		fd.Inputs = []eval.Input{{Name: dir, Kind: "run", N: s.N, SHA256: s.samples, Seed: &s.Seed, NFE: s.NFE, WeightsSHA256: s.WeightsSHA256}}
		records = append(records, fd)
	}
	for _, r := range records {
		r.Seed, r.WeightsSHA256 = &s.Seed, s.WeightsSHA256
		r.Of(input)
		if err := r.Append(filepath.Join(dir, resultsFile)); err != nil {
			return err
		}
	}
	return nil
}

// detect scores the test split against outliers that are made here.
func (s *summary) detect(ctx context.Context, m *train.Model, test *data.Set, o evalOptions) error {
	sets, err := outliers(m.Config, test, o.seed)
	if err != nil {
		return err
	}
	joint, energy, cosine, err := m.Scores(ctx, test, o.gamma)
	if err != nil {
		return err
	}
	s.EnergyStd = stddev(energy)
	s.AUROC, s.AUROCEnergy, s.AUROCCosine = map[string]float64{}, map[string]float64{}, map[string]float64{}
	scores := map[string][]float64{"inliers": joint}
	for name, set := range sets {
		j, e, c, err := m.Scores(ctx, set, o.gamma)
		if err != nil {
			return err
		}
		scores[name] = j
		for _, pair := range []struct {
			in, out []float64
			to      map[string]float64
		}{{joint, j, s.AUROC}, {energy, e, s.AUROCEnergy}, {cosine, c, s.AUROCCosine}} {
			if pair.to[name], err = eval.AUROC(pair.in, pair.out); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	s.Histogram = count(scores, 60)
	return nil
}

// outliers are made at the size that the data have, and then padded as they are.
func outliers(cfg train.Config, test *data.Set, seed uint64) (map[string]*data.Set, error) {
	raw, err := cfg.Crop(test)
	if err != nil {
		return nil, err
	}
	constant, err := data.Constant(raw.Shape, data.OutlierOptions{Seed: seed})
	if err != nil {
		return nil, err
	}
	noise, err := data.Noise(raw.Shape, data.OutlierOptions{Seed: seed})
	if err != nil {
		return nil, err
	}
	sets := map[string]*data.Set{"constant": constant, "noise": noise, "inverted": data.Inverted(raw)}
	for name, set := range sets {
		if sets[name], err = set.Pad(test.H); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// count is a histogram of every list over bins of their common range.
func count(scores map[string][]float64, bins int) histogram {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, list := range scores {
		lo, hi = min(lo, slices.Min(list)), max(hi, slices.Max(list))
	}
	h := histogram{Counts: map[string][]int{}}
	for i := range bins + 1 {
		h.Edges = append(h.Edges, lo+(hi-lo)*float64(i)/float64(bins))
	}
	for name, list := range scores {
		counts := make([]int, bins)
		for _, v := range list {
			counts[min(bins-1, int(float64(bins)*(v-lo)/max(hi-lo, 1e-300)))]++
		}
		h.Counts[name] = counts
	}
	return h
}

func stddev(v []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / float64(len(v)))
}

func writeGrid(path string, cfg train.Config, set *data.Set) error {
	set, err := cfg.Crop(set.Head(100))
	if err != nil {
		return err
	}
	img, err := data.Grid(set.Pixels(), set.Shape, 10)
	if err != nil {
		return err
	}
	return data.WritePNG(path, img)
}

func (s *summary) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	if s.Features != "" {
		fmt.Fprintf(t, "Fréchet distance\t%.2f\tafter MCMC, NFE %d, n %d, %s\n", s.FD, s.NFE, s.N, s.Features)
		fmt.Fprintf(t, "\t%.2f\tG alone, NFE 1\n", s.FDNoMCMC)
		fmt.Fprintf(t, "\t%.2f\ttraining images, the floor\n", s.FDFloor)
	}
	fmt.Fprintf(t, "images per second\t%.0f\tG alone %.0f\n", s.Rate, s.RateNoMCMC)
	fmt.Fprintf(t, "AUROC against\ts(x)\tenergy alone\tcosine alone\n")
	for _, name := range []string{"constant", "noise", "inverted"} {
		fmt.Fprintf(t, "  %s\t%.3f\t%.3f\t%.3f\n", name, s.AUROC[name], s.AUROCEnergy[name], s.AUROCCosine[name])
	}
	for _, stage := range []string{"pretrain", "train"} {
		if seconds, ok := s.Seconds[stage]; ok {
			fmt.Fprintf(t, "%s\t%.0f s\n", stage, seconds)
		}
	}
}

func featuresCommand() *cli.Command {
	return &cli.Command{
		Name:  "features",
		Usage: "train the classifier whose features the Fréchet distance uses",
		Description: `The file that comes with liebm was made by

	liebm eval features --out eval/fashion.safetensors`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "safetensors `FILE` to write"},
			&cli.IntFlag{Name: "epochs", Value: 6},
			&cli.Uint64Flag{Name: "seed", Value: 1},
		},
		Action: func(c *cli.Context) error {
			if err := need(c, "out"); err != nil {
				return err
			}
			set, err := data.Open("fmnist", data.Options{})
			if err != nil {
				return err
			}
			defer set.Close()
			p := newProgress("training the classifier")
			weights, err := eval.TrainClassifier(c.Context, set, c.Int("epochs"), c.Uint64("seed"), func(step, steps int, loss float64) {
				p.show(step, steps, 0, fmt.Sprintf("loss %.3f", loss))
			})
			if err != nil {
				return err
			}
			return data.WriteAtomic(c.String("out"), func(w io.Writer) error { _, err := w.Write(weights); return err })
		},
	}
}

// readSummary reads what eval left in a run folder.
func readSummary(dir string) (*summary, error) {
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s has no summary.json: make it with liebm eval --run %s", dir, dir)
	}
	if err != nil {
		return nil, err
	}
	s := &summary{}
	return s, json.Unmarshal(text, s)
}
