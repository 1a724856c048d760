package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Features is a network whose features a Fréchet distance compares.
type Features interface {
	Name() string                             // of network and weights, to stand beside the number
	Dim() int                                 // of the features
	Forward(images torch.Tensor) torch.Tensor // [n,c,h,w] in [0,1] → [n,dim]
}

// Stats are the mean and the covariance (n−1) of the features of a set of images.
type Stats struct {
	Features string // the features' name
	N        int
	Mean     []float64   // [d]
	Cov      [][]float64 // [d,d]
}

// measureBatch is how many images go through the network at once.
const measureBatch = 250

// Measure computes the statistics of a set, in float64 sums, so that they do not depend on the
// batch. watch, which may be nil, is told how many images are done.
func Measure(ctx context.Context, features Features, set *data.Set, watch func(done int)) (*Stats, error) {
	if set.N < 2 {
		return nil, fmt.Errorf("measure %s: %d images: a covariance needs at least 2", set.Name, set.N)
	}
	d, n := features.Dim(), float64(set.N)
	stats := &Stats{Features: features.Name(), N: set.N}
	err := torch.Do(func() error {
		sum, outer := torch.Zeros([]int{d}, torch.Float64), torch.Zeros([]int{d, d}, torch.Float64)
		size := set.ImageBytes()
		for start := 0; start < set.N; start += measureBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			end := min(start+measureBatch, set.N)
			torch.Tidy(func() torch.Tensor {
				torch.NoGrad(func() {
					f := features.Forward(data.Floats(set.Pixels()[start*size:end*size], end-start, set.H, set.W, set.C)).To(torch.Float64).ToDevice(torch.Device{})
					sum.AddInPlace(f.SumDim(false, 0), 1)
					outer.AddInPlace(f.T().Matmul(f), 1)
				})
				return torch.Tensor{}
			})
			if watch != nil {
				watch(end)
			}
		}
		mean := sum.DivScalar(n)
		cov := outer.Sub(mean.Unsqueeze(1).Mul(mean.Unsqueeze(0)).MulScalar(n)).DivScalar(n - 1)
		stats.Mean = mean.Float64s()
		flat := cov.Float64s()
		for i := range d {
			stats.Cov = append(stats.Cov, flat[i*d:(i+1)*d])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, m := range stats.Mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return nil, fmt.Errorf("measure %s: feature %d is not finite: the images or the weights are damaged", set.Name, i)
		}
	}
	return stats, nil
}

// Frechet is the squared Fréchet distance between two Gaussians (Dowson & Landau 1982, as in Heusel
// et al. 2017): ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁^½ Σ₂ Σ₁^½)^½). The root of the product is taken in
// this symmetric form, whose eigenvalues are real.
func Frechet(a, b *Stats) (float64, error) {
	if a.Features != b.Features || len(a.Mean) != len(b.Mean) {
		return 0, fmt.Errorf("statistics of different features: %d of %s and %d of %s", len(a.Mean), a.Features, len(b.Mean), b.Features)
	}
	var distance float64
	err := torch.Do(func() error {
		covA, covB := a.cov(), b.cov()
		rootA := sqrtm(covA)
		product := rootA.Matmul(covB).Matmul(rootA)
		values, _ := eigh(product)
		d := torch.FromSlice(a.Mean).Sub(torch.FromSlice(b.Mean))
		trace := covA.Add(covB).Diagonal().Sum().Item()
		roots := values.Clamp(0, math.MaxFloat64).Sqrt().Sum().Item() // rounding leaves tiny negatives
		distance = d.Square().Sum().Item() + trace - 2*roots
		return nil
	})
	return distance, err
}

func (s *Stats) cov() torch.Tensor {
	d := len(s.Mean)
	flat := make([]float64, 0, d*d)
	for _, row := range s.Cov {
		flat = append(flat, row...)
	}
	return torch.FromSlice(flat, d, d)
}

// sqrtm is the root of a symmetric positive semi-definite matrix: V·√λ·Vᵀ.
func sqrtm(m torch.Tensor) torch.Tensor {
	values, vectors := eigh(m)
	return vectors.Mul(values.Clamp(0, math.MaxFloat64).Sqrt()).Matmul(vectors.T())
}

// eigh is torch.linalg.eigh of the symmetric part of m.
func eigh(m torch.Tensor) (values, vectors torch.Tensor) {
	out := torch.Call("aten::linalg_eigh", m.Add(m.T()).MulScalar(0.5))
	return out.Tensor(0), out.Tensor(1)
}
