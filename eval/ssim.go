package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Window is the window of SSIM's local statistics.
type Window string

// The two windows of published results. The zero value is Gauss.
const (
	// Gauss is the window of Wang et al. 2004: Gaussian, σ = 1.5, 11×11, population covariance; scikit-image with
	// gaussian_weights=True, use_sample_covariance=False.
	Gauss Window = "gauss"
	// Box is scikit-image's default: 7×7, equal weights, sample covariance.
	Box Window = "box"
)

func (w Window) String() string {
	if w == Box {
		return "box 7×7, sample covariance"
	}
	return "Gaussian σ 1.5, 11×11, population covariance"
}

// kernel returns the weights along one direction, and the factor between population covariance and the window's.
func (w Window) kernel() (weights []float64, correct float64, err error) {
	switch w {
	case Box:
		return slices.Repeat([]float64{1. / 7}, 7), 49. / 48, nil
	case Gauss, "":
		sum := 0.0
		for i := -5; i <= 5; i++ {
			v := math.Exp(-float64(i*i) / (2 * 1.5 * 1.5))
			weights = append(weights, v)
			sum += v
		}
		for i := range weights {
			weights[i] /= sum
		}
		return weights, 1, nil
	}
	return nil, 0, fmt.Errorf("SSIM window %q: use %q or %q", string(w), string(Gauss), string(Box))
}

// SSIM is the structural similarity of every pair of images (Wang et al. 2004) with K₁ = 0.01, K₂ = 0.03 and pixels in
// [0,1] (data range 1): the mean over all channels and all windows inside the image. The sets must have the same shape,
// at least that of the window.
func SSIM(ctx context.Context, a, b *data.Set, w Window) ([]float64, error) {
	weights, correct, err := w.kernel()
	if err != nil {
		return nil, err
	}
	k := len(weights)
	if a.H < k || a.W < k {
		return nil, fmt.Errorf("SSIM of %d×%d images: the window (%v) needs at least %d×%d", a.H, a.W, w, k, k)
	}
	const c1, c2 = 0.01 * 0.01, 0.03 * 0.03
	var all []float64
	err = pairs(ctx, a, b, func(x, y torch.Tensor) {
		n, c := x.Size(0), x.Size(1)
		down, across := torch.FromSlice(weights, 1, 1, k, 1), torch.FromSlice(weights, 1, 1, 1, k)
		mean := func(t torch.Tensor) torch.Tensor {
			t = t.Reshape(n*c, 1, a.H, a.W)
			return t.Conv2d(down, torch.Tensor{}, torch.Conv2dOptions{}).Conv2d(across, torch.Tensor{}, torch.Conv2dOptions{})
		}
		mx, my := mean(x), mean(y)
		vx := mean(x.Square()).Sub(mx.Square()).MulScalar(correct)
		vy := mean(y.Square()).Sub(my.Square()).MulScalar(correct)
		cov := mean(x.Mul(y)).Sub(mx.Mul(my)).MulScalar(correct)
		up := mx.Mul(my).MulScalar(2).AddScalar(c1).Mul(cov.MulScalar(2).AddScalar(c2))
		low := mx.Square().Add(my.Square()).AddScalar(c1).Mul(vx.Add(vy).AddScalar(c2))
		all = append(all, up.Div(low).Reshape(n, -1).MeanDim(1).Float64s()...)
	})
	return all, err
}
