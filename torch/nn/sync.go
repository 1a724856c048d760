package nn

import (
	"reflect"

	"github.com/liebm/liebm/torch"
)

// Synchronize makes every batch norm of a module normalise by the batches of all of g's processes as
// one, in the modes Train and BatchStats; their batches must have one size. Gradients are exact: they
// pass through the statistics to the images of all.
func Synchronize(module any, g *torch.Group) {
	layers(reflect.ValueOf(module), "", func(b *BatchNorm, _ string) { b.group = g })
}

// together is Forward over the batches of all processes. One sum carries the means and variances
// of each, every process filling its own row; they merge without cancellation (Chan et al. 1979):
// the whole's variance is the mean of variances plus the variance of means.
func (b *BatchNorm) together(x torch.Tensor, mode Mode) torch.Tensor {
	c, dims, broad := x.Size(1), []int{0, 2, 3}, []int{1, x.Size(1), 1, 1}
	if x.Dim() == 2 {
		dims, broad = []int{0}, []int{1, c}
	}
	v := torch.Call("aten::var_mean.dim", x, dims, false, false) // biased
	row := torch.Cat([]torch.Tensor{v.Tensor(1), v.Tensor(0)}, 0).Unsqueeze(0)
	rank, world := b.group.Rank(), b.group.World()
	all := b.group.Sum(row.Pad(0, 0, 0, rank, world-1-rank)) // [world, 2c]
	means, variances := all.Narrow(1, 0, c), all.Narrow(1, c, c)
	mean := means.MeanDim(0)
	variance := variances.MeanDim(0).Add(means.Sub(mean).Square().MeanDim(0))
	if mode == Train {
		n := float64(x.Numel() / c * world)
		torch.NoGrad(func() { b.move(mean, variance.MulScalar(n/(n-1))) })
	}
	scale := b.Weight.Mul(variance.AddScalar(1e-5).Rsqrt())
	shift := b.Bias.Sub(mean.Mul(scale))
	return x.Mul(scale.Reshape(broad...)).Add(shift.Reshape(broad...))
}

// move is the running statistics' step towards a batch's.
func (b *BatchNorm) move(mean, variance torch.Tensor) {
	running := []torch.Tensor{b.RunningMean, b.RunningVar}
	torch.ForeachMul(running, 1-b.Momentum)
	torch.ForeachAdd(running, []torch.Tensor{mean.Detach(), variance.Detach()}, b.Momentum)
}
