package train

import (
	"context"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// Scores returns s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of every image of set (Eq. 15), and its two terms.
// Inliers score high. Without a latent term the cosine is 0. The images must have the training size. After
// [Model.Share] every process calls Scores with the same images, and gets the scores of all of them.
func (m *Model) Scores(ctx context.Context, set *data.Set, gamma float64) (joint, energy, cosine []float64, err error) {
	err = m.group.Agree(m.fits(set))
	if err == nil && m.group != nil { // alone, nobody needs the sum
		err = m.group.Alike([]string{"SHA-256 of the images=" + set.SHA256()})
	}
	if err != nil {
		return nil, nil, nil, err
	}
	shared := torch.Share(m.group, func(both []float64) {
		n := len(both) / 2
		energy, cosine = append(energy, both[:n]...), append(cosine, both[n:]...)
	})
	err = torch.Do(func() (err error) {
		bound, latent := m.E.Frozen(torch.Float32), m.latent()
		for _, batch := range set.Batches(m.Batch()) {
			if err = shared.Do(ctx, func() []float64 { return terms(bound, latent, m.read(batch)) }); err != nil {
				break
			}
		}
		return shared.End(err)
	})
	for i := range energy {
		joint = append(joint, energy[i]+gamma*cosine[i])
	}
	return joint, energy, cosine, err
}

// terms returns F(f(x)) of all images, then the cosine of all.
func terms(bound *models.Bound, latent func(x torch.Tensor) torch.Tensor, x torch.Tensor) (both []float64) {
	torch.NoGrad(func() {
		f, z := bound.Features(x), torch.Tensor{}
		if latent != nil {
			z = latent(x)
		}
		both = append(bound.Score(f).Float64s(), bound.Cosine(f, z).Float64s()...)
	})
	return both
}
