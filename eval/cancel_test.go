package eval

import (
	"context"
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestAnEvaluatorEndsWhereverItIsCancelled(t *testing.T) {
	golden := torchtest.Load(t, "testdata/scores.npz")
	torchtest.Scope(t, func() {
		a, b := goldenImages(t, golden, "a"), goldenImages(t, golden, "b")
		train, test := labelled(golden, "train"), labelled(golden, "test")
		values := torch.NewRNG(1, 0, "rows").Normal(2*measureBatch+3, 4)
		cloud := &Embedding{"clouds", golden.Tensor("cloud")}
		features, set := rows{values}, indexes(t, values.Size(0))
		for name, job := range map[string]func(ctx context.Context) error{
			"statistics": func(ctx context.Context) error { _, err := Measure(ctx, features, set, nil); return err },
			"kernel distance": func(ctx context.Context) error {
				_, _, _, err := KID(ctx, train.Embedding, test.Embedding, KIDOptions{})
				return err
			},
			"precision and recall": func(ctx context.Context) error {
				_, _, err := PrecisionRecall(ctx, train.Embedding, test.Embedding, 3, nil)
				return err
			},
			"nearest neighbours": func(ctx context.Context) error { _, err := KNN(ctx, train, test, 5, nil); return err },
			"linear probe": func(ctx context.Context) error {
				_, err := LinearProbe(ctx, train, test, LinearOptions{Epochs: 5, Batch: 100})
				return err
			},
			"t-SNE": func(ctx context.Context) error {
				_, _, err := TSNE(ctx, cloud, TSNEOptions{Perplexity: 15, Steps: 30})
				return err
			},
			"structural similarity": func(ctx context.Context) error { _, err := SSIM(ctx, a, b, Gauss); return err },
			"signal to noise":       func(ctx context.Context) error { _, _, err := PSNR(ctx, a, b); return err },
			"interval": func(ctx context.Context) error {
				_, err := DetectInterval(ctx, []float64{1, 2, 3}, []float64{0, 1}, 20, 1)
				return err
			},
		} {
			t.Run(name, func(t *testing.T) { torchtest.Cancels(t, job) })
		}
	})
}
