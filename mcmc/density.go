package mcmc

import "github.com/liebm/liebm/torch"

// LogPrior is log p(m) of N(0, I) without its constant, −½‖m‖². m: [n,d] → [n].
func LogPrior(m torch.Tensor) torch.Tensor { return m.Square().SumDim(1).MulScalar(-0.5) }

// LogNormal is log N(x; mean, variance·I) without its constant, −‖x − mean‖²/(2·variance): of images
// log p_g(x|m) with mean G(m) and variance τ² (Eq. 8), and the data term of Eq. 16 and 17.
// x, mean: [n,c,h,w] → [n].
func LogNormal(x, mean torch.Tensor, variance float64) torch.Tensor {
	return x.Sub(mean).Square().SumDim(1, 2, 3).MulScalar(-0.5 / variance)
}

// Posterior is log p(m) + log p_g(x|m) without its constants, the energy of the generator's latents
// behind images x: [n,c,h,w] (Eq. 13 without z; the Langevin refinement of Table 11).
func Posterior(generate func(m torch.Tensor) torch.Tensor, x torch.Tensor, variance float64) Energy {
	return func(m torch.Tensor) torch.Tensor {
		return LogPrior(m).Add(LogNormal(x, generate(m), variance))
	}
}
