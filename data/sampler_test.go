package data

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The order of a run must survive new releases of Go, and of this package.
func TestPermutationNeverChanges(t *testing.T) {
	assert.Equal(t, []int{}, Permutation(1, 0, 0))
	assert.Equal(t, []int{0}, Permutation(1, 0, 1))
	assert.Equal(t, []int{5, 0, 6, 4, 7, 3, 2, 9, 8, 1}, Permutation(1, 0, 10))
	assert.Equal(t, []int{5, 4, 0, 9, 6, 2, 3, 8, 1, 7}, Permutation(1, 1, 10))
	assert.Equal(t, []int{8, 4, 0, 9, 7, 5, 3, 2, 6, 1}, Permutation(2, 0, 10))
}

func TestPermutationIsOneAndUniform(t *testing.T) {
	const n, epochs = 8, 4000
	var counts [n][n]int // image by place
	for epoch := range epochs {
		order := Permutation(7, epoch, n)
		for place, image := range order {
			counts[image][place]++
		}
		slices.Sort(order)
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, order)
	}
	for image := range n {
		for place := range n {
			// 500 expected, standard deviation 21: five of them.
			assert.InDelta(t, epochs/n, counts[image][place], 105, "image %d at place %d", image, place)
		}
	}
}

func TestSampler(t *testing.T) {
	const n, size = 10, 3
	t.Run("an epoch has no repetition and drops its last partial batch", func(t *testing.T) {
		s := NewSampler(5, n)
		assert.Equal(t, 3, s.PerEpoch(size))
		for epoch := range 4 {
			var seen []int
			for k := range 3 {
				seen = append(seen, s.Batch(epoch*3+k, size)...)
			}
			assert.Equal(t, Permutation(5, epoch, n)[:9], seen)
		}
	})
	t.Run("a resumed run draws what an uninterrupted one draws", func(t *testing.T) {
		whole, resumed := NewSampler(5, n), NewSampler(5, n)
		for step := range 20 {
			batch := slices.Clone(whole.Batch(step, size))
			if step >= 7 {
				assert.Equal(t, batch, resumed.Batch(step, size))
			}
		}
		assert.Equal(t, NewSampler(5, n).Batch(1, size), whole.Batch(1, size), "steps may go back")
	})
	t.Run("within an epoch a batch allocates nothing", func(t *testing.T) {
		s, step := NewSampler(5, n), 0
		s.Batch(0, 1)
		assert.Zero(t, testing.AllocsPerRun(8, func() { s.Batch(step%9, 1); step++ }))
	})
	t.Run("a batch above the set says so", func(t *testing.T) {
		s := NewSampler(5, n)
		assert.Zero(t, s.PerEpoch(11))
		assert.PanicsWithValue(t, "data: batch of 11 from 10 images at step 0; use a smaller batch or a larger set", func() { s.Batch(0, 11) })
	})
}
