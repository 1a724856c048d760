package train

import "github.com/liebm/liebm/models"

// EncoderFor is the shape of h that goes with a config: ResNet-18 (SPEC: W-MSE's design) with the
// stem for the image size, and images normalised to mean ½ and standard deviation ¼.
func EncoderFor(c Config) models.EncoderConfig {
	stem := "small"
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
	return models.EncoderConfig{Channels: c.Energy.Channels, Stem: stem, Widths: []int{64, 128, 256, 512}, Blocks: []int{2, 2, 2, 2},
		HeadDim: 1024, LatentDim: c.Energy.LatentDim, Mean: mean, Std: std}
}
