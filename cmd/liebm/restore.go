package main

import (
	"fmt"
	"image"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "restore degraded images: colourisation, super-resolution, inpainting (Sec. 4.4, Table 8)",
		Description: `Each image x is degraded to y = Ax, and restored from A⁺y by q, a chain on m (Eq. 16) and a chain on Y
(Eq. 17). The rows of the grid are the images, A⁺y, G(m⁰), two states of the chain on m, G(m), two states of
the chain on Y, and G(m) + Y. The paper does not give the settings of the chains. The defaults were
chosen on the first test images of Fashion-MNIST, with small models. Without --images the command therefore
restores the last --n images of the test split.
For inpainting, --mask is a box in pixels, or an image whose black pixels are the hole that is filled in.
A model of gray images cannot colourise. PSNR and SSIM leave out the padding of training.

	liebm restore --run runs/erm --task sr8 --out sr8
	liebm restore --run runs/em --q runs/q --task inpaint --mask 7,7,14,14 --n 256 --out hole --json
	liebm restore --run runs/celeba --task colorize --images gray/ --out colour`,
		Flags: outputFlags(64, imagesFlag(), skipFlag(),
			&cli.StringFlag{Name: "task", Required: true, Usage: "colorize, sr8, sr4 or inpaint"},
			&cli.StringFlag{Name: "mask", Usage: "X,Y,WIDTH,HEIGHT of the hole, or an image `FILE` whose black pixels are the hole (default: a box in the middle, half as wide and high as the image)"},
			numberFlag("variance", 0, 0, "variance of p(A⁺y|A⁺Ax), per pixel (default: the run's tau2)"),
			countFlag("m-steps", 0, 0, "steps of the chain on m (default: 100)"),
			numberFlag("m-delta2", 0, 0, "δ² of the chain on m (default: 10·variance/(h·w·c))"),
			countFlag("y-steps", 0, 0, "steps of the chain on Y (default: 60)"),
			numberFlag("y-delta2", 0, 0, "δ² of the chain on Y (default: the run's chain.delta2, at most 2·variance)")),
		Action: withOutput(restore),
	}
}

func restore(c *cli.Context, o *output) error {
	task, mask := c.String("task"), c.String("mask")
	a, err := operator(task, mask, o.model.Config)
	if err != nil {
		return err
	}
	set, err := o.read(o.n, true)
	if err != nil {
		return err
	}
	out, r, err := study.AssessRestoration(c.Context, o.model, set, task, a, restoreOptions(c, o.model.Config), o.setup)
	if err != nil {
		return err
	}
	r.Settings["mask"] = mask
	o.record, o.images = r, out.Restored
	o.show("images", set)
	o.show("degraded", out.Degraded)
	o.show("G(m0)", out.Start)
	o.show("chain on m", out.Latent...)
	o.show("G(m)", out.Refined)
	o.show("chain on Y", out.Image...)
	o.show("restored", out.Restored)
	lines := fmt.Sprintf("%s, n %d\tPSNR\tSSIM\n", task, set.N)
	for _, s := range study.Stages {
		lines += fmt.Sprintf("%s\t%.2f\t%.3f\n", s.Title, r.Values["psnr/"+task+"/"+s.Name], r.Values["ssim/"+task+"/"+s.Name])
	}
	return o.write("%s", lines)
}

// restoreOptions are the defaults with the changes of the flags.
func restoreOptions(c flagValues, cfg train.Config) train.RestoreOptions {
	if c.IsSet("variance") {
		cfg.Tau2 = c.Float64("variance") // the other defaults follow from it
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
	if mask != "" && task != study.Inpaint {
		return nil, fmt.Errorf("--mask is for --task inpaint, not %s", task)
	}
	hole, err := readHole(mask, cfg.ImageSize())
	if err != nil {
		return nil, err
	}
	a, err := study.Task(task, cfg, hole)
	if err != nil {
		err = fmt.Errorf("--task %s: %w", task, err)
	}
	return a, err
}

// readHole reads --mask: a box, an image whose dark pixels are the hole, or nothing for the middle.
func readHole(mask string, side int) (func(x, y int) bool, error) {
	x, y, w, h := side/4, side/4, side/2, side/2
	if mask != "" {
		if _, err := fmt.Sscanf(mask, "%d,%d,%d,%d\n", &x, &y, &w, &h); err != nil {
			hole, err := data.ReadMask(mask, side)
			if err != nil {
				return nil, fmt.Errorf("--mask %s: give X,Y,WIDTH,HEIGHT or an image file: %w", mask, err)
			}
			return hole, nil
		}
		if x < 0 || y < 0 || w < 1 || h < 1 || x+w > side || y+h > side {
			return nil, fmt.Errorf("--mask %s: the box is not inside the image, which has %d×%[2]d pixels", mask, side)
		}
	}
	box := image.Rect(x, y, x+w, y+h)
	return func(x, y int) bool { return image.Pt(x, y).In(box) }, nil
}
