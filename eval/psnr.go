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
	double := func(pixels []byte, s data.Shape) torch.Tensor {
		return torch.FromBytes(pixels, torch.Uint8, s.N, s.H, s.W, s.C).Permute(0, 3, 1, 2).To(torch.Float64).DivScalar(255)
	}
	return torch.Do(func() error {
		rest := b.Pixels()
		for _, batch := range a.Batches(max(1, 1<<22/a.ImageBytes())) { // 32 MB of float64 a tensor
			if err := ctx.Err(); err != nil {
				return err
			}
			left := batch.Pixels()
			right := rest[:len(left)]
			rest = rest[len(left):]
			torch.Tidy(func() torch.Tensor {
				f(double(left, batch.Shape), double(right, batch.Shape))
				return torch.Tensor{}
			})
		}
		return nil
	})
}
