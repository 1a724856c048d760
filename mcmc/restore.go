package mcmc

import "github.com/liebm/liebm/torch"

// Restoration is the two energies by which an image is restored from A⁺y, its degraded version (Sec.
// 4.4). The restored image is G(m) + Y.
type Restoration struct {
	A        Operator
	Estimate torch.Tensor // x̂ = A⁺y, [n,c,h,w]
	Variance float64      // of the Gaussian p(A⁺y | A⁺A x), per pixel

	Energy   Energy                            // E(x, h(x)) of images
	Generate func(m torch.Tensor) torch.Tensor // G
}

// Image is Eq. 17 in x = G(m) + Y, whose gradient in Y with G(m) fixed is that in x:
// E(x, h(x)) + log p(A⁺y | A⁺A x). x: [n,c,h,w] → [n].
func (r Restoration) Image(x torch.Tensor) torch.Tensor {
	return r.Energy(x).Add(LogNormal(r.Estimate, Project(r.A, x), r.Variance))
}

// Latent is Eq. 16: E(G(m), h(G(m))) + log p(m) + log p(A⁺y | A⁺A G(m)). m: [n,d] → [n].
func (r Restoration) Latent(m torch.Tensor) torch.Tensor {
	return r.Image(r.Generate(m)).Add(LogPrior(m))
}
