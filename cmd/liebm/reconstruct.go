package main

import (
	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

func reconstructCommand() *cli.Command {
	return &cli.Command{
		Name:  "reconstruct",
		Usage: "pass images through q and G: G(q(x)), its MSE, PSNR and SSIM (Table 11)",
		Description: `Needs the inference model q. A run with target=erm has one; for other runs liebm train-q makes one. With --l
the latents then take Langevin steps on log p(m) + log p(x|m), as in the table's "Inf+L=10". The grid shows
the images above their reconstructions. mse is the error of pixels in the training range, mse_unit that of
pixels in [0,1]. All errors leave out the padding of training.

	liebm reconstruct --run runs/erm --out reconstructions
	liebm reconstruct --run runs/em --q runs/q --n 1000 --l 10 --out reconstructions --json`,
		Flags: outputFlags(1000, imagesFlag(), skipFlag(),
			countFlag("l", 0, 0, "Langevin steps on the latents after q; 10 in Table 11"),
			numberFlag("delta2", 0, 0, "δ² of those steps (default: 10·tau2/(h·w·c))")),
		Action: withOutput(reconstruct),
	}
}

func reconstruct(c *cli.Context, o *output) error {
	set, err := o.read(o.n, false)
	if err != nil {
		return err
	}
	out, r, err := study.AssessReconstruction(c.Context, o.model, set, train.ReconstructOptions{Seed: o.seed, L: c.Int("l"), Delta2: c.Float64("delta2")}, o.setup)
	if err != nil {
		return err
	}
	o.record, o.images = r, out.Images
	o.show("images", set)
	o.show("G(m)", out.Images)
	v := r.Values
	return o.write("MSE %.4f (training range), %.4f ([0,1])  PSNR %.2f dB  SSIM %.3f  n %d; %s\n", v["mse"], v["mse_unit"], v["psnr"], v["ssim"], set.N, o.folder)
}
