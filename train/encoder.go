package train

import (
	"os"
	"path/filepath"

	"github.com/liebm/liebm/models"
)

// EncoderFor returns the shape of h for a config: ResNet-18, as in W-MSE's code, with the stem
// for the image size. For the presets that train in minutes on two CPU cores, h is narrow, and its stages begin at half the
// image's size or less. A step of pretraining then takes half as long as with stages that begin at full size. After the same
// number of steps the probes are almost as good.
func EncoderFor(c Config) models.EncoderConfig {
	first, widths, blocks, head := stem(c.Data.Size), []int{64, 128, 256, 512}, []int{2, 2, 2, 2}, 1024
	if p := presetOf(c.Preset); p.config != nil && p.epochs == 0 {
		first, widths, blocks, head = stem(max(64, c.Data.Size)), []int{16, 64, 128, 256}, []int{1, 1, 1, 1}, 256
	}
	return models.EncoderConfig{Channels: c.Energy.Channels, Stem: first, Widths: widths, Blocks: blocks,
		HeadDim: head, LatentDim: c.Energy.LatentDim}
}

// stem is the first layer of h for an image size.
func stem(size int) string {
	switch {
	case size >= 128:
		return "large"
	case size >= 64:
		return "medium"
	}
	return "small"
}

// EncoderPath returns the path of the encoder in the folder of a pretraining run. It returns path itself if
// that is a file.
func EncoderPath(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, encoderFile)
	}
	return path
}
