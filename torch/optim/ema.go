package optim

import (
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// EMADecay is the decay at step t, counted from 0: min(decay, (1+t)/(10+t)). The smaller decay of early steps
// removes the random weights at the start from the average.
func EMADecay(decay float64, t int) float64 {
	return min(decay, float64(1+t)/float64(10+t))
}

// UpdateEMA moves average, a module with the same fields as live, towards live: avg ← d·avg + (1−d)·live.
// Running statistics of batch norm are averaged like parameters. The vectors of spectral norm are copied,
// because an average of singular vectors is not a singular vector.
func UpdateEMA(average, live any, d float64) {
	from := nn.State(live)
	torch.NoGrad(func() {
		for i, l := range nn.State(average) {
			if l.Carried {
				l.Tensor.CopyFrom(from[i].Tensor)
				continue
			}
			l.Tensor.LerpInPlace(from[i].Tensor, 1-d)
		}
	})
}
