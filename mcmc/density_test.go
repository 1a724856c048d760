package mcmc_test

import (
	"testing"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// A linear generator x = W·m has a Gaussian posterior: its mean is where the gradient of the energy
// vanishes, and the chain must end there.
func TestPosteriorOfALinearGenerator(t *testing.T) {
	torchtest.Scope(t, func() {
		w := torch.FromSlice([]float64{2, 0, 0, 1}, 2, 2)
		generate := func(m torch.Tensor) torch.Tensor { return m.Matmul(w).Reshape(-1, 1, 1, 2) }
		x := torch.FromSlice([]float64{3, -1, 0.5, 2}, 2, 1, 1, 2)
		l := mcmc.Langevin{Steps: 400, Delta2: 0.1}
		m := l.Run(mcmc.LatentEnergy(generate, x, 0.5), torch.Zeros([]int{2, 2}, torch.Float64), nil)
		// W(WᵀW + τ²I)⁻¹ per coordinate: 2/(4+½) and 1/(1+½).
		want := torch.FromSlice([]float64{3 * 2 / 4.5, -1 / 1.5, 0.5 * 2 / 4.5, 2 / 1.5}, 2, 2)
		torchtest.InDelta(t, want, m, 1e-9)
	})
}
