package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func interpolateCommand() *cli.Command {
	return &cli.Command{
		Name:  "interpolate",
		Usage: "draw images along paths between latents m",
		Description: `The paths are great circles between random latents. With --images they join the latents q(x) of images 0 and 1, 2 and 3, and so
on, and the grid shows these images at both ends of a row. --n is the number of paths. Each path is a row.

	liebm interpolate --run runs/em --n 8 --frames 12 --refine --out walk
	liebm interpolate --run runs/erm --images fmnist:test --out between`,
		Flags: outputFlags(8, imagesFlag(), skipFlag(),
			countFlag("frames", 10, 2, "images of a path, both ends included"),
			&cli.BoolFlag{Name: "refine", Usage: "run the chain after G, as for samples"}),
		Action: withOutput(interpolate),
	}
}

func interpolate(c *cli.Context, o *output) (err error) {
	report := o.setup.Progress("paths")
	n, options := o.n, train.InterpolateOptions{Seed: o.seed, Frames: c.Int("frames"), Refine: c.Bool("refine")}
	options.Watch = func(done int) { report(done, n) }
	o.begin("interpolation")
	var from, to *data.Set
	if o.source != "" {
		if from, to, err = o.pairs(n); err != nil {
			return err
		}
		n = from.N
		o.images, err = o.model.InterpolateImages(c.Context, from, to, options)
	} else {
		o.images, err = o.model.Interpolate(c.Context, n, options)
	}
	if err != nil {
		return err
	}
	for i := range n {
		row := o.images.Slice(i*options.Frames, (i+1)*options.Frames)
		if from != nil {
			row = data.Concat(from.Slice(i, i+1), row, to.Slice(i, i+1))
		}
		o.rows = append(o.rows, study.GridRow{Label: fmt.Sprint("path ", i+1), Images: row})
	}
	o.record.Settings["frames"], o.record.Settings["refine"] = fmt.Sprint(options.Frames), fmt.Sprint(options.Refine)
	o.record.Values["paths"] = float64(n)
	study.WarnOfStatistics(o.record, o.model)
	return o.write("%d paths of %d images; %s\n", n, options.Frames, o.folder)
}

// pairs are images 0, 2, 4, … and 1, 3, 5, … of --images: n of each, or as many as there are.
func (o *output) pairs(n int) (from, to *data.Set, err error) {
	set, err := o.read(2*n, false)
	if err != nil {
		return nil, nil, err
	}
	if set.N < 2 {
		return nil, nil, fmt.Errorf("--images %s: a path needs two images, it has one", o.source)
	}
	o.record.Of(eval.InputOf(o.source, set))
	var even, odd []int
	for i := 0; i+1 < set.N; i += 2 {
		even, odd = append(even, i), append(odd, i+1)
	}
	return set.Subset(even), set.Subset(odd), nil
}
