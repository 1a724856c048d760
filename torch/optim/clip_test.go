package optim

import (
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestClipLimitsTheNormOfTheWholeGradient(t *testing.T) {
	torchtest.Scope(t, func() {
		p := []torch.Tensor{torch.Zeros([]int{2}, torch.Float64), torch.Zeros([]int{1}, torch.Float64)}
		for limit, want := range map[float64][]float64{1: {0.6, 0, 0.8}, 10: {3, 0, 4}} { // its norm is 5
			g := []torch.Tensor{torch.FromSlice([]float64{3, 0}), torch.FromSlice([]float64{4})}
			clip(g, limit)
			torchtest.InDelta(t, torch.FromSlice(want), torch.Cat(g, 0), 1e-6) // PyTorch adds 1e-6 to the norm too
		}
		a := NewAdam(p, AdamOptions{Beta1: 0.5, Beta2: 0.5, Eps: 1e-8, Clip: 1})
		a.Apply([]torch.Tensor{torch.FromSlice([]float64{3, 0}), torch.FromSlice([]float64{4})}, 0.1)
		a.Close()
		torchtest.InDelta(t, torch.FromSlice([]float64{-0.1, 0, -0.1}), torch.Cat(p, 0), 1e-6)
	})
}
