package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// ISOptions of [InceptionScore].
type ISOptions struct {
	Splits  int    // 0 means 10
	Shuffle bool   // split in random order instead of the order of reading
	Seed    uint64 // of the random order
}

// InceptionScore returns the mean and the standard deviation, with divisor n, of the inception scores of splits:
// exp(mean KL(p(y|x) ‖ p(y))) (Salimans et al. 2016). p is the softmax of the logits without bias, as in torch-fidelity
// and ADM, in float64. Memory does not grow with the number of images.
func InceptionScore(ctx context.Context, net *InceptionFeatures, images *Images, o ISOptions, watch func(done int)) (mean, std float64, input Input, err error) {
	if o.Splits == 0 {
		o.Splits = 10
	}
	if o.Splits < 1 || images.N < o.Splits {
		return 0, 0, input, fmt.Errorf("inception score of %s: %d images in %d splits: give at least one image for each", images.Name, images.N, o.Splits)
	}
	order := splitsOf(images.N, o)
	scores := make([]float64, o.Splits)
	err = torch.Do(func() error {
		shape := []int{o.Splits, models.InceptionClasses}
		sum, entropy, count := torch.Zeros(shape, torch.Float64), torch.Zeros(shape[:1], torch.Float64), torch.Zeros(shape[:1], torch.Float64)
		done := 0
		input, err = forEach(ctx, net.Batch(), models.InceptionClasses, net.logits, images, watch, func(f torch.Tensor) {
			logP := f.LogSoftmax(1)
			p, split := logP.Exp(), torch.FromSlice(order[done:done+f.Size(0)])
			torch.Call("aten::index_add_", sum, 0, split, p)
			torch.Call("aten::index_add_", entropy, 0, split, p.Mul(logP).SumDim(1))
			torch.Call("aten::index_add_", count, 0, split, torch.Ones([]int{f.Size(0)}, torch.Float64))
			done += f.Size(0)
		})
		if err != nil {
			return err
		}
		if slices.Contains(count.Float64s(), 0) {
			return fmt.Errorf("inception score of %s: one of its %d splits has no image that can be read: repair the files, or use fewer splits", images.Name, o.Splits)
		}
		marginal := sum.Div(count.Unsqueeze(1))
		// 0·log 0 is 0: a class whose p underflowed everywhere adds nothing.
		own := marginal.Mul(marginal.Clamp(math.SmallestNonzeroFloat64, 1).Log()).SumDim(1)
		scores = entropy.Div(count).Sub(own).Exp().Float64s()
		return nil
	})
	if err != nil {
		return 0, 0, input, err
	}
	if input.N != images.N {
		input.Notes = append(input.Notes, "the splits differ in size, because some images could not be read")
	}
	mean, std = stat.PopMeanStdDev(scores, nil)
	if notFinite(mean) {
		return 0, 0, input, fmt.Errorf("inception score of %s is not finite: the images or the weights are damaged", images.Name)
	}
	return mean, std, input, nil
}

// splitsOf is the split of each image. Split k has the places ⌊kn/s⌋ … ⌊(k+1)n/s⌋ − 1 of the order.
func splitsOf(n int, o ISOptions) []int64 {
	order := make([]int64, n)
	place := func(i int) int64 { return int64(((i+1)*o.Splits - 1) / n) }
	if !o.Shuffle {
		for i := range order {
			order[i] = place(i)
		}
		return order
	}
	for i, image := range data.Permutation(o.Seed, 0, n) {
		order[image] = place(i)
	}
	return order
}
