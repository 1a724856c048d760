package mcmc

import "github.com/liebm/liebm/torch"

// LogPrior is log p(m) of N(0, I) without its constant, −½‖m‖². m: [n,d] → [n].
func LogPrior(m torch.Tensor) torch.Tensor { return m.Square().SumDim(1).MulScalar(-0.5) }

// LogLikelihood is log p(x) of N(mean, variance·I) without its constant, −‖x − mean‖²/(2·variance). With the
// mean G(m) and the variance τ² it is log p_g(x|m) of Eq. 8. It is also the data term of Eq. 16 and 17.
// x, mean: [n,c,h,w] → [n].
func LogLikelihood(x, mean torch.Tensor, variance float64) torch.Tensor {
	return x.Sub(mean).Square().SumDim(1, 2, 3).MulScalar(-0.5 / variance)
}

// LatentEnergy returns log p(m) + log p_g(x|m), without its constants, as an energy of m for given
// images x. A chain on it samples the posterior of the generator's latents (Eq. 13 without z; the
// refinement of Table 11). x: [n,c,h,w].
func LatentEnergy(generate func(m torch.Tensor) torch.Tensor, x torch.Tensor, variance float64) Energy {
	return func(m torch.Tensor) torch.Tensor {
		return LogPrior(m).Add(LogLikelihood(x, generate(m), variance))
	}
}

// RestorationEnergies are the two energies that restore an image from A⁺y, its degraded version (Sec. 4.4).
// The restored image is G(m) + Y.
type RestorationEnergies struct {
	A        Operator
	Estimate torch.Tensor // x̂ = A⁺y, [n,c,h,w]
	Variance float64      // of the Gaussian p(A⁺y | A⁺A x), per pixel

	Energy   Energy                            // E(x, h(x)) of images
	Generate func(m torch.Tensor) torch.Tensor // G
}

// Image is the energy of Eq. 17, E(x, h(x)) + log p(A⁺y | A⁺A x), at x = G(m) + Y. Its gradient in Y for a
// fixed G(m) is its gradient in x. x: [n,c,h,w] → [n].
func (r RestorationEnergies) Image(x torch.Tensor) torch.Tensor {
	return r.Energy(x).Add(LogLikelihood(r.Estimate, Project(r.A, x), r.Variance))
}

// Latent is the energy of Eq. 16, E(G(m), h(G(m))) + log p(m) + log p(A⁺y | A⁺A G(m)). m: [n,d] → [n].
func (r RestorationEnergies) Latent(m torch.Tensor) torch.Tensor {
	return r.Image(r.Generate(m)).Add(LogPrior(m))
}
