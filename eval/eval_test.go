package eval

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// rows are "features" that were measured before: image i is its own index.
type rows struct{ values torch.Tensor }

func (rows) Name() string { return "rows" }
func (r rows) Dim() int   { return r.values.Size(1) }
func (rows) Batch() int   { return measureBatch }
func (r rows) Forward(x torch.Tensor) torch.Tensor {
	index := x.Flatten(1).MulScalar(255).AddScalar(0.5).To(torch.Int64) // two bytes a row
	at := index.Select(1, 0).MulScalar(256).Add(index.Select(1, 1))
	return r.values.IndexSelect(0, at.To(torch.Int64))
}

// indexes is a set of n images whose two pixels are their number.
func indexes(t *testing.T, n int) *data.Set {
	pixels := make([]byte, 0, 2*n)
	for i := range n {
		pixels = append(pixels, byte(i/256), byte(i%256))
	}
	set, err := data.New(data.Shape{N: n, H: 1, W: 2, C: 1}, pixels, nil)
	require.NoError(t, err)
	return set
}

func measure(t *testing.T, values torch.Tensor) *Stats {
	s, err := Measure(t.Context(), rows{values}, indexes(t, values.Size(0)), nil)
	require.NoError(t, err)
	return s
}

func TestFrechetIsScipys(t *testing.T) {
	golden := torchtest.Load(t, "testdata/eval.npz")
	torchtest.Scope(t, func() {
		a, b, flat := measure(t, golden.Tensor("a")), measure(t, golden.Tensor("b")), measure(t, golden.Tensor("flat"))
		torchtest.InDelta(t, golden.Tensor("mean_a"), torch.FromSlice(a.Mean), 1e-12)
		torchtest.InDelta(t, golden.Tensor("cov_a"), a.cov(), 1e-12)
		for name, pair := range map[string][2]*Stats{"fd_ab": {a, b}, "fd_bflat": {b, flat}} {
			got, err := Frechet(pair[0], pair[1])
			require.NoError(t, err)
			// The rank-deficient product has eigenvalues of rounding size, whose roots are 1e-8.
			assert.InEpsilon(t, golden.Item(name), got, 1e-6, name)
			swapped, err := Frechet(pair[1], pair[0])
			require.NoError(t, err)
			assert.InEpsilon(t, got, swapped, 1e-6, "symmetric")
		}
		self, err := Frechet(a, a)
		require.NoError(t, err)
		assert.InDelta(t, 0, self, 1e-9)
	})
}

func TestStatisticsDoNotDependOnTheBatch(t *testing.T) {
	torchtest.Scope(t, func() {
		values := torch.NewRNG(1, 0, "rows").Normal(3*measureBatch+17, 4).AddScalar(1000).To(torch.Float64)
		s := measure(t, values)
		centred := values.Sub(values.MeanKeepDim(0))
		want := centred.T().Matmul(centred).DivScalar(float64(values.Size(0) - 1))
		torchtest.InDelta(t, want, s.cov(), 1e-7) // 1e6 of squared mean against 1 of variance costs six digits
	})
}

