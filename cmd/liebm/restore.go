package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/train"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "restore degraded images: colourisation, super-resolution, inpainting (Sec. 4.4, Table 8)",
		Description: `Each image x is degraded to y = Ax, and restored from A⁺y by q, a chain on m (Eq. 16) and one on Y
(Eq. 17). The grid's rows are: the images, A⁺y, G(m⁰), two states of the chain on m, G(m), two of
the chain on Y, G(m) + Y. The paper does not give the chains' settings: the flags show ours, chosen
on the first test images of Fashion-MNIST by small models. Without --images the last --n images of
the test split are restored, which the choice did not see.
For inpainting --mask is a box in the images' pixels, or an image whose black pixels are filled in.
A model of gray images cannot colourise.

	liebm restore --run runs/erm --task sr8 --out sr8
	liebm restore --run runs/em --q runs/q --task inpaint --mask 7,7,14,14 --n 256 --out hole --json
	liebm restore --run runs/celeba --task colorize --images gray/ --out colour`,
		Flags: useFlags(64, qFlag(), imagesFlag(),
			&cli.StringFlag{Name: "task", Usage: "colorize, sr8, sr4 or inpaint"},
			&cli.StringFlag{Name: "mask", Usage: "X,Y,WIDTH,HEIGHT of the hole, or a `FILE` whose black pixels are the hole (default: the middle, half as wide and high)"},
			&cli.Float64Flag{Name: "variance", Usage: "of p(A⁺y|A⁺Ax), per pixel (default: the run's tau2)"},
			&cli.IntFlag{Name: "m-steps", Usage: "steps of the chain on m (default: 100)"},
			&cli.Float64Flag{Name: "m-delta2", Usage: "δ² of the chain on m (default: 10·variance/(h·w·c))"},
			&cli.IntFlag{Name: "y-steps", Usage: "steps of the chain on Y (default: 60)"},
			&cli.Float64Flag{Name: "y-delta2", Usage: "δ² of the chain on Y (default: the run's chain.delta2, at most 2·variance)"}),
		Action: restore,
	}
}

func restore(c *cli.Context) error {
	if err := need(c, "run", "out", "task"); err != nil {
		return err
	}
	u, err := startUse(c, "restoration")
	if err != nil {
		return err
	}
	defer u.m.Close()
	a, err := operator(c.String("task"), c.String("mask"), u.m.Config)
	if err != nil {
		return err
	}
	set, err := u.images(c.Int("n"), true)
	if err != nil {
		return err
	}
	p, o := newProgress("restoring"), restoreOptions(c, u.m.Config)
	o.Watch = func(done int) { p.count(done, set.N) }
	r, err := u.m.Restore(c.Context, set, a, o)
	if err != nil {
		return err
	}
	stages := []struct {
		name, title string
		images      *data.Set
	}{{"degraded", "A⁺y", r.Degraded}, {"start", "G(m⁰)", r.Start}, {"refined", "G(m)", r.Refined}, {"restored", "G(m) + Y", r.Restored}}
	for _, s := range stages {
		if err := u.compare("/"+s.name, s.images, set); err != nil {
			return err
		}
	}
	for name, value := range map[string]any{"task": c.String("task"), "mask": c.String("mask"), "variance": o.Variance, "m_steps": o.Latent.Steps,
		"m_delta2": o.Latent.Delta2, "y_steps": o.Image.Steps, "y_delta2": o.Image.Delta2, "sigma": o.Image.Sigma} {
		u.record.Settings[name] = fmt.Sprint(value)
	}
	u.showHeads(set, r.Degraded, r.Start)
	u.showHeads(r.Latent...)
	u.showHeads(r.Refined)
	u.showHeads(r.Image...)
	u.showHeads(r.Restored)
	return u.finish(r.Restored, nil, func() {
		t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		defer t.Flush()
		fmt.Fprintf(t, "%s, n %d\tPSNR\tSSIM\n", c.String("task"), set.N)
		for _, s := range stages {
			fmt.Fprintf(t, "%s\t%.2f\t%.3f\n", s.title, u.record.Values["psnr/"+s.name], u.record.Values["ssim/"+s.name])
		}
	})
}

