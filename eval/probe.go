package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// Labelled is features and classes of images, for probes.
type Labelled struct {
	*Embedding
	Labels  []int32  // 0 … classes−1, one per image
	Classes []string // names of the labels, or nil
}

func (l Labelled) check() error {
	if len(l.Labels) != l.Len() {
		return fmt.Errorf("%d labels for %d images: give one each", len(l.Labels), l.Len())
	}
	if slices.Min(l.Labels) < 0 {
		return errors.New("a label is negative: classes start at 0")
	}
	return nil
}

func checkProbe(train, test Labelled) error {
	return errors.Join(train.check(), test.check(), sameFeatures(train.Embedding, test.Embedding))
}

// KNN predicts the class of each test image: the most frequent class among its k nearest training images, by
// Euclidean distance. Among equally frequent classes it takes the one with the smallest number. W-MSE's protocol has
// k = 5. watch may be nil.
func KNN(ctx context.Context, train, test Labelled, k int, watch func(done, total int)) ([]int32, error) {
	if err := checkProbe(train, test); err != nil {
		return nil, err
	}
	if k < 1 || k > train.Len() {
		return nil, fmt.Errorf("%d nearest neighbours of %d training images: use 1 to the number of images", k, train.Len())
	}
	classes := int(slices.Max(train.Labels)) + 1
	var out []int32
	err := torch.Do(func() error {
		centre := train.X.MeanKeepDim(0)
		x := train.X.Sub(centre)
		return blocks(ctx, test.X, func(start int, rows torch.Tensor) {
			const smallest = false
			near := torch.ToSlice[int64](torch.Call("aten::topk", squaredDistances(rows.Sub(centre), x), k, 1, smallest).Tensor(1))
			for i := range rows.Size(0) {
				votes := make([]int, classes)
				for _, j := range near[i*k : (i+1)*k] {
					votes[train.Labels[j]]++
				}
				out = append(out, int32(slices.Index(votes, slices.Max(votes))))
			}
			if watch != nil {
				watch(start+rows.Size(0), test.Len())
			}
		})
	})
	return out, err
}

// Accuracy is the share of correct predictions.
func (l Labelled) Accuracy(predicted []int32) float64 {
	right := 0
	for i, p := range predicted {
		if p == l.Labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(predicted))
}

// LinearOptions are the options of [LinearProbe]. The zero value is W-MSE's protocol.
type LinearOptions struct {
	Epochs int // 0 means 500
	Batch  int // 0 means 1,000
	Seed   uint64
	Watch  func(done, total int) // may be nil
}

// LinearProbe trains a linear layer on the training features, without augmentation, and predicts the class of each test
// image. It uses Adam with weight decay 5e-6. The learning rate falls from 1e-2 to 1e-6 by the same factor every epoch.
// Weights start at zero, because the loss is convex. The last batch of an epoch may be smaller.
func LinearProbe(ctx context.Context, train, test Labelled, o LinearOptions) ([]int32, error) {
	if err := checkProbe(train, test); err != nil {
		return nil, err
	}
	if o.Epochs == 0 {
		o.Epochs = 500
	}
	if o.Batch == 0 {
		o.Batch = 1000
	}
	var out []int32
	err := torch.Do(func() error {
		layer := nn.NewLinear(train.X.Size(1), int(slices.Max(train.Labels))+1, nn.LinearOptions{})
		defer nn.Close(layer)
		if err := fitLinear(ctx, layer, train, o); err != nil {
			return err
		}
		torch.NoGrad(func() {
			out = torch.ToSlice[int32](layer.Forward(test.X).ArgMax(1).To(torch.Int32))
		})
		return nil
	})
	return out, err
}

func fitLinear(ctx context.Context, layer *nn.Linear, train Labelled, o LinearOptions) error {
	const first, last = 1e-2, 1e-6
	adam := optim.NewAdam(nn.Params(layer), optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 5e-6})
	defer adam.Close()
	labels := torch.FromSlice(train.Labels).To(torch.Int64)
	return steps(ctx, o.Epochs, o.Watch, func(epoch int) {
		var order []int64
		for _, i := range data.Permutation(o.Seed, epoch, train.Len()) {
			order = append(order, int64(i))
		}
		rate := first * math.Pow(last/first, float64(epoch)/float64(o.Epochs))
		for batch := range slices.Chunk(order, o.Batch) {
			torch.Tidy(func() torch.Tensor {
				index := torch.FromSlice(batch)
				adam.Step(layer.Forward(train.X.IndexSelect(0, index)).CrossEntropy(labels.IndexSelect(0, index)), rate)
				return torch.Tensor{}
			})
		}
	})
}
