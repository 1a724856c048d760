package main

import (
	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/train"
)

// measureReconstruction is the error of G(μ(x)) on unseen images (Table 11), for a run that has a q.
func measureReconstruction(g grid, c cell, seed uint64, values map[string]float64) error {
	return g.withQ(c, seed, func(m *train.Model, unseen *data.Set) error {
		p := newProgress("reconstructing")
		r, err := m.Reconstruct(g.c.Context, unseen, train.ReconstructOptions{Watch: func(done int) { p.count(done, unseen.N) }})
		if err != nil {
			return err
		}
		values["mse"], values["mse_unit"] = r.MSE, r.MSEUnit
		return nil
	})
}

// tasks are the degradations of Table 8 at a scale: gray images have no colours to restore.
func (sc scale) tasks() map[string]mcmc.Operator {
	if sc.name == "mini" {
		return map[string]mcmc.Operator{"4× SR": mcmc.SuperResolution{Factor: 4}, "8× SR": mcmc.SuperResolution{Factor: 8}}
	}
	return map[string]mcmc.Operator{"colorization": mcmc.Colorization{}, "8× SR": mcmc.SuperResolution{Factor: 8}}
}

// measureRestoration is PSNR and SSIM at the three stages of a restoration (Table 8), under psnr_m0,
// psnr_m and psnr_y and the task.
func measureRestoration(g grid, c cell, seed uint64, values map[string]float64) error {
	return g.withQ(c, seed, func(m *train.Model, unseen *data.Set) error {
		n := min(g.scale.restored, unseen.N)
		unseen = unseen.Subset(indices(unseen.N-n, n)) // the last ones: the defaults were chosen on the first
		for task, operator := range g.scale.tasks() {
			p, o := newProgress(task), train.RestoreDefaults(m.Config)
			o.Watch = func(done int) { p.count(done, unseen.N) }
			r, err := m.Restore(g.c.Context, unseen, operator, o)
			if err != nil {
				return err
			}
			for stage, images := range map[string]*data.Set{"m0": r.Start, "m": r.Refined, "y": r.Restored} {
				psnr, _, err := eval.PSNR(g.c.Context, images, unseen)
				if err != nil {
					return err
				}
				ssim, err := eval.SSIM(g.c.Context, images, unseen, eval.Gauss)
				if err != nil {
					return err
				}
				values["psnr_"+stage+"/"+task], values["ssim_"+stage+"/"+task] = mean(psnr), mean(ssim)
			}
		}
		return nil
	})
}

// withQ hands f a cell's model and the unseen images, if the model has a q.
func (g grid) withQ(c cell, seed uint64, f func(m *train.Model, unseen *data.Set) error) error {
	m, err := g.open(c, seed)
	if err != nil {
		return err
	}
	defer m.Close()
	if m.Q == nil {
		return nil
	}
	set, err := m.Config.OpenHeldOut()
	if err != nil {
		return err
	}
	defer set.Close()
	return f(m, set)
}

// measureProbes are the accuracies of f's and h's features (Fig. 7), under linear_f, knn5_h and so on.
func measureProbes(g grid, c cell, seed uint64, values map[string]float64) error {
	dir := g.dir(c, seed)
	cfg, err := train.ReadConfig(dir)
	if err != nil {
		return err
	}
	networks := []string{"f"}
	if cfg.NeedsEncoder() {
		networks = append(networks, "h")
	}
	for _, which := range networks {
		r := newRecord("probe")
		err := withFeatures(g.c, r, dir, which, func(embed embedder) error {
			return probeFeatures(g.c, r, embed, probing{epochs: 500})
		})
		if err != nil {
			return err
		}
		values["linear_"+which], values["knn5_"+which] = r.Values["linear"], r.Values["knn5"]
	}
	return nil
}
