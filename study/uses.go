package study

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// AssessReconstruction reconstructs images by q and G (Table 11). The values are mse (of pixels in the
// training range), mse_unit (of pixels in [0,1]), psnr and ssim, all without the padding of training. The errors are of the output of G,
// psnr and ssim of the pixels after rounding, as in files.
func AssessReconstruction(ctx context.Context, m *train.Model, set *data.Set, o train.ReconstructOptions, s Setup) (*train.Reconstruction, *eval.Record, error) {
	o.Watch = s.watch("reconstructing", set.N)
	out, err := m.Reconstruct(ctx, set, o)
	if err != nil {
		return nil, nil, err
	}
	r := s.use("reconstruction", m, set, o.Seed)
	r.Settings["l"], r.Settings["range"] = fmt.Sprint(o.L), fmt.Sprint(m.Config.Data.Range)
	r.Values["mse"], r.Values["mse_unit"] = out.MSE, out.MSEUnit
	WarnOfStatistics(r, m)
	return out, r, compare(ctx, r, m.Config, "", out.Images, set)
}

// reconstruct measures the reconstruction of images that are held out by G(μ(x)). For the q of ERM it also records mse_prior_stats:
// the mse if G has the batch-norm statistics of the prior's latents, as for samples, in place of those of q's latents.
func reconstruct(ctx context.Context, m *train.Model, unseen *data.Set, s Setup) (*eval.Record, error) {
	_, r, err := AssessReconstruction(ctx, m, unseen, train.ReconstructOptions{}, s)
	if err != nil || !m.HasPosterior() {
		return r, err
	}
	out, err := m.Reconstruct(ctx, unseen, train.ReconstructOptions{Prior: true, Watch: s.watch("reconstructing, statistics of the prior", unseen.N)})
	if err != nil {
		return nil, err
	}
	r.Values["mse_prior_stats"] = out.MSE
	return r, nil
}

// WarnOfStatistics warns if images were made from latents of ERM's q with the batch-norm statistics of the prior's latents.
func WarnOfStatistics(r *eval.Record, m *train.Model) {
	if m.NoPosterior != nil {
		r.Warn(fmt.Sprintf("G has the batch-norm statistics of the prior's latents, not those of q's, so its images are further from the originals: %v", m.NoPosterior))
	}
}

// AssessInference measures how well G(m) keeps the semantics of x, for m from q(m|x) (Eq. 26). Pixels do not show this, since q
// learns to keep h(x) and not x. For the mean of q(m|x) the values are cosine, the mean of cos(h(x), h(G(m))), and for
// Fashion-MNIST class_agreement, the share of images x that the classifier puts into the class of G(m). The values for samples
// m̃ ~ q(m|x) end in _sampled.
func AssessInference(ctx context.Context, m *train.Model, set *data.Set, seed uint64, s Setup) (*eval.Record, error) {
	if m.H == nil {
		return nil, errors.New("the run has no encoder h, which is needed to compare latents: use a run with one")
	}
	r := s.use("inference", m, set, seed)
	for _, sample := range []bool{false, true} {
		suffix := ""
		if sample {
			suffix = "_sampled"
		}
		drawn, err := m.Reconstruct(ctx, set, train.ReconstructOptions{Seed: seed, Sample: sample})
		if err != nil {
			return nil, err
		}
		if r.Values["cosine"+suffix], err = meanCosine(ctx, latents(m), set, drawn.Images); err != nil {
			return nil, err
		}
		if !Classified(m.Config.Data.Name) {
			continue
		}
		if r.Values["class_agreement"+suffix], err = classAgreement(ctx, set, drawn.Images); err != nil {
			return nil, err
		}
	}
	WarnOfStatistics(r, m)
	return r, nil
}

// meanCosine is the mean over images of the cosine between the features of a and b.
func meanCosine(ctx context.Context, f eval.Features, a, b *data.Set) (cosine float64, err error) {
	var both []torch.Tensor
	for _, set := range []*data.Set{a, b} {
		e, _, err := eval.Embed(ctx, f, eval.FromSet(set), nil)
		if err != nil {
			return 0, err
		}
		defer e.Close()
		both = append(both, e.X)
	}
	err = torch.Do(func() error {
		cosine = both[0].CosineSimilarity(both[1]).Mean().Item()
		return nil
	})
	return cosine, err
}

// classAgreement is the share of images that the classifier of Fashion-MNIST puts into the same class in a and b.
func classAgreement(ctx context.Context, a, b *data.Set) (float64, error) {
	net, err := eval.FashionFeatures()
	if err != nil {
		return 0, err
	}
	defer net.Close()
	before, err := net.Classify(ctx, a)
	if err != nil {
		return 0, err
	}
	after, err := net.Classify(ctx, b)
	return eval.Labelled{Labels: before}.Accuracy(after), err
}

