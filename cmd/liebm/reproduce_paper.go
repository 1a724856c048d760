package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// paperGamma is the γ of Eq. 15 (Table 12).
func paperGamma(data string) float64 {
	if data == "celebahq256" {
		return 1
	}
	return 0.1
}

// paperOutliers are the sets of Tables 6, 7 and 9.
func paperOutliers(data string) []string {
	if data == "imagenet32" {
		return []string{"svhn", "constant", "fmnist", "celeba"}
	}
	return []string{"svhn", "constant", "cifar100", "celeba"}
}

// paperSamples gives a run the paper's figures: FID against the training split, IS, NFE and seconds
// per sample, with the chain and without, and AUROC where the paper has it.
func paperSamples(g grid, c cell, seed uint64, values map[string]float64) error {
	m, err := g.open(c, seed)
	if err != nil {
		return err
	}
	defer m.Close()
	net, err := eval.OpenInception(g.c.String("weights"), eval.PyTorch, m.G.In.Weight.Device())
	if err != nil {
		return err
	}
	defer net.Close()
	reference, err := g.reference(net, m.Config)
	if err != nil {
		return err
	}
	for suffix, noMCMC := range map[string]bool{"": false, "_no_mcmc": true} {
		if err := g.generation(m, net, reference, noMCMC, suffix, values); err != nil {
			return err
		}
	}
	if m.Config.Data.Size != 32 {
		return nil
	}
	return g.detection(m, values)
}

// reference is the statistics of the training split, kept beside the cells.
func (g grid) reference(net *eval.Inception, cfg train.Config) (*eval.Stats, error) {
	path := filepath.Join(g.out, g.data, "reference-"+net.SHA256[:12]+".npz")
	stats, _, err := eval.ReadStats(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return stats, err
	}
	set, err := cfg.Open(data.Train)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	p := newProgress("statistics of " + set.Name)
	stats, input, err := eval.MeasureImages(g.c.Context, net, eval.FromSet(set), func(done int) { p.count(done, set.N) })
	if err != nil {
		return nil, err
	}
	return stats, eval.WriteStats(path, stats, input)
}

// generation draws samples and measures them.
func (g grid) generation(m *train.Model, net *eval.Inception, reference *eval.Stats, noMCMC bool, suffix string, values map[string]float64) error {
	p, start := newProgress("sampling"+suffix), time.Now()
	set, err := m.Sample(g.c.Context, g.scale.samples, train.SampleOptions{NoMCMC: noMCMC, Watch: func(done int) { p.count(done, g.scale.samples) }})
	if err != nil {
		return err
	}
	values["seconds"+suffix] = time.Since(start).Seconds() / float64(set.N)
	values["nfe"+suffix] = float64(m.NFE(train.SampleOptions{NoMCMC: noMCMC}))
	images := eval.FromSet(set)
	stats, _, err := eval.MeasureImages(g.c.Context, net, images, nil)
	if err != nil {
		return err
	}
	if values["fid"+suffix], err = eval.Frechet(stats, reference); err != nil {
		return err
	}
	values["is"+suffix], values["is_std"+suffix], _, err = eval.InceptionScore(g.c.Context, net, images, eval.ISOptions{}, nil)
	return err
}

// detection is AUROC against the paper's sets. One that is not on this machine is named and left out.
func (g grid) detection(m *train.Model, values map[string]float64) error {
	cfg := m.Config
	test, err := cfg.OpenHeldOut()
	if err != nil {
		return err
	}
	defer test.Close()
	gamma := paperGamma(g.data)
	in, err := scoresByName(g.c, m, test, gamma)
	if err != nil {
		return err
	}
	for _, name := range paperOutliers(g.data) {
		set, err := g.openOutliers(name, cfg, test)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "warning: AUROC against %s is left out: %v\n", name, err)
			continue
		}
		if err != nil {
			return err
		}
		out, err := scoresByName(g.c, m, set, gamma)
		if err != nil {
			return errors.Join(err, set.Close())
		}
		for prefix := range in {
			if values[prefix+name], err = eval.AUROC(in[prefix], out[prefix]); err != nil {
				return err
			}
		}
		if err := set.Close(); err != nil {
			return err
		}
	}
	return nil
}

// openOutliers opens the test split of a set in the model's shape; constant images are made.
func (g grid) openOutliers(name string, cfg train.Config, test *data.Set) (*data.Set, error) {
	if name == "constant" {
		return data.Constant(test.Shape, data.OutlierOptions{})
	}
	return data.Open(name, data.Options{Split: data.Test, Size: cfg.Data.Size, Scale: true, RGB: cfg.Energy.Channels == 3})
}

// scoresByName are s(x) of Eq. 15 and its terms, under the prefixes of their areas.
func scoresByName(c *cli.Context, m *train.Model, set *data.Set, gamma float64) (map[string][]float64, error) {
	joint, energy, cosine, err := m.Scores(c.Context, set, gamma)
	return map[string][]float64{"auroc/": joint, "auroc_energy/": energy, "auroc_cosine/": cosine}, err
}
