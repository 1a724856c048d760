package eval

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/torch"
)

// PrecisionRecall is the improved precision and recall of Kynkäänniemi et al. 2019. Precision is the share of generated
// images that lie in a ball around some real image, and recall the reverse. The radius of a ball is the distance of its
// centre to the k-th nearest neighbour in the same set. The paper has k = 3 and sets of 50,000. watch may be nil.
func PrecisionRecall(ctx context.Context, generated, real *Embedding, k int, watch func(done, total int)) (precision, recall float64, err error) {
	if err := sameFeatures(generated, real); err != nil {
		return 0, 0, err
	}
	if k < 1 || generated.Len() <= k || real.Len() <= k {
		return 0, 0, fmt.Errorf("precision and recall of %d and %d images: give more than k = %d of each, and k at least 1", generated.Len(), real.Len(), k)
	}
	done, total := 0, 2*(generated.Len()+real.Len())
	step := func(n int) {
		done += n
		if watch != nil {
			watch(done, total)
		}
	}
	err = torch.Do(func() error {
		centre := real.X.MeanKeepDim(0) // distances stay the same, rounding errors shrink
		fake, truth := generated.X.Sub(centre), real.X.Sub(centre)
		fakeRadii, err := radii(ctx, fake, k, step)
		if err != nil {
			return err
		}
		trueRadii, err := radii(ctx, truth, k, step)
		if err != nil {
			return err
		}
		if precision, err = covered(ctx, fake, truth, trueRadii, step); err != nil {
			return err
		}
		recall, err = covered(ctx, truth, fake, fakeRadii, step)
		return err
	})
	return precision, recall, err
}

// radii are the squared distances of all points to their k-th nearest other point: [n].
func radii(ctx context.Context, x torch.Tensor, k int, step func(n int)) (torch.Tensor, error) {
	out := torch.Empty([]int{x.Size(0)}, torch.Float32)
	err := blocks(ctx, x, func(start int, rows torch.Tensor) {
		const smallest, sorted = false, true
		nearest := torch.Call("aten::topk", squaredDistances(rows, x), k+1, 1, smallest, sorted).Tensor(0) // itself first
		out.Narrow(0, start, rows.Size(0)).CopyFrom(nearest.Select(1, k))
		step(rows.Size(0))
	})
	return out, err
}

// covered is the share of points that lie in the ball around some centre.
func covered(ctx context.Context, points, centres, radii torch.Tensor, step func(n int)) (float64, error) {
	inside := 0.0
	err := blocks(ctx, points, func(_ int, rows torch.Tensor) {
		in := radii.Unsqueeze(0).GreaterEqual(squaredDistances(rows, centres))
		inside += torch.Call("aten::any.dim", in, 1).Tensor(0).Sum().Item()
		step(rows.Size(0))
	})
	return inside / float64(points.Size(0)), err
}
