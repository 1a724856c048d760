package train

import "github.com/liebm/liebm/models"

// EncoderFor is the shape of h that goes with a config: ResNet-18 in the design of W-MSE's official code, with the
// stem for the image size, and images normalised to mean ½ and standard deviation ¼.
func EncoderFor(c Config) models.EncoderConfig {
	stem, widths, blocks, head := "small", []int{64, 128, 256, 512}, []int{2, 2, 2, 2}, 1024
	switch {
	case c.Data.Size >= 128:
		stem = "large"
	case c.Data.Size >= 64:
		stem = "medium"
	}
	mean, std := make([]float64, c.Energy.Channels), make([]float64, c.Energy.Channels)
	for i := range mean {
		mean[i], std[i] = 0.5, 0.25
	}
	if c.Data.Name == "fmnist" { // narrow, for minutes on two CPU cores
		widths, blocks, head = []int{16, 32, 64, 128}, []int{1, 1, 1, 1}, 256
	}
	return models.EncoderConfig{Channels: c.Energy.Channels, Stem: stem, Widths: widths, Blocks: blocks,
		HeadDim: head, LatentDim: c.Energy.LatentDim, Mean: mean, Std: std}
}
