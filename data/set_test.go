package data

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch/torchtest"
)

func small(t testing.TB) *Set {
	t.Helper()
	set, err := New(Shape{4, 2, 3, 1}, ramp(24), []int32{5, 7, 6, 8})
	require.NoError(t, err)
	set.Name, set.Split = "small", Train
	return set
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		shape  Shape
		pixels []byte
		labels []int32
		want   string
	}{
		"no image":      {Shape{0, 2, 3, 1}, nil, nil, "at least one image"},
		"a byte less":   {Shape{4, 2, 3, 1}, ramp(23), nil, "23 bytes for images of 4×2×3×1"},
		"a label less":  {Shape{4, 2, 3, 1}, ramp(24), []int32{1}, "1 labels for 4 images"},
		"negative side": {Shape{1, -2, -3, 4}, ramp(24), nil, "24 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.shape, c.pixels, c.labels)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestGather(t *testing.T) {
	set := small(t)
	dst, labels := make([]byte, 18), make([]int32, 3)
	idx := []int{3, 0, 3}
	set.Gather(dst, idx)
	set.GatherLabels(labels, idx)
	for j, i := range idx {
		assert.Equal(t, set.Image(i), dst[j*6:(j+1)*6])
		assert.EqualValues(t, set.Label(i), labels[j])
	}
	assert.Zero(t, testing.AllocsPerRun(10, func() { set.Gather(dst, idx); set.GatherLabels(labels, idx) }))
	assert.Panics(t, func() { set.Gather(dst, []int{4}) })
	assert.Panics(t, func() { set.Gather(dst[:5], []int{0}) })
	assert.Panics(t, func() { set.Head(2).Gather(dst, []int{2}) })
}

func TestHeadAndSubset(t *testing.T) {
	set := small(t)
	head := set.Head(2)
	assert.Equal(t, set.Pixels()[:12], head.Pixels())
	assert.Equal(t, []int32{5, 7}, head.Labels)
	assert.Equal(t, 4, set.Head(9).N, "a head of more is all")

	subset := set.Subset([]int{2, 0})
	assert.Equal(t, append(append([]byte(nil), set.Image(2)...), set.Image(0)...), subset.Pixels())
	assert.Equal(t, []int32{6, 5}, subset.Labels)
	assert.Equal(t, "small train: 2 images of 2×3×1", subset.String())
}

func TestBatchesCoverTheSetInOrder(t *testing.T) {
	set := small(t)
	for size, want := range map[int][]int{1: {1, 1, 1, 1}, 3: {3, 1}, 4: {4}, 9: {4}} {
		var sizes []int
		var pixels []byte
		var labels []int32
		for start, batch := range set.Batches(size) {
			assert.Equal(t, len(labels), start)
			sizes, pixels, labels = append(sizes, batch.N), append(pixels, batch.Pixels()...), append(labels, batch.Labels...)
		}
		assert.Equal(t, want, sizes)
		assert.Equal(t, set.Pixels(), pixels)
		assert.Equal(t, set.Labels, labels)
	}
	for start := range set.Batches(2) {
		assert.Zero(t, start, "a loop that breaks gets no other batch")
		break
	}
	assert.Panics(t, func() { set.Batches(0) })
	torchtest.Scope(t, func() {
		torchtest.InDelta(t, Floats(set.Pixels(), 4, 2, 3, 1), set.Floats(), 0)
	})
}

func TestPadCentresAndFillsWithZeros(t *testing.T) {
	set, err := New(Shape{1, 2, 3, 1}, []byte{1, 2, 3, 4, 5, 6}, nil)
	require.NoError(t, err)
	padded, err := set.Pad(5)
	require.NoError(t, err)
	assert.Equal(t, Shape{1, 5, 5, 1}, padded.Shape)
	assert.Equal(t, []byte{
		0, 0, 0, 0, 0,
		0, 1, 2, 3, 0,
		0, 4, 5, 6, 0,
		0, 0, 0, 0, 0,
		0, 0, 0, 0, 0,
	}, padded.Pixels())
	colour, err := set.RGB().Pad(5)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0}, colour.Pixels()[15:30])
	assert.Same(t, colour, colour.RGB())
}

