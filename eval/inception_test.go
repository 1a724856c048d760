package eval

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// goldenImages is an array of the golden file as a set.
func goldenImages(t *testing.T, golden *torchtest.Golden, name string) *data.Set {
	x := golden.Tensor(name)
	set, err := data.New(data.Shape{N: x.Size(0), H: x.Size(1), W: x.Size(2), C: x.Size(3)}, x.Bytes(), nil)
	require.NoError(t, err)
	set.Name = name
	return set
}

func TestInceptionMetricsAreTheReferences(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Inception on 60 images")
	}
	golden := torchtest.Load(t, "testdata/inception.npz")
	before := torch.Live()
	net, err := OpenInception(modelstest.InceptionFile(t), PyTorch, torch.Device{})
	require.NoError(t, err)
	torchtest.Scope(t, func() {
		a, b := FromSet(goldenImages(t, golden, "a")), FromSet(goldenImages(t, golden, "b"))
		statsA, input, err := MeasureImages(t.Context(), net, a, nil)
		require.NoError(t, err)
		assert.Equal(t, Input{Name: "a", Kind: "set", N: 12, Size: []int{20, 20, 3}, SHA256: goldenImages(t, golden, "a").SHA256()}, input)
		statsB, _, err := MeasureImages(t.Context(), net, b, nil)
		require.NoError(t, err)
		torchtest.InDelta(t, golden.Tensor("mean_a"), torch.FromSlice(statsA.Mean), 1e-5)
		fid, err := Frechet(statsA, statsB)
		require.NoError(t, err)
		assert.InEpsilon(t, golden.Item("fid"), fid, 2e-6)
		assert.InEpsilon(t, golden.Item("fid_sqrtm"), fid, 1e-4, "pytorch-fid's own formula")
		assert.Equal(t, "Fréchet distance", DistanceName(statsA, statsB), "these weights are not FID's")
		assert.Contains(t, statsA.FewImages("a"), "rank-deficient")

		mean, std, _, err := InceptionScore(t.Context(), net, a, ISOptions{Splits: 3}, nil)
		require.NoError(t, err)
		torchtest.InDelta(t, golden.Tensor("is"), torch.FromSlice([]float64{mean, std}), 1e-6)

		embA, _, err := Embed(t.Context(), net, a, nil)
		require.NoError(t, err)
		defer embA.Close()
		embB, _, err := Embed(t.Context(), net, b, nil)
		require.NoError(t, err)
		defer embB.Close()
		kid, spread, size, err := KID(t.Context(), embA, embB, KIDOptions{Subsets: 2})
		require.NoError(t, err)
		assert.InEpsilon(t, golden.Item("kid"), kid, 1e-5)
		assert.InDelta(t, 0, spread, 1e-9, "every subset is the whole set")
		assert.Equal(t, 12, size)
	})
	net.Close()
	assert.Equal(t, before, torch.Live())
}

func TestResizesAreTheReferences(t *testing.T) {
	golden := torchtest.Load(t, "testdata/inception.npz")
	for _, mode := range []Resizing{PyTorch, TF, Clean} {
		torchtest.Run(t, string(mode), func(t *testing.T) {
			for _, size := range []string{"small", "large"} {
				set := goldenImages(t, golden, size)
				got := mode.resize(data.Floats(set.Pixels(), set.N, set.H, set.W, set.C), 23)
				torchtest.InDelta(t, golden.Tensor(string(mode)+"_"+size), got, 4e-6) // values to 255, scaled to 1
			}
		})
	}
	_, err := ParseMode("legacy")
	assert.ErrorContains(t, err, "pytorch, tf or clean")
}

func TestPrecisionAndRecallAreNumpys(t *testing.T) {
	golden := torchtest.Load(t, "testdata/inception.npz")
	torchtest.Scope(t, func() {
		fake, real := &Embedding{"f", golden.Tensor("fake")}, &Embedding{"f", golden.Tensor("real")}
		precision, recall, err := PrecisionRecall(t.Context(), fake, real, 3, nil)
		require.NoError(t, err)
		assert.Equal(t, golden.Item("precision"), precision)
		assert.InDelta(t, golden.Item("recall"), recall, 1e-12)
		_, _, err = PrecisionRecall(t.Context(), fake, real, 60, nil)
		assert.ErrorContains(t, err, "more than k = 60")
		_, _, err = PrecisionRecall(t.Context(), fake, &Embedding{"g", real.X}, 3, nil)
		assert.ErrorContains(t, err, "different features")
	})
}

func TestSplitsCoverTheOrder(t *testing.T) {
	assert.Equal(t, []int64{0, 0, 1, 1, 1, 2, 2, 2}, splitsOf(8, ISOptions{Splits: 3}), "⌊8k/3⌋ are 0, 2, 5, 8")
	shuffled := splitsOf(8, ISOptions{Splits: 3, Shuffle: true, Seed: 1})
	assert.ElementsMatch(t, splitsOf(8, ISOptions{Splits: 3}), shuffled)
}

func TestWrongWeightsAreNamed(t *testing.T) {
	dir := t.TempDir()
	cut := filepath.Join(dir, "cut.pth")
	require.NoError(t, os.WriteFile(cut, []byte("PK\x03\x04 and no more"), 0o666))
	other := filepath.Join(dir, "other.safetensors")
	require.NoError(t, torch.Do(func() error {
		f, err := os.Create(other)
		require.NoError(t, err)
		defer f.Close()
		return torch.WriteSafetensors(f, []torch.Entry{{Name: "fc.weight", Tensor: torch.Zeros([]int{1000, 2048}, torch.Float32)}}, nil)
	}))
	for path, want := range map[string]string{
		filepath.Join(dir, "none.pth"): "fetch them from https://github.com/mseitzer",
		cut:                            "the published one 95628359",
		other:                          "torchvision's ImageNet weights",
	} {
		_, err := OpenInception(path, PyTorch, torch.Device{})
		assert.ErrorContains(t, err, want)
	}
}
