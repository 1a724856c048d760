package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// Features is a network whose features a Fréchet distance compares.
type Features interface {
	Name() string                             // name of network and weights
	Dim() int                                 // number of features
	Batch() int                               // number of images to give it at once
	Forward(images torch.Tensor) torch.Tensor // [n,c,h,w] in [0,1] → [n,dim]
}

// Stats are the mean and the covariance, with divisor n−1, of the features of a set of images.
type Stats struct {
	Features string // name of the features; "" if unknown
	N        int    // number of images; 0 if unknown
	Mean     []float64
	Cov      [][]float64 // [d,d]
}

// measureBatch is the number of images that go through a small network at once.
const measureBatch = 250

// Measure is [MeasureImages] of a set in memory.
func Measure(ctx context.Context, features Features, set *data.Set, watch func(done int)) (*Stats, error) {
	stats, _, err := MeasureImages(ctx, features, FromSet(set), watch)
	return stats, err
}

// MeasureImages computes the statistics of images in float64, so that they do not depend on the batch, and describes the
// images it read. It calls watch, which may be nil, with the number of images so far.
func MeasureImages(ctx context.Context, features Features, images *Images, watch func(done int)) (*Stats, Input, error) {
	if images.N < 2 {
		return nil, Input{}, fmt.Errorf("measure %s: %d images: a covariance needs at least 2", images.Name, images.N)
	}
	d := features.Dim()
	stats, input := &Stats{Features: features.Name()}, Input{}
	err := torch.Do(func() error {
		sum, outer := torch.Zeros([]int{d}, torch.Float64), torch.Zeros([]int{d, d}, torch.Float64)
		var err error
		input, err = forEach(ctx, features.Batch(), d, features.Forward, images, watch, func(f torch.Tensor) {
			sum.AddInPlace(f.SumDim(0), 1)
			torch.Call("aten::addmm.out", outer, f.T(), f, torch.Named{Name: "out", Value: outer})
		})
		if err != nil {
			return err
		}
		stats.N = input.N
		if stats.N < 2 {
			return fmt.Errorf("measure %s: %d readable images: a covariance needs at least 2", images.Name, stats.N)
		}
		n := float64(stats.N)
		mean := sum.DivScalar(n)
		cov := outer.Sub(mean.Unsqueeze(1).Mul(mean.Unsqueeze(0)).MulScalar(n)).DivScalar(n - 1)
		stats.Mean, stats.Cov = mean.Float64s(), slices.Collect(slices.Chunk(cov.Float64s(), d))
		return nil
	})
	if err != nil {
		return nil, input, err
	}
	if i := slices.IndexFunc(stats.Mean, notFinite); i >= 0 {
		return nil, input, fmt.Errorf("measure %s: feature %d is not finite: the images or the weights are damaged", images.Name, i)
	}
	return stats, input, nil
}

// forEach calls do with the features of every batch, in order: float64 [n,d] on the CPU.
func forEach(ctx context.Context, batch, d int, forward func(x torch.Tensor) torch.Tensor, images *Images, watch func(done int), do func(f torch.Tensor)) (Input, error) {
	done := 0
	shared := torch.Share(images.Group, func(rows []float64) {
		torch.Tidy(func() torch.Tensor {
			do(torch.FromSlice(rows, len(rows)/d, d))
			return torch.Tensor{}
		})
		if done += len(rows) / d; watch != nil {
			watch(done)
		}
	})
	input, err := images.Each(ctx, batch, func(shape data.Shape, pixels []byte) error {
		return shared.Do(ctx, func() (rows []float64) {
			torch.NoGrad(func() { rows = forward(data.Floats(pixels, shape.N, shape.H, shape.W, shape.C)).Float64s() })
			return rows
		})
	})
	if err = shared.End(err); err == nil {
		err = images.Group.Alike([]string{"SHA-256 of the images=" + input.SHA256})
	}
	return input, err
}

