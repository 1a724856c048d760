package eval_test

import (
	"fmt"

	"github.com/liebm/liebm/eval"
)

// Two Gaussians, N(0, 1) and N(3, 4): (0 − 3)² + (1 − 2)².
func ExampleFrechet() {
	a := &eval.Stats{Features: "a toy", N: 100, Mean: []float64{0}, Cov: [][]float64{{1}}}
	b := &eval.Stats{Features: "a toy", N: 100, Mean: []float64{3}, Cov: [][]float64{{4}}}
	distance, err := eval.Frechet(a, b)
	fmt.Printf("%s %.1f %v\n", eval.DistanceName(a, b), distance, err)

	b.Features = "another toy"
	_, err = eval.Frechet(a, b)
	fmt.Println(err)
	// Output:
	// Fréchet distance 10.0 <nil>
	// statistics of different features: 1 of a toy and 1 of another toy; measure both with the same weights and mode
}

// Inliers should score high.
func ExampleDetect() {
	inliers, outliers := []float64{0.9, 0.8, 0.7, 0.4}, []float64{0.5, 0.3, 0.2, 0.1}
	d, err := eval.Detect(inliers, outliers)
	fmt.Printf("AUROC %.4f, FPR@95 %.2f, %v\n", d.AUROC, d.FPR95Out, err)
	// Output: AUROC 0.9375, FPR@95 0.25, <nil>
}
