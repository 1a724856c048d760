package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

func oodCommand() *cli.Command {
	return &cli.Command{
		Name:      "ood",
		Usage:     "AUROC, AUPR and FPR@95 of a run's scores, or of scores in files",
		ArgsUsage: "OUTLIERS...",
		Description: `With --run, the run scores the test split of its data (valid where there is none), or --inliers, against each set of outliers:
a known set (cifar100:test), a folder, zip or .npz, constant, noise or inverted. Pictures are resized to
the run's size and arrays of images padded, as in liebm score.
The table is that of Tables 6, 7 and 9: a row per score, a column per set. With --scores, the
arguments and --scores are text files of one score a line; inliers score high. Intervals are 95 %
bootstrap ones.

	liebm metrics ood --run runs/em constant noise cifar100:test
	liebm metrics ood --scores in.txt svhn.txt celeba.txt`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.StringFlag{Name: "inliers", Usage: "other inliers than the test split of the run's data"},
			&cli.StringFlag{Name: "scores", Usage: "`FILE` of the inliers' scores, instead of a run"},
			&cli.Float64Flag{Name: "gamma", Value: 0.1, Usage: "γ of the score s(x) (Eq. 15); 0.1 in Table 12, 1 for CelebA-HQ"},
			&cli.IntFlag{Name: "resamples", Value: 1000, Usage: "of the bootstrap"},
			&cli.Uint64Flag{Name: "seed", Usage: "of outliers made here, and of the bootstrap"},
			skipFlag(),
			&cli.StringFlag{Name: "out", Usage: "append the record to this `FILE`, one JSON a line"},
			jsonFlag(), deviceFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 || c.IsSet("run") == c.IsSet("scores") {
				return fmt.Errorf("name one or more sets of outliers, and either --run or --scores: see liebm metrics ood --help")
			}
			seed := c.Uint64("seed")
			r := newRecord("OOD detection")
			r.Seed = &seed
			r.Settings = map[string]string{"positive": "inliers score high; aupr_in and fpr95_in take them as positive, aupr_out and fpr95_out the outliers",
				"interval": fmt.Sprintf("95 %% percentile bootstrap of %d resamples", c.Int("resamples"))}
			t := &oodTable{c: c, record: r}
			var err error
			if c.IsSet("run") {
				err = t.fromRun()
			} else {
				err = t.fromFiles()
			}
			if err != nil {
				return err
			}
			if c.IsSet("run") {
				if err := r.Append(filepath.Join(c.String("run"), resultsFile)); err != nil {
					return err
				}
			}
			return finish(c, r, t.print)
		},
	}
}

// oodTable collects a cell per score and set of outliers.
type oodTable struct {
	c      *cli.Context
	record *eval.Record
	rows   []string // the scores' names
	sets   []string // the outliers' names
}

// add measures one cell.
func (t *oodTable) add(row, set string, in, out []float64) error {
	d, err := eval.Detect(in, out)
	if err != nil {
		return fmt.Errorf("%s: %w", set, err)
	}
	ci, err := eval.DetectInterval(t.c.Context, in, out, t.c.Int("resamples"), t.c.Uint64("seed"))
	if err != nil {
		return err
	}
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if !slices.Contains(t.sets, set) {
		t.sets = append(t.sets, set)
	}
	for suffix, v := range map[string]eval.Detection{"": d, "/low": ci.Low, "/high": ci.High} {
		for name, x := range map[string]float64{"auroc": v.AUROC, "aupr_in": v.AUPRIn, "aupr_out": v.AUPROut, "fpr95_in": v.FPR95In, "fpr95_out": v.FPR95Out} {
			t.record.Values[row+"/"+set+"/"+name+suffix] = x
		}
	}
	return nil
}

