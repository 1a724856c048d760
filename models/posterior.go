package models

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// Posterior is the form of log p(z|x) in E(x,z) = F(f(x)) + log p(z|x) (Eq. 5, Fig. 8). The empty string
// means Cosine.
type Posterior string

// The choices of Posterior. γ is the cosine's own weight, since Z_γ is constant. The other densities have EnergyConfig's
// PosteriorWeight w: training then maximises log p(x) + w·log p(z|x), and F stays log p(x) but for a constant.
const (
	Cosine   Posterior = "cosine"   // γ·cos(g(f), z) (Eq. 7)
	Gaussian Posterior = "gaussian" // log N(z; μ, σ²), of (μ, log σ²) = g(f)
	CEBM     Posterior = "cebm"     // exponential family with fixed variance, which also determines F (Sec. 3.1)
	NoLatent Posterior = "none"     // no latent term: a conventional energy-based model
)

// Validate returns an error that names the first invalid setting.
func (c EnergyConfig) Validate() error {
	if len(c.Widths) == 0 || len(c.Widths) != len(c.Downs) {
		return fmt.Errorf("energy.widths has %d entries and energy.downs %d: give one of each per block", len(c.Widths), len(c.Downs))
	}
	switch c.Posterior {
	case "", Cosine, Gaussian, NoLatent:
	case CEBM:
		if c.LinearF {
			return fmt.Errorf("energy.linear_f contradicts energy.posterior=cebm, whose F is B(λ+f) − B(λ): set energy.linear_f=false")
		}
	default:
		return fmt.Errorf("energy.posterior is %q: give cosine, gaussian, cebm or none", c.Posterior)
	}
	if c.Posterior != NoLatent && (c.HeadDim < 1 || c.LatentDim < 1) {
		return fmt.Errorf("energy.head_dim is %d and latent_dim %d: use widths above 0, such as 1024 and 64", c.HeadDim, c.LatentDim)
	}
	if !(c.PosteriorWeight >= 0) || math.IsInf(c.PosteriorWeight, 0) {
		return fmt.Errorf("energy.posterior_weight is %v: give a weight above 0, such as 0.1, or 0 for 1", c.PosteriorWeight)
	}
	if math.IsNaN(c.Gamma) || math.IsInf(c.Gamma, 0) || c.Gamma < 0 {
		return fmt.Errorf("energy.gamma is %v: give a weight of 0 or more, such as 0.01", c.Gamma)
	}
	return nil
}

// headWidth is the number of outputs of g.
func (c EnergyConfig) headWidth() int {
	if c.Posterior == Gaussian {
		return 2 * c.LatentDim // μ and log σ²
	}
	return c.LatentDim
}

// Joint is E(x,z) = F(f(x)) + log p(z|x) (Eq. 5). x: [n,c,h,w], z: [n,d_z] → [n].
func (b *Bound) Joint(x, z torch.Tensor) torch.Tensor {
	f := b.Features(x)
	return b.Score(f).Add(b.LogPosterior(f, z))
}

// Marginal is E(x) = F(f(x)), the logarithm of ∫exp(E(x,z))dz (Eq. 6): [n,c,h,w] → [n].
func (b *Bound) Marginal(x torch.Tensor) torch.Tensor { return b.Score(b.Features(x)) }

// Score is F(f) of features (Eq. 6): a linear map, the exponential family's F, or −½‖f‖².
// [n,feature_dim] → [n].
func (b *Bound) Score(f torch.Tensor) torch.Tensor {
	if b.f.w.Defined() {
		return b.f.Forward(f).Squeeze(1)
	}
	if b.posterior == CEBM {
		return cebmScore(b.Latent(f))
	}
	return f.Square().SumDim(1).MulScalar(-0.5)
}

// LogPosterior is log p(z|x) of features: γ·cos(g(f), z) without its constant (Eq. 7), or another
// [Posterior] times its weight. f: [n,feature_dim], z: [n,d_z] on the unit sphere → [n].
func (b *Bound) LogPosterior(f, z torch.Tensor) torch.Tensor {
	switch b.posterior {
	case Gaussian:
		mean, logVar := b.moments(f)
		return LogNormal(z, mean, logVar).MulScalar(b.weight)
	case CEBM:
		return cebmLogPosterior(b.Latent(f), z).MulScalar(b.weight)
	case NoLatent:
		return b.Cosine(f, z)
	}
	return b.Cosine(f, z).MulScalar(b.gamma)
}

// Cosine is cos(g(f), z): the term of Eq. 7 without γ, and the latent term of Eq. 15 for every posterior.
// It is 0 without a latent term. [n].
func (b *Bound) Cosine(f, z torch.Tensor) torch.Tensor {
	if b.posterior == NoLatent {
		return b.Score(f).Detach().ZerosLike()
	}
	return b.Latent(f).CosineSimilarity(z)
}

// Latent is the vector that [Bound.Cosine] compares with z. It has the direction of the posterior's mean;
// for the cosine posterior it is g(f). [n,feature_dim] → [n,d_z].
func (b *Bound) Latent(f torch.Tensor) torch.Tensor {
	if b.posterior == Gaussian {
		mean, _ := b.moments(f)
		return mean
	}
	return b.head2.Forward(b.head1.Forward(f).ReLU())
}

// moments are the Gaussian posterior's μ = u/‖u‖ and log σ² = tanh(v) for (u, v) = g(f). Both lie in
// [−1,1]; without these limits this form is sensitive to its variance (Sec. 4.5).
func (b *Bound) moments(f torch.Tensor) (mean, logVar torch.Tensor) {
	uv := b.head2.Forward(b.head1.Forward(f).ReLU()).Chunk(2, 1)
	return uv[0].Normalize(), uv[1].Tanh()
}

// LogNormal is log N(z; μ, σ²) with diagonal variance, summed over dimension 1. All: [n,d] → [n].
func LogNormal(z, mean, logVar torch.Tensor) torch.Tensor {
	square := z.Sub(mean).Square().Mul(logVar.Neg().Exp())
	return square.Add(logVar).AddScalar(math.Log(2 * math.Pi)).SumDim(1).MulScalar(-0.5)
}

// cebmLogPosterior is ⟨η(z), λ+g⟩ − B(λ+g) + log h₀ (Sec. 3.1, Wu et al. 2021), with λ = (0, −½),
// η(z) = (z, z²). g moves the first natural parameter only, so the variance stays 1 and the result is
// log N(z; g, I). g, z: [n,d] → [n].
func cebmLogPosterior(g, z torch.Tensor) torch.Tensor {
	constant := -0.5 * math.Log(2*math.Pi) * float64(z.Size(1))
	inner := z.Mul(g).Sub(z.Square().MulScalar(0.5))
	return inner.SumDim(1).Sub(cebmScore(g)).AddScalar(constant)
}

// cebmScore is F = B(λ+g) − B(λ) = ½‖g‖² (Sec. 3.1). With λ₂ = −½ fixed, −λ₁²/(4λ₂) = ½λ₁² and the
// logarithms cancel. g: [n,d] → [n].
func cebmScore(g torch.Tensor) torch.Tensor { return g.Square().SumDim(1).MulScalar(0.5) }
