package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/train"
)

func reconstructCommand() *cli.Command {
	return &cli.Command{
		Name:  "reconstruct",
		Usage: "pass images through q and G: G(q(x)), its MSE, PSNR and SSIM (Table 11)",
		Description: `Needs q: of a run with target=erm, or of liebm train-q. With --l the latents then take Langevin steps
on log p(m) + log p(x|m), as in the table's "Inf+L=10". The grid has the images above their
reconstructions. mse is of pixels in the training range, mse_unit of pixels in [0,1].

	liebm reconstruct --run runs/erm --out reconstructions
	liebm reconstruct --run runs/em --q runs/q --n 1000 --l 10 --out reconstructions --json`,
		Flags: useFlags(1000, qFlag(), imagesFlag(),
			&cli.IntFlag{Name: "l", Usage: "Langevin steps on the latents after q; 10 in Table 11"},
			&cli.Float64Flag{Name: "delta2", Usage: "δ² of those steps (default: 10·tau2/(h·w·c))"}),
		Action: reconstruct,
	}
}

func reconstruct(c *cli.Context) error {
	u, err := startUse(c, "reconstruction")
	if err != nil {
		return err
	}
	defer u.m.Close()
	set, err := u.images(c.Int("n"), false)
	if err != nil {
		return err
	}
	p := newProgress("reconstructing")
	r, err := u.m.Reconstruct(c.Context, set, train.ReconstructOptions{Seed: c.Uint64("seed"), L: c.Int("l"), Delta2: c.Float64("delta2"),
		Watch: func(done int) { p.count(done, set.N) }})
	if err != nil {
		return err
	}
	v := u.record.Values
	v["mse"], v["mse_unit"] = r.MSE, r.MSEUnit
	if err := u.compare("", r.Images, set); err != nil {
		return err
	}
	u.record.Settings["l"], u.record.Settings["range"] = fmt.Sprint(c.Int("l")), fmt.Sprint(u.m.Config.Data.Range)
	u.showHeads(set, r.Images)
	return u.finish(r.Images, nil, func() {
		fmt.Printf("MSE %.4f (training range), %.4f ([0,1])  PSNR %.2f dB  SSIM %.3f  n %d; %s\n", r.MSE, r.MSEUnit, v["psnr"], v["ssim"], set.N, c.String("out"))
	})
}
