package eval

import (
	"context"
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// KIDOptions are the options of [KID]. The zero value is the usual: 100 subsets of 1,000.
type KIDOptions struct {
	Subsets int // 0 means 100
	Size    int // images in a subset; 0 means 1,000, or all if there are fewer
	Seed    uint64
	Watch   func(done, total int) // may be nil
}

// KID is the kernel inception distance (Bińkowski et al. 2018): the unbiased MMD² with the kernel (x·y/d + 1)³. KID
// returns its mean and standard deviation over subsets drawn without replacement, and the size of a subset. Unlike FID it
// has no bias that depends on n.
func KID(ctx context.Context, a, b *Embedding, o KIDOptions) (mean, std float64, size int, err error) {
	if err := sameFeatures(a, b); err != nil {
		return 0, 0, 0, err
	}
	if o.Subsets == 0 {
		o.Subsets = 100
	}
	if o.Size == 0 {
		o.Size = 1000
	}
	size = min(o.Size, a.Len(), b.Len())
	if size < 2 || o.Subsets < 1 {
		return 0, 0, 0, fmt.Errorf("KID of %d and %d images in %d subsets of %d: give at least 2 images and one subset", a.Len(), b.Len(), o.Subsets, o.Size)
	}
	var values []float64
	err = torch.Do(func() error {
		return steps(ctx, o.Subsets, o.Watch, func(i int) {
			values = append(values, mmd2(subset(a, size, o.Seed, 2*i), subset(b, size, o.Seed, 2*i+1)).Item())
		})
	})
	mean, std = stat.PopMeanStdDev(values, nil)
	return mean, std, size, err
}

// subset draws size rows without replacement, as float64.
func subset(e *Embedding, size int, seed uint64, draw int) torch.Tensor {
	index := make([]int64, size)
	for i, row := range data.Permutation(seed, draw, e.Len())[:size] {
		index[i] = int64(row)
	}
	return e.X.IndexSelect(0, torch.FromSlice(index)).To(torch.Float64)
}

// mmd2 is the unbiased estimate of MMD² between samples x and y: [m,d] each.
func mmd2(x, y torch.Tensor) torch.Tensor {
	m, d := float64(x.Size(0)), float64(x.Size(1))
	kernel := func(a, b torch.Tensor) torch.Tensor { return a.Matmul(b.T()).DivScalar(d).AddScalar(1).Pow(3) }
	within := func(k torch.Tensor) torch.Tensor { return k.Sum().Sub(k.Diagonal().Sum()).DivScalar(m * (m - 1)) }
	return within(kernel(x, x)).Add(within(kernel(y, y))).Sub(kernel(x, y).Mean().MulScalar(2))
}
