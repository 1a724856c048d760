// Package eval has the metrics of generative models: FID, KID, precision and recall, and the inception score of images;
// detection of outliers by scores; PSNR and SSIM of pairs of images; probes and t-SNE of features.
//
// A number depends on more than the images. [Record] keeps the rest beside it: n, seed, SHA-256 of data and weights,
// network, mode and versions. Images are read a batch at a time, and sums are float64, so that results do not depend on
// the batch. A Fréchet distance is called FID ([DistanceName]) only on the features that define FID.
//
//	net, err := eval.OpenInception("pt_inception-2015-12-05-6726825d.pth", eval.PyTorch, torch.Device{})
//	defer net.Close()
//	samples, err := eval.OpenFolder("samples", eval.OpenOptions{})
//	a, input, err := eval.MeasureImages(ctx, net, samples, nil)
//	b, _, err := eval.ReadStats("cifar10-train.npz")
//	d, err := eval.Frechet(a, b)
//	fmt.Println(eval.DistanceName(a, b), d)
package eval
