package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func conditionalCommand() *cli.Command {
	return &cli.Command{
		Name:  "conditional",
		Usage: "draw images of every class from the class's mean latent (Sec. 4.3)",
		Description: `Needs labelled training data, an encoder and the inference model q. A run with target=erm has a q; for other
runs liebm train-q makes one. The mean latents are computed from --over training images. The grid has a row
for each class: the mean of its augmented images, then --n samples. steps.png shows the first sample of each
class after every round.

	liebm conditional --run runs/em --q runs/q --out classes
	liebm conditional --run runs/erm --n 16 --rounds 10 --weight 10 --out classes --json`,
		Flags: outputFlags(10,
			countFlag("over", 0, 1, "training images to compute the classes' means from (default: all)"),
			countFlag("rounds", 5, 1, "how many times m is drawn from q"),
			numberFlag("weight", 1, 1e-9, "weight of log p(z|x) in the chain; 1 is its weight in training")),
		Action: withOutput(conditional),
	}
}

func conditional(c *cli.Context, o *output) error {
	set, err := o.model.Config.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	over := set
	if c.IsSet("over") {
		over = set.Head(c.Int("over"))
	}
	bars := map[string]*progress{}
	options := train.ConditionalOptions{Seed: o.seed, N: o.n, Rounds: c.Int("rounds"), Weight: c.Float64("weight"),
		Watch: func(stage string, done, total int) {
			if bars[stage] == nil {
				bars[stage] = newProgress(stage)
			}
			bars[stage].count(done, total)
		}}
	r, err := o.model.Conditional(c.Context, over, options)
	if err != nil {
		return err
	}
	o.begin("conditional sampling")
	study.WarnOfStatistics(o.record, o.model)
	o.record.Of(eval.InputOf(set.Name+":"+string(data.Train), over))
	o.record.Settings["rounds"], o.record.Settings["weight"] = fmt.Sprint(options.Rounds), fmt.Sprint(options.Weight)
	o.record.Values["classes"], o.record.Values["n"] = float64(r.Means.N), float64(o.n)
	o.images = r.Images
	shown := min(o.n, gridColumns)
	var steps []study.GridRow
	for class := range r.Means.N {
		name := fmt.Sprint("class ", class)
		if class < len(set.Classes) {
			name = set.Classes[class]
		}
		mean, first := r.Means.Slice(class, class+1), class*o.n
		o.rows = append(o.rows, study.GridRow{Label: name, Images: data.Concat(mean, r.Images.Slice(first, first+shown))})
		path := []*data.Set{mean}
		for _, round := range append(slices.Clone(r.Rounds), r.Images) {
			path = append(path, round.Slice(first, first+1))
		}
		steps = append(steps, study.GridRow{Label: name, Images: data.Concat(path...)})
	}
	err = o.write("%d images of each of %d classes, in %d rounds (class means of %d images); %s\n", o.n, r.Means.N, options.Rounds, over.N, o.folder)
	if err != nil {
		return err
	}
	return study.WriteRows(filepath.Join(o.folder, "steps.png"), o.model.Config, steps)
}
