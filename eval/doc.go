// Package eval measures what a model makes and knows: FID, KID, precision and recall, and the
// inception score of images; detection of outliers by scores; PSNR and SSIM of pairs; probes and
// t-SNE of features.
//
// Every figure depends on more than the images, so [Record] keeps that beside it: n, seed, SHA-256
// of data and weights, network, mode and versions. Sums are float64 and do not depend on the batch,
// images are read a batch at a time, and a Fréchet distance is called FID ([DistanceName]) only on
// the features that FID is defined on.
//
//	net, err := eval.OpenInception("pt_inception-2015-12-05-6726825d.pth", eval.PyTorch, torch.Device{})
//	defer net.Close()
//	samples, err := eval.OpenFolder("samples", eval.OpenOptions{})
//	a, input, err := eval.MeasureImages(ctx, net, samples, nil)
//	b, _, err := eval.ReadStats("cifar10-train.npz")
//	d, err := eval.Frechet(a, b)
//	fmt.Println(eval.DistanceName(a, b), d)
package eval
