package eval

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKNNIsAVoteOfTheNearest(t *testing.T) {
	train, labels := [][]float32{{0}, {1}, {2}, {10}, {11}}, []int32{0, 0, 1, 1, 1}
	for name, c := range map[string]struct {
		at   float32
		k    int
		want int32
	}{"the nearest": {1.9, 1, 1}, "outvoted": {1.9, 3, 0}, "all": {0, 5, 1}, "a tie goes to the smallest": {1.9, 2, 0}} {
		share, err := KNN(t.Context(), train, labels, [][]float32{{c.at}}, []int32{c.want}, c.k)
		require.NoError(t, err)
		assert.Equal(t, 1.0, share, name)
	}
	_, err := KNN(t.Context(), train, nil, [][]float32{{1}}, []int32{0}, 1)
	assert.ErrorContains(t, err, "give a labelled data set")
	_, err = KNN(t.Context(), train, labels, [][]float32{{1}}, []int32{0}, 6)
	assert.ErrorContains(t, err, "k from 1")
}

func TestKNNAgreesWithSearchingByHand(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	draw := func(n int) (rows [][]float32, labels []int32) {
		for range n {
			c := int32(r.IntN(3))
			rows = append(rows, []float32{float32(r.NormFloat64()) + float32(c), float32(r.NormFloat64())})
			labels = append(labels, c)
		}
		return rows, labels
	}
	train, trainLabels := draw(60)
	test, testLabels := draw(knnBatch + 20)
	right := 0
	for i, x := range test {
		best := 0
		square := func(j int) float32 {
			a, b := x[0]-train[j][0], x[1]-train[j][1]
			return a*a + b*b
		}
		for j := range train {
			if square(j) < square(best) {
				best = j
			}
		}
		if trainLabels[best] == testLabels[i] {
			right++
		}
	}
	got, err := KNN(t.Context(), train, trainLabels, test, testLabels, 1)
	require.NoError(t, err)
	assert.InDelta(t, float64(right)/float64(len(test)), got, 1e-9)
}
