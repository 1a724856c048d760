package train

import (
	"context"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Scores returns s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of every image of set (Eq. 15), and its two terms.
// Inliers score high. Without a latent term the cosine is 0. The images must have the training size.
func (m *Model) Scores(ctx context.Context, set *data.Set, gamma float64) (joint, energy, cosine []float64, err error) {
	err = torch.Do(func() error {
		bound := m.E.Frozen(torch.Float32)
		return m.each(ctx, set, pass{}, func(x torch.Tensor, _ *torch.RNG) error {
			torch.NoGrad(func() {
				f := bound.Features(x)
				energy = append(energy, bound.Score(f).Float64s()...)
				z := torch.Tensor{}
				if m.E.Head1 != nil {
					z = m.H.Latent(x)
				}
				cosine = append(cosine, bound.Cosine(f, z).Float64s()...)
			})
			return nil
		})
	})
	for i := range energy {
		joint = append(joint, energy[i]+gamma*cosine[i])
	}
	return joint, energy, cosine, err
}
