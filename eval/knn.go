package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/liebm/liebm/torch"
)

// knnBatch is how many test rows are compared with all training rows at once.
const knnBatch = 500

// KNN is the share of test rows whose class is the most frequent one among the k nearest training
// rows by Euclidean distance; the smallest class wins a tie, as in scikit-learn's
// KNeighborsClassifier. Features are rows of equal length. It opens a scope of its own.
func KNN(ctx context.Context, trainFeatures [][]float32, trainLabels []int32, testFeatures [][]float32, testLabels []int32, k int) (float64, error) {
	if k < 1 || k > len(trainFeatures) || len(testFeatures) == 0 {
		return 0, fmt.Errorf("k-NN with k = %d on %d training and %d test rows: give test rows, and k from 1 to the number of training rows", k, len(trainFeatures), len(testFeatures))
	}
	if len(trainLabels) != len(trainFeatures) || len(testLabels) != len(testFeatures) {
		return 0, fmt.Errorf("k-NN: %d and %d labels for %d training and %d test rows: give a labelled data set", len(trainLabels), len(testLabels), len(trainFeatures), len(testFeatures))
	}
	right := 0
	err := torch.Do(func() error {
		train := matrix(trainFeatures)
		for start := 0; start < len(testFeatures); start += knnBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			rows := testFeatures[start:min(start+knnBatch, len(testFeatures))]
			torch.Tidy(func() torch.Tensor {
				distance := torch.Call("aten::cdist", matrix(rows), train).Tensor(0)
				nearest := torch.Call("aten::topk", distance, k, 1, false).Tensor(1) // the k smallest
				index := torch.ToSlice[int64](nearest.Flatten(0))
				for i := range rows {
					if majority(index[i*k:(i+1)*k], trainLabels) == testLabels[start+i] {
						right++
					}
				}
				return torch.Tensor{}
			})
		}
		return nil
	})
	return float64(right) / float64(len(testFeatures)), err
}

func matrix(rows [][]float32) torch.Tensor {
	return torch.FromSlice(slices.Concat(rows...), len(rows), len(rows[0]))
}

// majority is the most frequent label of these rows, the smallest of equals.
func majority(rows []int64, labels []int32) int32 {
	votes := map[int32]int{}
	for _, i := range rows {
		votes[labels[i]]++
	}
	best := labels[rows[0]]
	for label, n := range votes {
		if n > votes[best] || (n == votes[best] && label < best) {
			best = label
		}
	}
	return best
}
