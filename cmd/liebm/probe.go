package main

import (
	"context"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/train"
)

// probeTrain and probeTest are how many images the probe during pretraining looks at, and
// probeBatch how many at once.
const probeTrain, probeTest, probeBatch = 2000, 500, 250

// knnProbe is a 5-NN probe of h's features for pretraining: nil unless both splits have labels.
// The caller closes what it returns beside it.
func knnProbe(set *data.Set, cfg train.SSLConfig) (probe func(context.Context, *models.Encoder) ([]train.Metric, error), done func()) {
	test, err := openData(cfg.Data, data.Test, cfg.Encoder.Channels)
	if err != nil {
		return nil, func() {} // a data set without a test split can be learnt from too
	}
	if set.Labels == nil || test.Labels == nil {
		return nil, func() { test.Close() }
	}
	known, unseen := set.Head(probeTrain), test.Head(probeTest)
	return func(ctx context.Context, h *models.Encoder) ([]train.Metric, error) {
		a, err := encoderFeatures(ctx, h, known)
		if err != nil {
			return nil, err
		}
		b, err := encoderFeatures(ctx, h, unseen)
		if err != nil {
			return nil, err
		}
		share, err := eval.KNN(ctx, a, known.Labels, b, unseen.Labels, 5)
		return []train.Metric{{Name: "knn5", Value: share}}, err
	}, func() { test.Close() }
}

// encoderFeatures are h's pooled features of every image, in eval mode.
func encoderFeatures(ctx context.Context, h *models.Encoder, set *data.Set) (rows [][]float32, err error) {
	err = torch.Do(func() error {
		size := set.ImageBytes()
		for start := 0; start < set.N; start += probeBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(probeBatch, set.N-start)
			torch.Tidy(func() torch.Tensor {
				torch.NoGrad(func() {
					x := data.Floats(set.Pixels()[start*size:(start+n)*size], n, set.H, set.W, set.C).ToDevice(h.Stem.Weight.Device())
					f := h.Features(h.Range.FromUnit(x), nn.Eval)
					values, width := torch.ToSlice[float32](f), f.Size(1)
					for i := range n {
						rows = append(rows, values[i*width:(i+1)*width])
					}
				})
				return torch.Tensor{}
			})
		}
		return nil
	})
	return rows, err
}
