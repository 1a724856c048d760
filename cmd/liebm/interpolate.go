package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/train"
)

func interpolateCommand() *cli.Command {
	return &cli.Command{
		Name:  "interpolate",
		Usage: "walk between latents m on great circles",
		Description: `Between random latents, or with --images between the latents q(x) of images 2i and 2i+1, which the
grid then shows at both ends of a row. --n counts the paths, a row each.

	liebm interpolate --run runs/em --n 8 --frames 12 --refine --out walk
	liebm interpolate --run runs/erm --images fmnist:test --out between`,
		Flags: useFlags(8, qFlag(), imagesFlag(),
			&cli.IntFlag{Name: "frames", Value: 10, Usage: "images of a path, both ends included"},
			&cli.BoolFlag{Name: "refine", Usage: "follow G by the chain, as samples do"}),
		Action: interpolate,
	}
}

func interpolate(c *cli.Context) error {
	u, err := startUse(c, "interpolation")
	if err != nil {
		return err
	}
	defer u.m.Close()
	n, p := c.Int("n"), newProgress("paths")
	o := train.InterpolateOptions{Seed: c.Uint64("seed"), Frames: c.Int("frames"), Refine: c.Bool("refine"), Watch: func(done int) { p.count(done, n) }}
	var from, to, paths *data.Set
	if c.IsSet("images") {
		if from, to, err = u.pairs(n); err != nil {
			return err
		}
		n = from.N
		paths, err = u.m.InterpolateImages(c.Context, from, to, o)
	} else {
		paths, err = u.m.Interpolate(c.Context, n, o)
	}
	if err != nil {
		return err
	}
	for i := range n {
		row := paths.Subset(indices(i*o.Frames, o.Frames))
		if from != nil {
			row = join(from.Subset([]int{i}), row, to.Subset([]int{i}))
		}
		u.show(row)
	}
	u.record.Settings["frames"], u.record.Settings["refine"] = fmt.Sprint(o.Frames), fmt.Sprint(o.Refine)
	u.record.Values["paths"] = float64(n)
	return u.finish(paths, nil, func() {
		fmt.Printf("%d paths of %d images; %s\n", n, o.Frames, c.String("out"))
	})
}

// pairs are images 0, 2, 4, … and 1, 3, 5, … of --images, n of each if there are as many.
func (u *use) pairs(n int) (from, to *data.Set, err error) {
	set, err := u.images(2*n, false)
	if err != nil {
		return nil, nil, err
	}
	if set.N < 2 {
		return nil, nil, fmt.Errorf("--images %s: a path needs two images, it has one", u.c.String("images"))
	}
	var even, odd []int
	for i := 0; i+1 < set.N; i += 2 {
		even, odd = append(even, i), append(odd, i+1)
	}
	return set.Subset(even), set.Subset(odd), nil
}
