package eval

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/torch"
)

// Embedding is the features of all images of a set.
type Embedding struct {
	Features string
	X        torch.Tensor // float32 [n,d], kept until Close
}

// Embed computes the features of all images. They take 8 KB an image with Inception. The caller closes the embedding.
func Embed(ctx context.Context, features Features, images *Images, watch func(done int)) (*Embedding, Input, error) {
	e, input := &Embedding{Features: features.Name()}, Input{}
	err := torch.Do(func() error {
		all, done := torch.Empty([]int{images.N, features.Dim()}, torch.Float32), 0
		var err error
		input, err = forEach(ctx, features.Batch(), features.Dim(), features.Forward, images, watch, func(f torch.Tensor) {
			all.Narrow(0, done, f.Size(0)).CopyFrom(f)
			done += f.Size(0)
		})
		if err != nil {
			return err
		}
		all = all.Narrow(0, 0, done)
		if done == 0 || torch.Call("aten::isfinite", all.Sum()).Tensor(0).Item() == 0 {
			return fmt.Errorf("%s: no features, or some that are not finite: the images or the weights are damaged", images.Name)
		}
		e.X = all.Keep()
		return nil
	})
	return e, input, err
}

// Len is the number of images.
func (e *Embedding) Len() int { return e.X.Size(0) }

// Close frees the features. A nil embedding has none.
func (e *Embedding) Close() {
	if e != nil {
		e.X.Close()
	}
}

// sameFeatures is an error if a and b are of different networks.
func sameFeatures(a, b *Embedding) error {
	if a.Features != b.Features || a.X.Size(1) != b.X.Size(1) {
		return fmt.Errorf("embeddings of different features: %s and %s", a.Features, b.Features)
	}
	return nil
}

// squaredDistances is ‖x−y‖² of every pair: [n,d] × [m,d] → [n,m]. Centre the points first, because norms are subtracted.
func squaredDistances(x, y torch.Tensor) torch.Tensor {
	norms := x.Square().SumKeepDim(1).Add(y.Square().SumDim(1).Unsqueeze(0))
	return torch.Call("aten::addmm", norms, x, y.T(), torch.Named{Name: "alpha", Value: -2.0}).Tensor(0).Clamp(0, 3e38)
}

const distanceBlock = 500 // rows at once: 100 MB of distances to 50,000 others

// blocks calls f for the rows of x, distanceBlock at a time, each time in a scope of its own.
func blocks(ctx context.Context, x torch.Tensor, f func(start int, rows torch.Tensor)) error {
	n, size := x.Size(0), distanceBlock
	return steps(ctx, (n+size-1)/size, nil, func(i int) { f(i*size, x.Narrow(0, i*size, min(size, n-i*size))) })
}

// steps calls f(0) … f(n−1), each in a scope of its own, until ctx ends. It calls watch, which may be nil, after each.
func steps(ctx context.Context, n int, watch func(done, total int), f func(i int)) error {
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		torch.Tidy(func() torch.Tensor {
			f(i)
			return torch.Tensor{}
		})
		if watch != nil {
			watch(i+1, n)
		}
	}
	return nil
}
