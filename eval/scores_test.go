package eval

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestDetectionIsScikitLearns(t *testing.T) {
	golden := torchtest.Load(t, "testdata/scores.npz")
	torchtest.Scope(t, func() {
		for _, name := range []string{"free", "tied"} {
			in, out := golden.Tensor(name+"_in").Float64s(), golden.Tensor(name+"_out").Float64s()
			got, err := Detect(in, out)
			require.NoError(t, err)
			for i, want := range golden.Tensor(name).Float64s() {
				assert.InDelta(t, want, *got.values()[i], 1e-12, "%s %d", name, i)
			}
			ci, err := DetectInterval(t.Context(), in, out, 500, 1)
			require.NoError(t, err)
			again, err := DetectInterval(t.Context(), in, out, 500, 1)
			require.NoError(t, err)
			assert.Equal(t, ci, again, "one seed, one interval")
			assert.Less(t, ci.Low.AUROC, got.AUROC)
			assert.Greater(t, ci.High.AUROC, got.AUROC)
			// Hanley & McNeil 1982, for areas near these: the normal interval is 1.96 standard errors.
			a, m, n := got.AUROC, float64(len(in)), float64(len(out))
			q1, q2 := a/(2-a), 2*a*a/(1+a)
			se := math.Sqrt((a*(1-a) + (m-1)*(q1-a*a) + (n-1)*(q2-a*a)) / (m * n))
			assert.InEpsilon(t, 2*1.96*se, ci.High.AUROC-ci.Low.AUROC, 0.25)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := DetectInterval(ctx, []float64{1}, []float64{0}, 10, 0)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = Detect([]float64{math.NaN()}, []float64{0})
	assert.ErrorContains(t, err, "NaN")
}

func TestPSNRAndSSIMAreScikitImages(t *testing.T) {
	golden := torchtest.Load(t, "testdata/scores.npz")
	torchtest.Scope(t, func() {
		a, b := goldenImages(t, golden, "a"), goldenImages(t, golden, "b")
		psnr, mse, err := PSNR(t.Context(), a, b)
		require.NoError(t, err)
		torchtest.InDelta(t, golden.Tensor("psnr"), torch.FromSlice(psnr), 1e-12)
		torchtest.InDelta(t, golden.Tensor("mse"), torch.FromSlice(mse), 1e-12)
		for _, window := range []Window{Gauss, Box} {
			ssim, err := SSIM(t.Context(), a, b, window)
			require.NoError(t, err)
			torchtest.InDelta(t, golden.Tensor("ssim_"+string(window)), torch.FromSlice(ssim), 1e-9)
			same, err := SSIM(t.Context(), a, a, window)
			require.NoError(t, err)
			assert.InDelta(t, 1, same[0], 1e-12)
		}
		psnr, _, err = PSNR(t.Context(), a, a)
		require.NoError(t, err)
		assert.True(t, math.IsInf(psnr[0], 1), "equal images")
		_, _, err = PSNR(t.Context(), a, b.Head(2))
		assert.ErrorContains(t, err, "the same shape")
		tiny, err := data.New(data.Shape{N: 1, H: 8, W: 8, C: 1}, make([]byte, 64), nil)
		require.NoError(t, err)
		_, err = SSIM(t.Context(), tiny, tiny, Gauss)
		assert.ErrorContains(t, err, "at least 11×11")
		_, err = SSIM(t.Context(), a, b, "disc")
		assert.ErrorContains(t, err, `use "gauss" or "box"`)
	})
}

func labelled(golden *torchtest.Golden, part string) Labelled {
	return Labelled{Embedding: &Embedding{"f", golden.Tensor(part + "_x")}, Labels: torch.ToSlice[int32](golden.Tensor(part + "_y").To(torch.Int32))}
}

func TestProbesAreTheReferences(t *testing.T) {
	golden := torchtest.Load(t, "testdata/scores.npz")
	torchtest.Scope(t, func() {
		train, test := labelled(golden, "train"), labelled(golden, "test")
		classes, err := KNN(t.Context(), train, test, 5, nil)
		require.NoError(t, err)
		assert.Equal(t, torch.ToSlice[int32](golden.Tensor("knn").To(torch.Int32)), classes)

		layer := nn.NewLinear(6, 4, nn.LinearOptions{})
		defer nn.Close(layer)
		require.NoError(t, fitLinear(t.Context(), layer, train, LinearOptions{Epochs: 20, Batch: 300}))
		torchtest.InDelta(t, golden.Tensor("weight"), layer.Weight, 1e-6) // 20 float32 steps of 1e-2
		torchtest.InDelta(t, golden.Tensor("bias"), layer.Bias, 1e-6)

		classes, err = LinearProbe(t.Context(), train, test, LinearOptions{Epochs: 50, Batch: 100})
		require.NoError(t, err)
		assert.Greater(t, test.Accuracy(classes), 0.7)
		_, err = KNN(t.Context(), train, Labelled{Embedding: test.Embedding, Labels: test.Labels[1:]}, 5, nil)
		assert.ErrorContains(t, err, "one each")
		_, err = KNN(t.Context(), train, test, 301, nil)
		assert.ErrorContains(t, err, "301 nearest neighbours")
	})
}

func TestTSNEKeepsNeighbours(t *testing.T) {
	golden := torchtest.Load(t, "testdata/scores.npz")
	torchtest.Scope(t, func() {
		e := &Embedding{"clouds", golden.Tensor("cloud")}
		points, divergence, err := TSNE(t.Context(), e, TSNEOptions{Perplexity: 15, Seed: 1})
		require.NoError(t, err)
		assert.Less(t, divergence, 1.1*golden.Item("divergence"), "as good as scikit-learn's")
		assert.Greater(t, divergence, 0.7*golden.Item("divergence"), "and of the same quantity")
		var flat []float32
		for _, p := range points {
			flat = append(flat, float32(p[0]), float32(p[1]))
		}
		plane := Labelled{Embedding: &Embedding{"plane", torch.FromSlice(flat, len(points), 2)}, Labels: torch.ToSlice[int32](golden.Tensor("cloud_y").To(torch.Int32))}
		classes, err := KNN(t.Context(), plane, plane, 10, nil)
		require.NoError(t, err)
		assert.Greater(t, plane.Accuracy(classes), 0.98, "the clouds stay apart")
		_, _, err = TSNE(t.Context(), e, TSNEOptions{Perplexity: 60})
		assert.ErrorContains(t, err, "perplexity 60")
	})
}
