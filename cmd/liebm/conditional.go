package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

func conditionalCommand() *cli.Command {
	return &cli.Command{
		Name:  "conditional",
		Usage: "draw images of every class, by the classes' mean latents (Sec. 4.3)",
		Description: `Needs labelled training data, an encoder, and q: of liebm train-q, or of a run with target=erm. The
means are of --over training images. The grid has a row per class: the mean of its augmented images,
then --n samples. steps.png follows the first sample of each class through the rounds.

	liebm conditional --run runs/em --q runs/q --out classes
	liebm conditional --run runs/erm --n 16 --rounds 10 --weight 10 --out classes --json`,
		Flags: useFlags(10, qFlag(),
			&cli.IntFlag{Name: "over", Usage: "training images that the classes' means are of (default: all)"},
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "how often m is drawn from q anew"},
			&cli.Float64Flag{Name: "weight", Value: 1, Usage: "of log p(z|x) in the chain; 1: the energy as it was trained"}),
		Action: conditional,
	}
}

func conditional(c *cli.Context) error {
	u, err := startUse(c, "conditional sampling")
	if err != nil {
		return err
	}
	defer u.m.Close()
	set, err := u.m.Config.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	over := set
	if c.IsSet("over") {
		over = set.Head(c.Int("over"))
	}
	bars := map[string]*progress{}
	o := train.ConditionalOptions{Seed: c.Uint64("seed"), N: c.Int("n"), Rounds: c.Int("rounds"), Weight: c.Float64("weight"),
		Watch: func(stage string, done, total int) {
			if bars[stage] == nil {
				bars[stage] = newProgress(stage)
			}
			bars[stage].count(done, total)
		}}
	r, err := u.m.Conditional(c.Context, over, o)
	if err != nil {
		return err
	}
	u.record.Of(eval.InputOf(u.m.Config.Data.Name+":"+string(data.Train), over))
	u.record.Settings["rounds"], u.record.Settings["weight"] = fmt.Sprint(o.Rounds), fmt.Sprint(o.Weight)
	u.record.Values["classes"], u.record.Values["n"] = float64(r.Means.N), float64(o.N)
	shown := min(o.N, gridColumns)
	var steps []*data.Set
	for class := range r.Means.N {
		first := class * o.N
		u.show(join(r.Means.Subset([]int{class}), r.Images.Subset(indices(first, shown))))
		path := []*data.Set{r.Means.Subset([]int{class})}
		for _, round := range append(slices.Clone(r.Rounds), r.Images) {
			path = append(path, round.Subset([]int{first}))
		}
		steps = append(steps, join(path...))
	}
	return u.finish(r.Images, func(out string) error {
		return writeRows(filepath.Join(out, "steps.png"), u.m.Config, steps)
	}, func() {
		fmt.Printf("%d images of each of %d classes, in %d rounds (class means of %d images); %s\n", o.N, r.Means.N, o.Rounds, over.N, c.String("out"))
	})
}