func TestFrechetRefusesOtherFeatures(t *testing.T) {
	_, err := Frechet(&Stats{Features: "a", Mean: []float64{1}}, &Stats{Features: "b", Mean: []float64{1}})
	assert.ErrorContains(t, err, "different features")
	_, err = Measure(t.Context(), nil, indexes(t, 1), nil)
	assert.ErrorContains(t, err, "at least 2")
	torchtest.Scope(t, func() {
		nan := torch.Zeros([]int{3, 2}, torch.Float64).DivScalar(0)
		_, err = Measure(t.Context(), rows{nan}, indexes(t, 3), nil)
		assert.ErrorContains(t, err, "not finite")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = Measure(ctx, rows{nan}, indexes(t, 3), nil)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestAUROCIsScikitLearns(t *testing.T) {
	golden := torchtest.Load(t, "testdata/eval.npz")
	torchtest.Scope(t, func() {
		for name, keys := range map[string][2]string{"auroc": {"inliers", "outliers"}, "auroc_tied": {"tied_in", "tied_out"}} {
			in, out := golden.Tensor(keys[0]).Float64s(), golden.Tensor(keys[1]).Float64s()
			got, err := AUROC(in, out)
			require.NoError(t, err)
			assert.InDelta(t, golden.Item(name), got, 1e-12, name)
			back, err := AUROC(out, in)
			require.NoError(t, err)
			assert.InDelta(t, 1-got, back, 1e-12)
		}
	})
}

func TestAUROCAtTheEdges(t *testing.T) {
	for name, c := range map[string]struct {
		in, out []float64
		want    float64
	}{
		"apart":      {[]float64{2, 3}, []float64{0, 1}, 1},
		"the other":  {[]float64{0, 1}, []float64{2, 3}, 0},
		"all equal":  {[]float64{1, 1}, []float64{1, 1, 1}, 0.5},
		"one of two": {[]float64{1}, []float64{0, 2}, 0.5},
	} {
		got, err := AUROC(c.in, c.out)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, name)
	}
	_, err := AUROC(nil, []float64{1})
	assert.ErrorContains(t, err, "at least one of each")
}

func TestFashionFeaturesKnowClothes(t *testing.T) {
	test, err := data.Open("fmnist", data.Options{Split: data.Test})
	if err != nil {
		t.Fatalf("%v: make setup installs it", err)
	}
	defer test.Close()
	before := torch.Live()
	c, err := FashionFeatures()
	require.NoError(t, err)
	unseen := test.Head(2000)
	classes, err := c.Classify(t.Context(), unseen)
	require.NoError(t, err)
	assert.Greater(t, Labelled{Labels: unseen.Labels}.Accuracy(classes), 0.9, "of the unseen test split")

	n := 1500
	if testing.Short() {
		n = 500
	}
	half, other := test.Head(n), test.Subset(upTo(n, 2*n))
	a, err := Measure(t.Context(), c, half, nil)
	require.NoError(t, err)
	b, err := Measure(t.Context(), c, other, nil)
	require.NoError(t, err)
	inverted, err := Measure(t.Context(), c, data.Inverted(other), nil)
	require.NoError(t, err)
	near, err := Frechet(a, b)
	require.NoError(t, err)
	far, err := Frechet(a, inverted)
	require.NoError(t, err)
	assert.Less(t, 20*near, far, "halves of one split are near, inverted images far")

	padded, err := half.Pad(32)
	require.NoError(t, err)
	same, err := Measure(t.Context(), c, padded, nil)
	require.NoError(t, err)
	assert.Equal(t, a.Mean, same.Mean, "padding is cropped off")
	c.Close()
	assert.Equal(t, before, torch.Live())
}

func TestFashionFeaturesReadTheMiddle(t *testing.T) {
	torchtest.Scope(t, func() {
		c, err := FashionFeatures()
		require.NoError(t, err)
		defer c.Close()
		x := torch.NewRNG(1, 0, "images").Uniform(0, 1, 2, 1, 32, 40)
		middle := c.Forward(x.Narrow(2, 2, 28).Narrow(3, 6, 28))
		assert.Equal(t, middle.Float64s(), c.Forward(x).Float64s(), "also of images that are not square")
	})
}

func upTo(from, to int) (idx []int) {
	for i := from; i < to; i++ {
		idx = append(idx, i)
	}
	return idx
}

func TestTheClassifierLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	const n = 256
	pixels, labels := make([]byte, n*28*28), make([]int32, n)
	for i := range n { // two classes: bright above, bright below
		labels[i] = int32(i % 2)
		for j := range 14 * 28 {
			pixels[i*784+i%2*392+j] = byte(128 + (i+j)%100)
		}
	}
	set, err := data.New(data.Shape{N: n, H: 28, W: 28, C: 1}, pixels, labels)
	require.NoError(t, err)
	first, last := 0.0, 0.0
	weights, err := TrainClassifier(t.Context(), set, 8, 1, func(step, steps int, loss float64) {
		if step == 1 {
			first = loss
		}
		last = loss
	})
	require.NoError(t, err)
	assert.NotEmpty(t, weights)
	assert.Less(t, last, first/2)
}

func ExampleAUROC() {
	inliers, outliers := []float64{0.9, 0.8, 0.4}, []float64{0.5, 0.1}
	area, err := AUROC(inliers, outliers)
	fmt.Printf("%.3f %v\n", area, err)
	// Output: 0.833 <nil>
}
