package eval

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

func TestModesOfTheDataAndOfOneImage(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 60,000 images")
	}
	if known, err := data.Lookup("stacked-fmnist"); err == nil {
		if _, err := known.Locate(""); err != nil {
			t.Skip("needs Fashion-MNIST")
		}
	}
	c, err := FashionFeatures()
	require.NoError(t, err)
	defer c.Close()
	set, err := data.Open("stacked-fmnist", data.Options{Split: data.Test, Size: 32})
	require.NoError(t, err)
	defer set.Close()

	some := set.Head(1000)
	m, err := ModesOf(t.Context(), c, some)
	require.NoError(t, err)
	// Of 1,000 balls in 1,000 boxes 1/e = 368 boxes stay empty, ±12.
	assert.InDelta(t, 632, m.Covered, 40)

	one, err := ModesOf(t.Context(), c, set.Subset(make([]int, 50)))
	require.NoError(t, err)
	assert.Equal(t, 1, one.Covered)
	assert.InDelta(t, math.Log(1000), one.KL, 1e-9)

	gray, err := data.Open("fmnist", data.Options{Split: data.Test})
	require.NoError(t, err)
	defer gray.Close()
	_, err = ModesOf(t.Context(), c, gray.Head(3))
	assert.ErrorContains(t, err, "use colour images")
}

func TestClassKLComparesSharesOfClasses(t *testing.T) {
	c, err := FashionFeatures()
	require.NoError(t, err)
	defer c.Close()
	set, err := data.Open("fmnist", data.Options{Split: data.Test})
	require.NoError(t, err)
	defer set.Close()
	some := set.Head(100)
	same, err := ClassKL(t.Context(), c, some, some)
	require.NoError(t, err)
	assert.Zero(t, same)

	classes, err := c.Classify(t.Context(), some)
	require.NoError(t, err)
	var first []int
	for i, class := range classes {
		if class == classes[0] {
			first = append(first, i)
		}
	}
	one, err := ClassKL(t.Context(), c, some.Subset(first), some)
	require.NoError(t, err)
	assert.InDelta(t, math.Log(100/float64(len(first))), one, 1e-9, "a class alone: log 1/u")
	rest, err := ClassKL(t.Context(), c, some, some.Subset(first))
	require.NoError(t, err)
	assert.True(t, math.IsInf(rest, 1), "real images lack a class")
}
