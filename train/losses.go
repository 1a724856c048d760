package train

import (
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
)

// EnergyLoss is L_E = mean E(x^T) − mean E(x,z). Gradient descent on L_E is the gradient ascent of
// Eq. 4. Lines 15 and 16 of Algorithm 1 print the opposite sign. fake, joint: [n].
func EnergyLoss(fake, joint torch.Tensor) torch.Tensor { return fake.Mean().Sub(joint.Mean()) }

// Margined is max(E(x^T), E(x) − c) for pairs of a negative sample and an image of data, without a gradient in E(x). L_E takes it
// in place of E(x^T). A negative sample that is more than c below its image then has no gradient. Without this limit, a single
// sample can have the largest gradient of a batch. E then grows a thousandfold in a few steps. The limit is not in the paper.
// fake, real: [n] → [n].
func Margined(fake, real torch.Tensor, c float64) torch.Tensor {
	return fake.Maximum(real.Detach().AddScalar(-c))
}

// GeneratorLoss is −log p_g(x|m) = ‖x − G(m)‖²/(2τ²) without its constant, the mean over the batch. If x is x^T, the end of a chain that starts at G(m), it is the loss of Eq. 8.
// gm, x: [n,c,h,w].
func GeneratorLoss(gm, x torch.Tensor, tau2 float64) torch.Tensor {
	return mcmc.LogLikelihood(x, gm, tau2).Mean().Neg()
}

// ERMLoss is L_G = ω₁·(the loss of Eq. 8) + ω₂·(the loss of Eq. 14) (Eq. 11).
func ERMLoss(match, elbo torch.Tensor, omega1, omega2 float64) torch.Tensor {
	return match.MulScalar(omega1).AddScaled(elbo, omega2)
}

// JointLogLikelihood is log p_g(x,z|m) = log p_g(x|m) + ρ·cos(z, h(G(m))) without its constants, the mean
// over the batch (Eq. 13). gm: G(m), [n,c,h,w] as x; z and latent, h(G(m)): [n,d_z], not read if ρ is 0.
func JointLogLikelihood(x, gm, z, latent torch.Tensor, tau2, rho float64) torch.Tensor {
	return plusAlignment(mcmc.LogLikelihood(x, gm, tau2).Mean(), z, latent, rho)
}

// ELBOLoss is −E_q[log p_g(x,z|m)] + KL(q(m|x) ‖ N(0,I)), where the first term is a [JointLogLikelihood] at
// m ~ q(m|x) (Eq. 14; line 9 of Algorithm 1 prints the wrong sign). It is an upper bound of −log p_g(x,z),
// whose integral over m (Eq. 12) has no closed form. mean, logVar: of q, [n,d_m].
func ELBOLoss(likelihood, mean, logVar torch.Tensor) torch.Tensor {
	return KLLoss(mean, logVar).Sub(likelihood)
}

// LatentELBOLoss is −E_q[ρ·cos(z, h(G(m)))] + KL(q(m|x) ‖ N(0,I)), the mean over the batch: Eq. 26 with the
// logarithm that the paper leaves out. z, latent: [n,d_z]; mean, logVar: [n,d_m].
//
// Two cosines differ by at most 2. So at the optimum the KL term is below 2ρ nats. To name one of ten classes takes ln 10
// nats. With ρ = 1 the KL term is smaller than that, and q stays near N(0,I).
func LatentELBOLoss(z, latent, mean, logVar torch.Tensor, rho float64) torch.Tensor {
	return plusAlignment(KLLoss(mean, logVar), z, latent, -rho)
}

// plusAlignment adds ρ·cos(z, latent), the mean over the batch, to a scalar.
func plusAlignment(to, z, latent torch.Tensor, rho float64) torch.Tensor {
	if rho == 0 {
		return to
	}
	return to.AddScaled(latent.CosineSimilarity(z).Mean(), rho)
}

// KLLoss is KL(N(μ, σ²) ‖ N(0,I)) = ½Σ(μ² + σ² − 1 − log σ²), the mean over the batch.
// mean, logVar: [n,d].
func KLLoss(mean, logVar torch.Tensor) torch.Tensor {
	return mean.Square().Add(logVar.Exp()).Sub(logVar).AddScalar(-1).SumDim(1).Mean().MulScalar(0.5)
}

// Reparameterize is μ + σ·ε with ε ~ N(0, I), differentiable in μ and log σ². mean, logVar: [n,d] → [n,d].
func Reparameterize(mean, logVar, noise torch.Tensor) torch.Tensor {
	return mean.Add(logVar.MulScalar(0.5).Exp().Mul(noise))
}
