package main

import (
	"context"
	"fmt"
	"slices"

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
of the run's data (the valid split if there is no test split). A set of outliers is a known set (cifar100 is its
test split), a folder, a zip or an .npz. liebm itself makes these sets: constant, noise and inverted; flipped
(inliers upside down), shuffled (patches of inliers in a random order) and blurred; glyphs (letters and digits);
samples (of the run's G); left-out (images of the classes in data.leave_out of the run). Pictures are resized to the run's size. Arrays of images are resized or padded, as in
liebm score. The table has a row for each score and a column for each set, as in Tables 6, 7 and 9. With
--scores FILE no run is needed. FILE has the inliers' scores, and each argument is a file of outliers' scores. Such a
file is text with one score in each line. Inliers score high. The
intervals are 95 % bootstrap intervals.

	liebm metrics ood --run runs/em constant noise cifar100:test
	liebm metrics ood --run runs/em flipped glyphs --standardize
	liebm metrics ood --run runs/em photos/cats photos/dogs --format latex
	liebm metrics ood --scores in.txt svhn.txt celeba.txt`,
		Flags: []cli.Flag{
			checkpointFlag(), &cli.StringFlag{Name: "run", Usage: "run `FOLDER` of liebm train"},
			&cli.StringFlag{Name: "inliers", Usage: "`IMAGES` to use as inliers (default: the test split of the run's data)"},
			&cli.StringFlag{Name: "scores", Usage: "`FILE` of the inliers' scores, instead of a run"},
			gammaFlag(),
			&cli.BoolFlag{Name: "standardize", Usage: "add a score without γ: the sum of both terms of s(x), each standardized over 2,000 images of the run's training split"},
			countFlag("resamples", 1000, 0, "number of bootstrap samples; 0: no intervals"),
			&cli.Uint64Flag{Name: "seed", Usage: "seed of constant and noise images, and of the bootstrap"},
			choiceFlag("format", "text", "of the table: text, csv, md (Markdown) or latex", study.DetectionFormats...),
			skipFlag(), recordFlag(), jsonFlag(), deviceFlag(),
		},
		Action: ood,
	}
}

func ood(c *cli.Context) error {
	if c.NArg() == 0 || c.IsSet("run") == c.IsSet("scores") {
		return fmt.Errorf("name one or more sets of outliers, and either --run or --scores: see liebm metrics ood --help")
	}
	o := study.OutlierOptions{Sets: c.Args().Slice(), Inliers: c.String("inliers"), Gamma: gamma(c), Seed: c.Uint64("seed"),
		Resamples: c.Int("resamples"), Skip: c.Bool(skipUnreadable), Standardize: c.Bool("standardize")}
	for _, name := range []string{"standardize", "inliers", "gamma", "checkpoint", skipUnreadable} {
		if c.IsSet("scores") && c.IsSet(name) {
			return fmt.Errorf("--%s is for --run: --scores reads scores from files", name)
		}
	}
	setup, err := sharedSetup(c.Context, c)
	if err != nil {
		return err
	}
	defer setup.Group.Close()
	sets := study.SetNames(o.Sets)
	var r *eval.Record
	if scores := c.String("scores"); scores != "" {
		r, err = outliersInFiles(c.Context, scores, sets, o, setup)
	} else {
		r, err = outliersOfRun(c.Context, c.String("run"), o, setup)
	}
	if err != nil || setup.Group.Rank() > 0 {
		return err
	}
	return readResults(c, c.Args().Slice()).finish(r, "%s", study.DetectionTable(r, sets, c.String("format")))
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

// outliersInFiles measures the scores in files, whose sets have these names.
func outliersInFiles(ctx context.Context, inliers string, names []string, o study.OutlierOptions, setup study.Setup) (*eval.Record, error) {
	names = append(study.SetNames([]string{inliers}), names...)
	var lists []study.ScoreList
	for i, path := range append([]string{inliers}, o.Sets...) {
		scores, err := study.ReadScores(path)
		if err != nil {
			return nil, err
		}
		lists = append(lists, study.ScoreList{Name: names[i], Scores: scores})
	}
	return study.AssessScores(ctx, lists[0], lists[1:], o, setup)
}
