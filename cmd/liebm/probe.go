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

// probeEpochs is a fifth of W-MSE's, which liebm metrics probe takes: enough to see h improve.
const probeEpochs = 100

// pretrainProbe is a 5-NN and a linear probe of h's features for pretraining: nil unless both splits
// have labels. The caller closes what it returns beside it.
func pretrainProbe(set *data.Set, cfg train.SSLConfig) (probe func(context.Context, *models.Encoder) ([]train.Metric, error), done func()) {
	test, err := cfg.Data.Open(data.HeldOut(cfg.Data.Name), cfg.Encoder.Channels)
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
		defer a.Close()
		b, err := encoderFeatures(ctx, h, unseen)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		fit, held := eval.Labelled{Embedding: a, Labels: known.Labels}, eval.Labelled{Embedding: b, Labels: unseen.Labels}
		near, err := eval.KNN(ctx, fit, held, 5, nil)
		if err != nil {
			return nil, err
		}
		linear, err := eval.LinearProbe(ctx, fit, held, eval.LinearOptions{Epochs: probeEpochs})
		if err != nil {
			return nil, err
		}
		return []train.Metric{{Name: "knn5", Value: held.Accuracy(near)}, {Name: "linear", Value: held.Accuracy(linear)}}, nil
	}, func() { test.Close() }
}

// encoderFeatures are h's pooled features of every image, in eval mode. The caller closes them.
func encoderFeatures(ctx context.Context, h *models.Encoder, set *data.Set) (e *eval.Embedding, err error) {
	e = &eval.Embedding{Features: "encoder"}
	err = torch.Do(func() error {
		size := set.ImageBytes()
		var rows []torch.Tensor
		for start := 0; start < set.N; start += probeBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(probeBatch, set.N-start)
			rows = append(rows, torch.Tidy(func() (f torch.Tensor) {
				torch.NoGrad(func() {
					x := data.Floats(set.Pixels()[start*size:(start+n)*size], n, set.H, set.W, set.C).ToDevice(h.Stem.Weight.Device())
					f = h.Features(h.Range.FromUnit(x), nn.Eval)
				})
				return f
			}))
		}
		e.X = torch.Cat(rows, 0).Keep()
		return nil
	})
	return e, err
}
