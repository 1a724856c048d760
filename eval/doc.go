// Package eval measures what a model makes and knows: Fréchet distances between sets of images on
// the features of any network, and AUROC of scores that should tell inliers from outliers.
//
// Statistics are float64 from the sums on. A Fréchet distance carries the name of its features; it
// is an FID only on Inception's.
//
//	features, err := eval.FashionFeatures()
//	defer features.Close()
//	a, err := eval.Measure(ctx, features, samples, nil)
//	b, err := eval.Measure(ctx, features, testSet, nil)
//	fd, err := eval.Frechet(a, b)
package eval
