package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"
	"gonum.org/v1/gonum/stat"

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

// scored is an image with its scores.
type scored struct {
	Set    string  `json:"set"`
	Image  int     `json:"image"` // its index in the set, from 0
	File   string  `json:"file,omitempty"`
	Score  float64 `json:"score"`
	Energy float64 `json:"energy"`
	Cosine float64 `json:"cosine"`
}

func score(c *cli.Context, m *train.Model, _ study.Setup) error {
	if c.NArg() == 0 {
		return fmt.Errorf("name one or more sets of images: see liebm score --help")
	}
	gamma, r := *cmp.Or(gamma(c), &m.Config.ScoreGamma), newRecord("scores")
	r.WeightsSHA256, r.Settings = m.SHA256, map[string]string{"gamma": fmt.Sprint(gamma)}
	var all []scored
	for _, name := range c.Args().Slice() {
		set, err := m.Config.OpenImages(name, data.Options{Skip: c.Bool(skipUnreadable)})
		if err != nil {
			return err
		}
		defer set.Close()
		if c.IsSet("n") {
			set = set.Head(c.Int("n"))
		}
		joint, energy, cosine, err := m.Scores(c.Context, set, gamma)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Of(eval.InputOf(name, set))
		if set.Fit == "resize" && m.Config.ImageSize() < m.Config.Data.Size {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%s: resized to %d×%[2]d pixels, but the run was trained on images of %d×%[3]d with a border; do not compare these scores with those of its data",
				name, m.Config.Data.Size, m.Config.ImageSize()))
		}
		r.Values[name+"/mean"], r.Values[name+"/std"] = stat.Mean(joint, nil), stat.PopStdDev(joint, nil)
		for i := range joint {
			all = append(all, scored{name, i, set.Origin(i), joint[i], energy[i], cosine[i]})
		}
	}
	printWarnings(r)
	write := func(w io.Writer) error {
		if c.Bool("json") {
			return printJSON(w, struct {
				*eval.Record
				Scores []scored `json:"scores"`
			}{r, all})
		}
		return writeScores(w, all)
	}
	if out := c.String("out"); out != "" {
		return data.WriteAtomic(out, write)
	}
	return write(os.Stdout)
}

func writeScores(w io.Writer, all []scored) error {
	lines := csv.NewWriter(w)
	_ = lines.Write([]string{"set", "image", "file", "score", "energy", "cosine"}) // Error returns it
	for _, s := range all {
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		_ = lines.Write([]string{s.Set, strconv.Itoa(s.Image), s.File, number(s.Score), number(s.Energy), number(s.Cosine)})
	}
	lines.Flush()
	return lines.Error()
}
