package train

import (
	"github.com/liebm/liebm/torch"
)

// WMSELoss is the loss of W-MSE (Ermolov et al. 2021). The outputs of each view are whitened in random sub-batches
// of size images, which are the same in both views. The loss is the mean squared distance between the two views
// of an image on the unit sphere. out: [2n,d], all first views, then all second views. size divides n and is
// larger than d.
func WMSELoss(out torch.Tensor, size int, rng *torch.RNG) torch.Tensor {
	n := out.Size(0) / 2
	return wmseLoss(out, size, rng.Perm(n).ToDevice(out.Device()))
}

func wmseLoss(out torch.Tensor, size int, perm torch.Tensor) torch.Tensor {
	return torch.Tidy(func() torch.Tensor {
		var white [2][]torch.Tensor
		for i, view := range out.Chunk(2, 0) {
			view = view.IndexSelect(0, perm)
			for start := 0; start < view.Size(0); start += size {
				white[i] = append(white[i], whiten(view.Narrow(0, start, size)))
			}
		}
		return normMSE(torch.Cat(white[0], 0), torch.Cat(white[1], 0))
	})
}

// whiten is L⁻¹(x − mean), where L is the Cholesky factor of x's covariance. The result has mean 0 and covariance
// I. x: [n,d] with n > d; otherwise there is no factor, and whiten panics with a *torch.Error.
func whiten(x torch.Tensor) torch.Tensor {
	inverse, mean := whitening(x)
	return x.Sub(mean).Matmul(inverse.T())
}

// whitening returns L⁻¹ and the mean of whiten: [d,d] and [1,d].
func whitening(x torch.Tensor) (inverse, mean torch.Tensor) {
	mean = x.MeanKeepDim(0)
	centred := x.Sub(mean)
	cov := centred.T().Matmul(centred).DivScalar(float64(x.Size(0) - 1))
	l := torch.Call("aten::linalg_cholesky", cov).Tensor(0)
	eye := torch.Eye(x.Size(1), x.DType()).ToDevice(x.Device())
	return torch.Call("aten::linalg_solve_triangular", l, eye, torch.Named{Name: "upper", Value: false}).Tensor(0), mean
}