// restoreOptions are the defaults with what the flags change.
func restoreOptions(c *cli.Context, cfg train.Config) train.RestoreOptions {
	if c.IsSet("variance") {
		cfg.Tau2 = c.Float64("variance") // the default of which the others follow
	}
	o := train.RestoreDefaults(cfg)
	o.Seed, o.Frames = c.Uint64("seed"), 2
	for flag, to := range map[string]*int{"m-steps": &o.Latent.Steps, "y-steps": &o.Image.Steps} {
		if c.IsSet(flag) {
			*to = c.Int(flag)
		}
	}
	for flag, to := range map[string]*float64{"m-delta2": &o.Latent.Delta2, "y-delta2": &o.Image.Delta2} {
		if c.IsSet(flag) {
			*to = c.Float64(flag)
		}
	}
	return o
}

// operator is the degradation that --task and --mask name, for images of a run.
func operator(task, mask string, cfg train.Config) (mcmc.Operator, error) {
	if mask != "" && task != "inpaint" {
		return nil, fmt.Errorf("--mask is for --task inpaint, not %s", task)
	}
	switch task {
	case "colorize":
		return mcmc.Colorization{}, mcmc.Colorization{}.Check(cfg.Energy.Channels, cfg.Data.Size, cfg.Data.Size)
	case "sr8":
		return mcmc.SuperResolution{Factor: 8}, nil
	case "sr4":
		return mcmc.SuperResolution{Factor: 4}, nil
	case "inpaint":
		return inpainting(mask, cfg)
	}
	return nil, fmt.Errorf("--task %s: want colorize, sr8, sr4 or inpaint", task)
}

// inpainting reads --mask at the size that the data have; padding is known.
func inpainting(mask string, cfg train.Config) (mcmc.Operator, error) {
	size, side := cfg.Data.Size, cfg.ImageSize()
	hole, err := readHole(mask, side)
	if err != nil {
		return nil, err
	}
	p := mcmc.Inpainting{Height: size, Width: size, Known: make([]bool, size*size)}
	pad := (size - side) / 2
	for i := range p.Known {
		x, y := i%size-pad, i/size-pad
		p.Known[i] = x < 0 || y < 0 || x >= side || y >= side || !hole(x, y)
	}
	return p, p.Check(cfg.Energy.Channels, size, size)
}

// readHole says of each pixel whether it is to be filled in.
func readHole(mask string, side int) (func(x, y int) bool, error) {
	inside := func(x, y, w, h int) func(x, y int) bool {
		box := image.Rect(x, y, x+w, y+h)
		return func(x, y int) bool { return image.Pt(x, y).In(box) }
	}
	if mask == "" {
		return inside(side/4, side/4, side/2, side/2), nil
	}
	if box, err := readBox(mask); err == nil {
		return inside(box[0], box[1], box[2], box[3]), nil
	}
	f, err := os.Open(mask)
	if err != nil {
		return nil, fmt.Errorf("--mask %s is neither X,Y,WIDTH,HEIGHT nor a readable image: %w", mask, err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("--mask %s: not a readable image: %w", mask, err)
	}
	if b := img.Bounds(); b.Dx() != side || b.Dy() != side {
		return nil, fmt.Errorf("--mask %s has %d×%d pixels, the images %d×%d", mask, b.Dx(), b.Dy(), side, side)
	}
	return func(x, y int) bool {
		at := img.Bounds().Min.Add(image.Pt(x, y))
		return color.GrayModel.Convert(img.At(at.X, at.Y)).(color.Gray).Y < 128
	}, nil
}

func readBox(text string) (box [4]int, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return box, errors.New("want four numbers")
	}
	for i, part := range parts {
		if box[i], err = strconv.Atoi(strings.TrimSpace(part)); err != nil {
			return box, err
		}
	}
	return box, nil
}
