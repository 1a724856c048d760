package nn

import (
	"reflect"

	"github.com/liebm/liebm/torch"
)

// Synchronize makes every batch norm of a module use the statistics of the batches of all processes of g
// together, in the modes Train and BatchStats. All batches must have the same size. Gradients are exact:
// they pass through the statistics to the images of all processes.
func Synchronize(module any, g *torch.Group) {
	layers(reflect.ValueOf(module), "", func(b *BatchNorm, _ string) { b.group = g })
}

// together is Forward with the statistics of all processes. One sum over the processes collects their means
// and variances, a row for each process. The variance of the whole is the mean of the variances plus the
// variance of the means (Chan et al. 1979), which avoids cancellation.
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

// move updates the running statistics with a batch's.
func (b *BatchNorm) move(mean, variance torch.Tensor) {
	running := []torch.Tensor{b.RunningMean, b.RunningVar}
	torch.ForeachMul(running, 1-b.Momentum)
	torch.ForeachAdd(running, []torch.Tensor{mean.Detach(), variance.Detach()}, b.Momentum)
}