// Frechet is the squared Fréchet distance between two Gaussians (Dowson & Landau 1982, Heusel et al. 2017):
// ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½). With Σ₁ = F·Fᵀ, the trace of the root is the sum of the roots of the eigenvalues
// of FᵀΣ₂F, which is symmetric. So no imaginary part appears.
func Frechet(a, b *Stats) (float64, error) {
	if err := a.comparable(len(b.Mean), b.Features); err != nil {
		return 0, err
	}
	var distance float64
	err := torch.Do(func() error {
		covA, covB := a.cov(), b.cov()
		trace := covA.Diagonal().Sum().Item() + covB.Diagonal().Sum().Item()
		f, err := factor(covA, a)
		if err != nil {
			return err
		}
		product := f.T().Matmul(covB).Matmul(f)
		values := torch.Call("aten::linalg_eigvalsh", product.Add(product.T()).MulScalar(0.5)).Tensor(0)
		if low := values.Min().Item(); low < -1e-6*trace*trace {
			return notCovariance(b, low)
		}
		roots := values.Clamp(0, math.MaxFloat64).Sqrt().Sum().Item() // rounding leaves tiny negatives
		d := torch.FromSlice(a.Mean).Sub(torch.FromSlice(b.Mean))
		distance = d.Square().Sum().Item() + trace - 2*roots
		if distance < 0 && distance > -1e-9*trace {
			distance = 0 // equal sets, but for rounding
		}
		return nil
	})
	if err == nil && math.IsNaN(distance) {
		err = errors.New("the Fréchet distance is not a number: the statistics are damaged")
	}
	return distance, err
}

// CheckFeatures returns an error if the statistics cannot be compared with statistics of f. Call it before measuring.
func (s *Stats) CheckFeatures(f Features) error { return s.comparable(f.Dim(), f.Name()) }

func (s *Stats) comparable(dim int, features string) error {
	if len(s.Mean) == dim && (s.Features == features || s.Features == "" || features == "") {
		return nil
	}
	return fmt.Errorf("statistics of different features: %d of %s and %d of %s; measure both with the same weights and mode",
		len(s.Mean), s.name(), dim, cmp.Or(features, "unnamed features"))
}

// factor is F with F·Fᵀ = Σ: by Cholesky, or if Σ has less than full rank, the eigenvectors times the roots of the
// eigenvalues, without those of the size of rounding errors.
func factor(cov torch.Tensor, of *Stats) (torch.Tensor, error) {
	cov = cov.Add(cov.T()).MulScalar(0.5)
	if of.N > len(of.Mean) {
		out := torch.Call("aten::linalg_cholesky_ex", cov)
		if out.Tensor(1).Item() == 0 {
			return out.Tensor(0), nil
		}
	}
	out := torch.Call("aten::linalg_eigh", cov)
	values, vectors := out.Tensor(0), out.Tensor(1)
	trace := cov.Diagonal().Sum().Item()
	if low := values.Min().Item(); low < -1e-6*trace {
		return torch.Tensor{}, notCovariance(of, low)
	}
	all := values.Float64s() // ascending
	d, first := len(all), 0
	for first < d-1 && all[first] <= all[d-1]*float64(d)*0x1p-52 {
		first++
	}
	return vectors.Narrow(1, first, d-first).Mul(values.Narrow(0, first, d-first).Clamp(0, math.MaxFloat64).Sqrt()), nil
}

func notCovariance(s *Stats, low float64) error {
	return fmt.Errorf("the covariance of %s has a negative eigenvalue of %.3g; compute the statistics again", s.name(), low)
}

func (s *Stats) name() string { return cmp.Or(s.Features, "unnamed features") }

func (s *Stats) cov() torch.Tensor {
	return torch.FromSlice(slices.Concat(s.Cov...), len(s.Mean), len(s.Mean))
}

// DistanceName is the name of the Fréchet distance between a and b: "FID" on the features that define FID, "Fréchet
// distance" on any others, and if neither a nor b names its features.
func DistanceName(a, b *Stats) string {
	if strings.HasPrefix(a.Features+b.Features, fidFeatures) { // one of them may be unnamed
		return "FID"
	}
	return "Fréchet distance"
}

// FewImages is a warning if there are too few images for a covariance of full rank, else "".
func (s *Stats) FewImages(name string) string {
	if d := len(s.Mean); s.N > 0 && s.N <= d {
		return fmt.Sprintf("%s: %d images for %d features: the covariance is rank-deficient, so the distance is not reliable; use more than %d", name, s.N, d, d)
	}
	return ""
}
