package eval

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// PSNR is the peak signal-to-noise ratio of every pair of images, 10·log₁₀(1/MSE) in dB with pixels in [0,1] (data range
// 1), and the MSE. It is +∞ for equal images. The mean PSNR differs from the PSNR of the mean MSE. The sets must have the
// same shape.
func PSNR(ctx context.Context, a, b *data.Set) (psnr, mse []float64, err error) {
	err = pairs(ctx, a, b, func(x, y torch.Tensor) {
		e := x.Sub(y).Square().MeanDim(1, 2, 3)
		mse = append(mse, e.Float64s()...)
		psnr = append(psnr, torch.Call("aten::log10", e).Tensor(0).MulScalar(-10).Float64s()...)
	})
	return psnr, mse, err
}

// pairs calls f for batches of both sets: float64 [n,c,h,w] in [0,1].
func pairs(ctx context.Context, a, b *data.Set, f func(x, y torch.Tensor)) error {
	if a.Shape != b.Shape {
		return fmt.Errorf("%s has %v images and %s %v: use sets of the same shape", a.Name, a.Shape, b.Name, b.Shape)
	}
	double := func(s *data.Set) torch.Tensor {
		return torch.FromBytes(s.Pixels(), torch.Uint8, s.N, s.H, s.W, s.C).Permute(0, 3, 1, 2).To(torch.Float64).DivScalar(255)
	}
	size := max(1, 1<<22/a.ImageBytes()) // 32 MB of float64 a tensor
	return torch.Do(func() error {
		return steps(ctx, (a.N+size-1)/size, nil, func(i int) {
			first, last := i*size, min((i+1)*size, a.N)
			f(double(a.Slice(first, last)), double(b.Slice(first, last)))
		})
	})
}
