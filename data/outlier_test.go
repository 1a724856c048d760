package data

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type drawer func(Shape, OutlierOptions) (*Set, error)

func drawn(t *testing.T, f drawer, shape Shape, o OutlierOptions) *Set {
	t.Helper()
	set, err := f(shape, o)
	require.NoError(t, err)
	return set
}

func TestOutlierContract(t *testing.T) {
	shape := Shape{300, 5, 3, 3}
	for name, f := range map[string]drawer{"constant": Constant, "noise": Noise} {
		for _, gray := range []bool{false, true} {
			o := OutlierOptions{Seed: 3, Gray: gray}
			set := drawn(t, f, shape, o)
			t.Run(set.Name, func(t *testing.T) {
				assert.Equal(t, shape, set.Shape)
				assert.Equal(t, drawn(t, f, Shape{20, 5, 3, 3}, o).Pixels(), set.Head(20).Pixels(), "a smaller set is the head")
				assert.NotEqual(t, drawn(t, f, shape, OutlierOptions{Seed: 4, Gray: gray}).Pixels(), set.Pixels())
				equal := true
				for at := 0; at < len(set.Pixels()); at += 3 {
					p := set.Pixels()[at : at+3]
					equal = equal && p[0] == p[1] && p[1] == p[2]
				}
				assert.Equal(t, gray, equal)
			})
		}
		_, err := f(Shape{0, 5, 3, 3}, OutlierOptions{})
		require.Error(t, err, name)
		_, err = f(Shape{-1, 5, 3, 3}, OutlierOptions{})
		require.Error(t, err, name)
	}
}

func TestConstantHasOneUniformColour(t *testing.T) {
	const n = 4000
	set := drawn(t, Constant, Shape{n, 2, 2, 3}, OutlierOptions{Seed: 1})
	var sum [3]float64
	for i := range n {
		image := set.Image(i)
		for at := 3; at < len(image); at += 3 {
			require.Equal(t, image[:3], image[at:at+3])
		}
		for c := range 3 {
			sum[c] += float64(image[c])
		}
	}
	for c := range 3 {
		assert.InDelta(t, 127.5, sum[c]/n, 4*73.9/63.2) // four standard errors: 73.9/√4000 each
	}
}

func TestInverted(t *testing.T) {
	set := small(t)
	padded, err := set.Pad(4)
	require.NoError(t, err)
	inverted := Inverted(padded)
	for i, v := range padded.Pixels() {
		require.Equal(t, 255-v, inverted.Pixels()[i], "the border is flipped with the rest")
	}
	assert.Equal(t, "small-inverted", inverted.Name)
	assert.Equal(t, set.Labels, inverted.Labels)
	framed, err := Inverted(set).Pad(4)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, 4), framed.Pixels()[:4], "inverting first leaves a black frame")
}