// use begins a record of a use of m with the images of set.
func (s Setup) use(name string, m *train.Model, set *data.Set, seed uint64) *eval.Record {
	r := s.record(name, m, seed)
	if m.QSHA256 != "" {
		r.Settings["q_sha256"] = m.QSHA256
	}
	r.Of(inputOf(set))
	return r
}

// compare adds psnr and ssim of images against the originals to the record: the means over images, without
// the padding of training. Their names end in suffix.
func compare(ctx context.Context, r *eval.Record, cfg train.Config, suffix string, images, originals *data.Set) error {
	images, err := cfg.Crop(images)
	if err != nil {
		return err
	}
	if originals, err = cfg.Crop(originals); err != nil {
		return err
	}
	psnr, _, err := eval.PSNR(ctx, images, originals)
	if err != nil {
		return err
	}
	r.Values["psnr"+suffix] = stat.Mean(psnr, nil)
	if images.H < 11 || images.W < 11 {
		if suffix == "" || len(r.Warnings) == 0 {
			r.Warn(fmt.Sprintf("no SSIM: its window needs 11×11 pixels, the images have %d×%d", images.H, images.W))
		}
		return nil
	}
	ssim, err := eval.SSIM(ctx, images, originals, eval.Gauss)
	r.Values["ssim"+suffix] = stat.Mean(ssim, nil)
	return err
}

// Tasks are the degradations of Table 8 and their operators, by the names that [Task] reads.
const (
	Colorize = "colorize" // colour from gray
	SR4      = "sr4"      // 4 times as many pixels each way
	SR8      = "sr8"
	Inpaint  = "inpaint"
)

// Task returns the operator of a task for images of cfg's data. Inpaint fills in the pixels at which hole
// is true; its coordinates are those of images without the padding of training. Other tasks need no hole.
func Task(name string, cfg train.Config, hole func(x, y int) bool) (mcmc.Operator, error) {
	switch name {
	case Colorize:
		return mcmc.Colorization{}, mcmc.Colorization{}.Check(cfg.Energy.Channels, cfg.Data.Size, cfg.Data.Size)
	case SR4:
		return mcmc.SuperResolution{Factor: 4}, nil
	case SR8:
		return mcmc.SuperResolution{Factor: 8}, nil
	case Inpaint:
		size, side := cfg.Data.Size, cfg.ImageSize()
		p := mcmc.Inpainting{Height: size, Width: size, Known: make([]bool, size*size)}
		pad := (size - side) / 2
		for i := range p.Known {
			x, y := i%size-pad, i/size-pad
			p.Known[i] = x < 0 || y < 0 || x >= side || y >= side || !hole(x, y)
		}
		return p, p.Check(cfg.Energy.Channels, size, size)
	}
	return nil, fmt.Errorf("there is no task %s: use %s, %s, %s or %s", name, Colorize, SR8, SR4, Inpaint)
}

// A Stage is one of the four states of a restoration that are measured.
type Stage struct {
	Name, Title string // in values, and in tables
	Images      func(r *train.Restoration) *data.Set
}

// Stages are the degraded images, followed by the three stages of Table 8.
var Stages = []Stage{
	{"degraded", "A⁺y", func(r *train.Restoration) *data.Set { return r.Degraded }},
	{"start", "G(m⁰)", func(r *train.Restoration) *data.Set { return r.Start }},
	{"refined", "G(m)", func(r *train.Restoration) *data.Set { return r.Refined }},
	{"restored", "G(m) + Y", func(r *train.Restoration) *data.Set { return r.Restored }},
}

// AssessRestoration degrades images by the operator of a task and restores them (Table 8). The values are
// psnr/TASK/STAGE and ssim/TASK/STAGE for each of [Stages], all without the padding of training. The
// settings of [train.RestoreDefaults] were chosen on the first held-out images: use the last to measure.
func AssessRestoration(ctx context.Context, m *train.Model, set *data.Set, task string, a mcmc.Operator, o train.RestoreOptions, s Setup) (*train.Restoration, *eval.Record, error) {
	o.Watch = s.watch("restoring, "+task, set.N)
	out, err := m.Restore(ctx, set, a, o)
	if err != nil {
		return nil, nil, err
	}
	r := s.use("restoration", m, set, o.Seed)
	for name, value := range map[string]any{"task": task, "variance": o.Variance, "m_steps": o.Latent.Steps, "m_delta2": o.Latent.Delta2,
		"y_steps": o.Image.Steps, "y_delta2": o.Image.Delta2, "sigma": o.Image.Sigma} {
		r.Settings[name] = fmt.Sprint(value)
	}
	for _, stage := range Stages {
		if err := compare(ctx, r, m.Config, "/"+task+"/"+stage.Name, stage.Images(out), set); err != nil {
			return nil, nil, err
		}
	}
	WarnOfStatistics(r, m)
	return out, r, nil
}
