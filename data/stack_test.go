package data

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStack(t *testing.T) {
	const n = 40
	pixels, labels := make([]byte, n*2), make([]int32, n)
	for i := range n {
		pixels[2*i], pixels[2*i+1], labels[i] = byte(i), byte(100+i), int32(i%10)
	}
	base, err := New(Shape{n, 1, 2, 1}, pixels, labels)
	require.NoError(t, err)
	set := stack(base, "stacked")
	assert.Equal(t, Shape{n, 1, 2, 3}, set.Shape)
	var seen [3]map[byte]bool
	for c := range seen {
		seen[c] = map[byte]bool{}
	}
	for i := range n {
		image, class := set.Image(i), int32(0)
		for c := range 3 {
			assert.Equal(t, image[c]+100, image[3+c], "a channel is one image")
			seen[c][image[c]] = true
			class = class*10 + int32(image[c]%10)
		}
		assert.Equal(t, class, set.Labels[i])
	}
	for c := range seen {
		assert.Len(t, seen[c], n, "every image is used once in each channel")
	}
	assert.Equal(t, set.Pixels(), stack(base, "stacked").Pixels())
}

func TestStackedFashionMNISTOpens(t *testing.T) {
	k, err := Lookup("stacked-fmnist")
	require.NoError(t, err)
	if _, err := k.Locate(""); err != nil {
		t.Skip("needs Fashion-MNIST")
	}
	set, err := Open("stacked-fmnist", Options{Split: Test, Size: 32})
	require.NoError(t, err)
	defer set.Close()
	assert.Equal(t, Shape{10000, 32, 32, 3}, set.Shape)
	classes := map[int32]bool{}
	for _, label := range set.Labels {
		require.True(t, label >= 0 && label < 1000)
		classes[label] = true
	}
	assert.Greater(t, len(classes), 990)
}
