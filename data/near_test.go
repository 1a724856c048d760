package data

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered are images whose pixels are all different.
func numbered(t *testing.T, shape Shape) *Set {
	t.Helper()
	pixels := make([]byte, shape.N*shape.ImageBytes())
	for i := range pixels {
		pixels[i] = byte(i)
	}
	set, err := New(shape, pixels, nil)
	require.NoError(t, err)
	return set
}

func TestFlippedTwiceIsTheSame(t *testing.T) {
	set := numbered(t, Shape{2, 3, 2, 3})
	once := Flipped(set)
	assert.Equal(t, set.Image(1)[:6], once.Image(1)[12:], "the first row comes last")
	assert.Equal(t, set.Pixels(), Flipped(once).Pixels())
}

func TestShuffledMovesWholePatches(t *testing.T) {
	set := numbered(t, Shape{3, 9, 8, 1}) // patches of 2×2, and a last row that stays
	out := Shuffled(set, 1)
	for i := range set.N {
		in, moved := set.Image(i), out.Image(i)
		assert.Equal(t, in[64:], moved[64:], "a row beyond the patches")
		assert.ElementsMatch(t, in, moved)
		assert.NotEqual(t, in, moved)
		for at := 0; at < 64; at += 2 {
			assert.Equal(t, moved[at]+1, moved[at+1], "neighbours of a patch stay together")
		}
	}
	assert.Equal(t, out.Image(0), Shuffled(set.Head(1), 1).Image(0), "a smaller set is the head")
	assert.NotEqual(t, out.Pixels(), Shuffled(set, 2).Pixels())
}

func TestBlurred(t *testing.T) {
	flat, err := New(Shape{1, 5, 5, 2}, slices.Repeat([]byte{7, 200}, 25), nil)
	require.NoError(t, err)
	assert.Equal(t, flat.Pixels(), Blurred(flat, 1.5).Pixels(), "one colour stays, at the border too")

	point := make([]byte, 81)
	point[40] = 255
	set, err := New(Shape{1, 9, 9, 1}, point, nil)
	require.NoError(t, err)
	out := Blurred(set, 1).Pixels()
	// The weights exp(−d²/2) of d −3 to 3 sum to 2.50660.
	assert.EqualValues(t, 41, out[40], "255/2.5066²")
	assert.EqualValues(t, 25, out[41], "255·exp(−½)/2.5066²")
	assert.EqualValues(t, out[41], out[31])
}

func TestGlyphs(t *testing.T) {
	for _, shape := range []Shape{{40, 28, 28, 1}, {40, 32, 24, 3}} {
		set, err := Glyphs(shape, 1)
		require.NoError(t, err)
		different := map[string]bool{}
		for i := range set.N {
			different[string(set.Image(i))] = true
			low, high := slices.Min(set.Image(i)), slices.Max(set.Image(i))
			assert.Greater(t, high, low, "image %d shows something", i)
		}
		assert.Greater(t, len(different), 30)
		head, err := Glyphs(Shape{5, shape.H, shape.W, shape.C}, 1)
		require.NoError(t, err)
		assert.Equal(t, head.Pixels(), set.Head(5).Pixels(), "a smaller set is the head")
	}
	_, err := Glyphs(Shape{1, 28, 28, 2}, 1)
	assert.ErrorContains(t, err, "use 1 or 3")
}
