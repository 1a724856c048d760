package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func scoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "score",
		Usage:     "print the energy and the outlier score of every image (Eq. 15)",
		ArgsUsage: "IMAGES...",
		Description: `IMAGES are known sets (cifar10:test), folders, archives or .npz files. For each image the command prints
the name of its file, s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of Eq. 15, and each of the terms. Inliers score
high. The output is CSV. With --json it is the scores and a record of images and weights. Files that
--skip-unreadable leaves out are listed, also in the record. liebm metrics ood measures how well
the scores separate inliers from outliers.

	liebm score --run runs/em fmnist:test --out scores.csv
	liebm score --run runs/em photos/ --gamma 1 --json`,
		Flags: []cli.Flag{
			runFlag(), checkpointFlag(),
			countFlag("n", 0, 1, "images of each set (default: all)"),
			gammaFlag(),
			skipFlag(),
			&cli.StringFlag{Name: "out", Usage: "`FILE` to write instead of the screen"},
			jsonFlag(), deviceFlag(),
		},
		Action: onScorer(score),
	}
}

func score(c *cli.Context, m *train.Model, setup study.Setup) error {
	if c.NArg() == 0 {
		return fmt.Errorf("name one or more sets of images: see liebm score --help")
	}
	o := study.ScoreOptions{N: c.Int("n"), Gamma: gamma(c), Skip: c.Bool(skipUnreadable)}
	r, all, err := study.ScoreImages(c.Context, m, c.Args().Slice(), o, setup)
	if err != nil {
		return err
	}
	printWarnings(r)
	write := func(w io.Writer) error {
		if c.Bool("json") {
			return printJSON(w, struct {
				*eval.Record
				Scores []study.ImageScore `json:"scores"`
			}{r, all})
		}
		return writeScores(w, all)
	}
	if out := c.String("out"); out != "" {
		return data.WriteAtomic(out, write)
	}
	return write(os.Stdout)
}

func writeScores(w io.Writer, all []study.ImageScore) error {
	lines := csv.NewWriter(w)
	_ = lines.Write([]string{"set", "image", "file", "score", "energy", "cosine"}) // Error returns it
	for _, s := range all {
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		_ = lines.Write([]string{s.Set, strconv.Itoa(s.Image), s.File, number(s.Score), number(s.Energy), number(s.Cosine)})
	}
	lines.Flush()
	return lines.Error()
}