func TestSHA256IsThatOfThePixels(t *testing.T) {
	set := small(t)
	sum := sha256.Sum256(ramp(24))
	assert.Equal(t, hex.EncodeToString(sum[:]), set.SHA256())
	assert.NotEqual(t, set.SHA256(), set.Head(3).SHA256())
	require.NoError(t, set.Close())
	require.NoError(t, set.Close())
	assert.Zero(t, set.N)
	assert.Panics(t, func() { set.Image(0) })
}

func BenchmarkGather(b *testing.B) {
	set, err := Noise(Shape{10000, 32, 32, 3}, OutlierOptions{})
	require.NoError(b, err)
	order := NewSampler(1, set.N)
	dst := make([]byte, 256*set.ImageBytes())
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for step := 0; b.Loop(); step++ {
		set.Gather(dst, order.Batch(step, 256))
	}
}

func TestClassesAreLeftOut(t *testing.T) {
	whole, err := Open("fmnist", Options{Split: Test})
	require.NoError(t, err)
	defer whole.Close()
	without, err := Open("fmnist", Options{Split: HeldOut, Size: 32, Without: []int{8, 3}})
	require.NoError(t, err)
	defer without.Close()
	only, err := Open("fmnist", Options{Split: HeldOut, Size: 32, Only: []int{8, 3}})
	require.NoError(t, err)
	defer only.Close()
	assert.Equal(t, []int{8000, 2000}, []int{without.N, only.N})
	next := map[bool]int{}
	for i, label := range whole.Labels {
		left := label == 8 || label == 3
		part := map[bool]*Set{false: without, true: only}[left]
		require.Equal(t, int(label), part.Label(next[left]), "image %d", i)
		next[left]++
	}
	padded, err := whole.Pad(32)
	require.NoError(t, err)
	assert.Equal(t, padded.Image(0), without.Image(0), "the first image is an ankle boot")

	unlabelled := filepath.Join(t.TempDir(), "images.npz")
	set, err := New(Shape{2, 1, 1, 1}, []byte{1, 2}, nil)
	require.NoError(t, err)
	require.NoError(t, WriteNPZ(unlabelled, set))
	for want, open := range map[string]func() (*Set, error){
		"no image of fmnist has the label 10: use labels from 0 to 9": func() (*Set, error) { return Open("fmnist", Options{Without: []int{10}}) },
		"all classes of fmnist are left out":                          func() (*Set, error) { return Open("fmnist", Options{Without: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}) },
		"images has no labels, so no class can be left out":           func() (*Set, error) { return Open(unlabelled, Options{Without: []int{0}}) },
	} {
		_, err := open()
		assert.ErrorContains(t, err, want)
	}
}

func TestCropUndoesPad(t *testing.T) {
	s, err := New(Shape{N: 2, H: 3, W: 3, C: 2}, []byte(strings.Repeat("abcdefghi", 4)), nil)
	require.NoError(t, err)
	padded, err := s.Pad(6)
	require.NoError(t, err)
	cropped, err := padded.Crop(3)
	require.NoError(t, err)
	assert.Equal(t, s.Pixels(), cropped.Pixels())
	_, err = s.Crop(4)
	assert.ErrorContains(t, err, "smaller size")
}

func TestMomentsOfEveryChannel(t *testing.T) {
	set, err := New(Shape{N: 2, H: 1, W: 2, C: 2}, []byte{0, 51, 255, 51, 0, 51, 255, 51}, nil)
	require.NoError(t, err)
	mean, std := set.Moments()
	assert.InDeltaSlice(t, []float64{0.5, 0.2}, mean, 1e-12)
	assert.InDeltaSlice(t, []float64{0.5, 1.0 / 255}, std, 1e-12, "a constant channel can be divided by its deviation")
}
