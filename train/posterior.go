package train

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// posteriorImages is the number of training images from whose latents posterior computes the statistics of G.
const posteriorImages = 10_000

// posterior returns the model for images that G makes from latents of q. In it, G has the batch-norm statistics of m̃ ~ q(m|x) for
// training images x. The ELBO of ERM trains G with such statistics, and those of the prior's latents differ from them:
// docs/results/fig9.md has the errors of G(q(x)) with both.
//
// A q of [TrainInference] learns over a finished G with the prior's statistics, and the G of an imported run has the statistics of
// its file. There, posterior returns m itself. The first call computes the statistics, and keeps this G in the run's folder if it can
// write there. If the training images cannot be opened, G keeps the statistics of the prior, and m.NoPosterior says why.
func (m *Model) posterior(ctx context.Context) (*Model, error) {
	if !m.HasPosterior() {
		return m, nil
	}
	if m.posteriorG == nil {
		if err := m.openPosterior(ctx); err != nil || m.posteriorG == nil {
			return m, err
		}
	}
	of := *m
	of.G = m.posteriorG
	return &of, nil
}

// HasPosterior reports whether the model has a q that the ELBO trained together with G, so that G has other batch-norm statistics for
// latents of q. It is false if the training images were needed for them and could not be opened.
func (m *Model) HasPosterior() bool {
	return m.Q != nil && m.Config.Target == ERM && m.QSHA256 == "" && m.Step > 0 && m.NoPosterior == nil
}

// openPosterior reads or makes m.posteriorG.
func (m *Model) openPosterior(ctx context.Context) error {
	kept := ""
	if m.Folder != "" {
		run, err := openRun(m.Folder)
		if err != nil {
			return err
		}
		kept = run.Path(posteriorFile(m.Step, m.average))
	}
	g, err := models.NewGenerator(m.Config.Generator, m.Config.Data.Range, 0)
	if err != nil {
		return err
	}
	err = torch.Do(func() error {
		nn.To(g, m.Device, torch.Float32)
		nn.Freeze(g)
		nn.Copy(g, m.G)
		return nil
	})
	if err == nil && !m.readGenerator(g, kept) {
		if err = m.normalize(ctx, g); err == nil && m.NoPosterior == nil && kept != "" {
			_ = m.keepGenerator(g, kept) // the folder may be read-only
		}
	}
	if err != nil || m.NoPosterior != nil {
		nn.Close(g)
		return err
	}
	m.posteriorG = g
	return nil
}

// normalize gives g the batch-norm statistics of m̃ ~ q(m|x) for training images.
func (m *Model) normalize(ctx context.Context, g *models.Generator) error {
	images, err := m.Config.Open(data.Train)
	if err != nil {
		m.NoPosterior = fmt.Errorf("open the training images: %w", err)
		return nil
	}
	defer images.Close()
	var latents []float32
	err = m.each(ctx, images.Head(posteriorImages), pass{m.Config.Seed, "posterior", nil}, func(x torch.Tensor, rng *torch.RNG) error {
		latents = append(latents, torch.ToSlice[float32](m.draw(x, rng))...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("batch-norm statistics of G for latents of q: %w", err)
	}
	// All batches are of one size, since each counts as much as another. Images that fill no batch are left out.
	d := m.Config.Generator.LatentDim
	batch := min(m.Config.samplesAtOnce(), len(latents)/d)
	return torch.Do(func() error {
		torch.NoGrad(func() {
			g.Recalibrate(len(latents)/d/batch, func(i int) torch.Tensor {
				return torch.FromSlice(latents[i*batch*d:(i+1)*batch*d], batch, d)
			})
		})
		return nil
	})
}
