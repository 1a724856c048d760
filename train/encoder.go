package train

import "github.com/liebm/liebm/models"

// EncoderFor returns the shape of h for a config: ResNet-18, as in W-MSE's code, with the stem
// for the image size.
func EncoderFor(c Config) models.EncoderConfig {
	stem, widths, blocks, head := "small", []int{64, 128, 256, 512}, []int{2, 2, 2, 2}, 1024
	switch {
	case c.Data.Size >= 128:
		stem = "large"
	case c.Data.Size >= 64:
		stem = "medium"
	}
	if c.Data.Name == "fmnist" { // narrow, so that it trains in minutes on two CPU cores
		widths, blocks, head = []int{16, 32, 64, 128}, []int{1, 1, 1, 1}, 256
	}
	return models.EncoderConfig{Channels: c.Energy.Channels, Stem: stem, Widths: widths, Blocks: blocks,
		HeadDim: head, LatentDim: c.Energy.LatentDim, Mean: []float64{}, Std: []float64{}}
}
