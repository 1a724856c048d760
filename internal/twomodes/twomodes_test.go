package twomodes

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

func TestBothModesAreCounted(t *testing.T) {
	set, err := Images()
	require.NoError(t, err)
	all := Count(set)
	assert.Equal(t, []float64{0.5, 0.5}, []float64{all.Left, all.Right})
	assert.InDelta(t, 24, all.Distance, 2, "the variance of 17 equally frequent levels")

	grey := slices.Repeat([]byte{128}, Size*Size)
	some, err := data.New(data.Shape{N: 4, H: Size, W: Size, C: 1}, slices.Concat(set.Image(0), set.Image(2), set.Image(1), grey), nil)
	require.NoError(t, err)
	c := Count(some)
	assert.Equal(t, []float64{0.5, 0.25}, []float64{c.Left, c.Right}, "a grey image shows neither")
	assert.InDelta(t, (3*24+4096)/4.0, c.Distance, 10)
}
