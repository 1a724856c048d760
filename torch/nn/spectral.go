package nn

import (
	"reflect"

	"github.com/liebm/liebm/torch"
)

// Spectral is the state of torch.nn.utils.spectral_norm for one weight W, seen as a matrix
// [out, rest]: the estimates u and v of its first singular vectors. Without spectral norm it is
// empty.
type Spectral struct {
	WeightU torch.Tensor `nn:"carried"` // [out]
	WeightV torch.Tensor `nn:"carried"` // [rest]
}

func newSpectral(out, rest int) Spectral {
	vector := func(n int) torch.Tensor { return keep(torch.Zeros([]int{n}, torch.Float32), false) }
	return Spectral{WeightU: vector(out), WeightV: vector(rest)}
}

// apply returns W/σ with σ = uᵀWv. The gradient passes through σ but not through u and v, as in Miyato et al.
// 2018 and PyTorch.
func (s Spectral) apply(w torch.Tensor) torch.Tensor {
	if !s.WeightU.Defined() {
		return w
	}
	sigma := s.WeightU.Mul(w.Flatten(1).Matmul(s.WeightV)).Sum()
	return w.Div(sigma)
}

// iterate sets v ← Wᵀu/‖·‖, u ← Wv/‖·‖.
func (s Spectral) iterate(w torch.Tensor) {
	if !s.WeightU.Defined() {
		return
	}
	torch.Tidy(func() torch.Tensor {
		torch.NoGrad(func() {
			m := w.Flatten(1)
			s.WeightV.CopyFrom(unit(m.T().Matmul(s.WeightU)))
			s.WeightU.CopyFrom(unit(m.Matmul(s.WeightV)))
		})
		return torch.Tensor{}
	})
}

// start draws u and makes fifteen power iterations, as PyTorch does.
func (s Spectral) start(w torch.Tensor, rng *torch.RNG) {
	if !s.WeightU.Defined() {
		return
	}
	s.WeightU.NormalInPlace(1, rng)
	s.WeightU.CopyFrom(unit(s.WeightU))
	for range 15 {
		s.iterate(w)
	}
}

func unit(v torch.Tensor) torch.Tensor { return v.Unsqueeze(0).Normalize().Squeeze(0) }

// PowerIterate improves the estimate of every spectral norm of a module by one power iteration.
func PowerIterate(module any) {
	layers(reflect.ValueOf(module), "", func(w weighted, _ string) { w.PowerIterate() })
}

// weighted is a layer with a Weighted in it.
type weighted interface {
	initialiser
	PowerIterate()
}
