package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
)

func oodCommand() *cli.Command {
	return &cli.Command{
		Name:      "ood",
		Usage:     "AUROC, AUPR and FPR@95 of a run's scores, or of scores in files",
		ArgsUsage: "OUTLIERS...",
		Description: `With --run, the run scores its inliers and each set of outliers. The inliers are --inliers, or the test split
of the run's data (the valid split if there is no test split). Outliers are a known set (cifar100 is its test
split), a folder, zip or .npz, or made by liebm: constant, noise and inverted; flipped (upside down), shuffled
(patches in a random order) and blurred inliers; glyphs; samples of the run's G. Pictures are resized to the
run's size. Arrays of images are resized or padded, as in liebm score. The table has a row for each
score and a column for each set, as Tables 6, 7 and 9. With --scores, the arguments and --scores are text
files with one score in each line. Inliers score high. The intervals are 95 % bootstrap intervals.

	liebm metrics ood --run runs/em constant noise cifar100:test
	liebm metrics ood --scores in.txt svhn.txt celeba.txt`,
		Flags: []cli.Flag{
			checkpointFlag(), &cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.StringFlag{Name: "inliers", Usage: "`IMAGES` to use as inliers (default: the test split of the run's data)"},
			&cli.StringFlag{Name: "scores", Usage: "`FILE` of the inliers' scores, instead of a run"},
			gammaFlag(),
			countFlag("resamples", 1000, 0, "number of bootstrap samples; 0: no intervals"),
			&cli.Uint64Flag{Name: "seed", Usage: "seed of constant and noise images, and of the bootstrap"},
			skipFlag(), recordFlag(), jsonFlag(), deviceFlag(),
		},
		Action: ood,
	}
}

func ood(c *cli.Context) error {
	if c.NArg() == 0 || c.IsSet("run") == c.IsSet("scores") {
		return fmt.Errorf("name one or more sets of outliers, and either --run or --scores: see liebm metrics ood --help")
	}
	o := study.OutlierOptions{Sets: c.Args().Slice(), Inliers: c.String("inliers"), Gamma: c.Float64("gamma"), Seed: c.Uint64("seed"),
		Resamples: c.Int("resamples"), Skip: c.Bool(skipUnreadable)}
	setup, err := newSetup(c)
	if err != nil {
		return err
	}
	rows, detect := oodRows, func() (*eval.Record, error) { return outliersOfRun(c.Context, c.String("run"), o, setup) }
	if scores := c.String("scores"); scores != "" {
		rows, detect = []oodRow{{"scores", ""}}, func() (*eval.Record, error) { return outliersInFiles(c.Context, scores, &o, setup) }
	}
	r, err := detect()
	if err != nil {
		return err
	}
	return readResults(c).finish(r, "%s", detectionTable(r.Values, rows, o.Sets))
}

// outliersOfRun measures the scores of a run.
func outliersOfRun(ctx context.Context, run string, o study.OutlierOptions, setup study.Setup) (*eval.Record, error) {
	for _, name := range o.Sets {
		if study.IsRun(name) {
			return nil, fmt.Errorf("%s is a run: draw its samples first, by liebm sample --run %s --out samples.npz", name, name)
		}
	}
	load := setup.LoadScorer
	if slices.Contains(o.Sets, "samples") {
		load = setup.LoadModel // G draws them
	}
	m, err := load(run)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return study.AssessOutliers(ctx, m, o, setup)
}

// outliersInFiles measures the scores in files. The sets get the names of the files without their endings.
func outliersInFiles(ctx context.Context, inliers string, o *study.OutlierOptions, setup study.Setup) (*eval.Record, error) {
	var lists []study.ScoreList
	for _, path := range append([]string{inliers}, o.Sets...) {
		scores, err := readScores(path)
		if err != nil {
			return nil, err
		}
		lists = append(lists, study.ScoreList{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Scores: scores})
	}
	for i, list := range lists[1:] {
		o.Sets[i] = list.Name
	}
	return study.AssessScores(ctx, lists[0], lists[1:], *o, setup)
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
			return nil, fmt.Errorf("%s:%d: %.40q is no number: give one score a line", path, n, text)
		}
		if math.IsNaN(v) {
			return nil, fmt.Errorf("%s:%d: the score is NaN: leave out such images on both sides, or mend the model", path, n)
		}
		scores = append(scores, v)
	}
	if lines.Err() == nil && len(scores) == 0 {
		return nil, fmt.Errorf("%s: no score in it: give one a line", path)
	}
	return scores, lines.Err()
}

// oodRow is a score: its title, and the suffix of its values' names.
type oodRow struct{ title, suffix string }

var oodRows = []oodRow{{"s(x)", ""}, {"energy alone", "_energy"}, {"cosine alone", "_cosine"}}

// detectionTable has AUROC as the paper's tables do, then the other measures.
func detectionTable(v eval.Values, rows []oodRow, sets []string) string {
	var b strings.Builder
	for _, metric := range []struct{ key, title string }{{"auroc", "AUROC"}, {"aupr_in", "AUPR, inliers positive"}, {"aupr_out", "AUPR, outliers positive"},
		{"fpr95_in", "FPR@95, inliers positive"}, {"fpr95_out", "FPR@95, outliers positive"}} {
		fmt.Fprintf(&b, "%s\t%s\n", metric.title, strings.Join(sets, "\t"))
		for _, row := range rows {
			fmt.Fprintf(&b, "  %s", row.title)
			for _, set := range sets {
				key := metric.key + row.suffix + "/" + set
				fmt.Fprintf(&b, "\t%.3f [%.3f, %.3f]", v[key], v[key+"/low"], v[key+"/high"])
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