func (t *oodTable) fromRun() error {
	c := t.c
	m, err := openModel(c, c.String("run"))
	if err != nil {
		return err
	}
	defer m.Close()
	gamma := c.Float64("gamma")
	t.record.WeightsSHA256, t.record.Settings["gamma"] = m.SHA256, fmt.Sprint(gamma)
	cfg := m.Config
	test, err := cfg.OpenHeldOut()
	if err != nil {
		return err
	}
	defer test.Close()
	score := func(set *data.Set, name string) (map[string][]float64, error) {
		fmt.Fprintf(os.Stderr, "scoring %d images of %s\n", set.N, name)
		joint, energy, cosine, err := m.Scores(c.Context, set, gamma)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.record.Of(eval.InputOf(name, set))
		return map[string][]float64{"s(x)": joint, "energy alone": energy, "cosine alone": cosine}, nil
	}
	inliers, name := test, cfg.Data.Name+":"+string(data.HeldOut(cfg.Data.Name))
	if c.IsSet("inliers") {
		name = c.String("inliers")
		if inliers, err = t.open(cfg, test, name); err != nil {
			return err
		}
	}
	in, err := score(inliers, name)
	if err != nil {
		return err
	}
	for _, name := range c.Args().Slice() {
		set, err := t.open(cfg, test, name)
		if err != nil {
			return err
		}
		out, err := score(set, name)
		if err != nil {
			return err
		}
		for _, row := range []string{"s(x)", "energy alone", "cosine alone"} {
			if err := t.add(row, name, in[row], out[row]); err != nil {
				return err
			}
		}
	}
	return nil
}

// open finds a set of outliers, or makes one, in the shape that the run's network reads.
func (t *oodTable) open(cfg train.Config, test *data.Set, name string) (*data.Set, error) {
	if slices.Contains([]string{"constant", "noise", "inverted"}, name) {
		sets, err := outliers(cfg, test, t.c.Uint64("seed"))
		return sets[name], err
	}
	if isRun(name) {
		return nil, fmt.Errorf("%s is a run: draw its samples first, by liebm sample --run %s --out samples.npz", name, name)
	}
	set, err := cfg.OpenImages(name, data.Options{Skip: t.c.Bool("skip-unreadable")})
	if err == nil && set.Fit != "" {
		t.record.Warn(fmt.Sprintf("%s: fitted to %d×%d pixels (%s); papers differ between padding with black and resizing", name, set.H, set.W, set.Fit))
	}
	return set, err
}

func (t *oodTable) fromFiles() error {
	in, err := readScores(t.c.String("scores"))
	if err != nil {
		return err
	}
	t.record.Of(eval.Input{Name: t.c.String("scores"), Kind: "scores", N: len(in)})
	for _, path := range t.c.Args().Slice() {
		out, err := readScores(path)
		if err != nil {
			return err
		}
		t.record.Of(eval.Input{Name: path, Kind: "scores", N: len(out)})
		if err := t.add("scores", strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), in, out); err != nil {
			return err
		}
	}
	return nil
}

// readScores reads one number a line.
func readScores(path string) (scores []float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %.40q is no number: want one score a line", path, n, text)
		}
		if math.IsNaN(v) {
			return nil, fmt.Errorf("%s:%d: the score is NaN: leave such images out on both sides, or mend the model", path, n)
		}
		scores = append(scores, v)
	}
	if lines.Err() == nil && len(scores) == 0 {
		return nil, fmt.Errorf("%s: no score in it: want one a line", path)
	}
	return scores, lines.Err()
}

// print shows AUROC as the paper's tables do, then the rest.
func (t *oodTable) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, metric := range []struct{ key, title string }{{"auroc", "AUROC"}, {"aupr_in", "AUPR, inliers positive"}, {"aupr_out", "AUPR, outliers positive"},
		{"fpr95_in", "FPR@95, inliers positive"}, {"fpr95_out", "FPR@95, outliers positive"}} {
		fmt.Fprintf(w, "%s\t%s\n", metric.title, strings.Join(t.sets, "\t"))
		for _, row := range t.rows {
			fmt.Fprintf(w, "  %s", row)
			for _, set := range t.sets {
				key := row + "/" + set + "/" + metric.key
				v := t.record.Values
				fmt.Fprintf(w, "\t%.3f [%.3f, %.3f]", v[key], v[key+"/low"], v[key+"/high"])
			}
			fmt.Fprintln(w)
		}
	}
}
