package train

import (
	"fmt"
	"image"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

// picturesOf is a folder of a few pictures.
func picturesOf(t *testing.T, width, height int, gray bool) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 10 {
		var img image.Image
		if one := image.NewGray(image.Rect(0, 0, width, height)); gray {
			one.Pix[i] = 255
			img = one
		} else {
			four := image.NewNRGBA(one.Rect)
			for at := range four.Pix {
				four.Pix[at] = uint8(255 - at%4*i)
			}
			for at := 3; at < len(four.Pix); at += 4 {
				four.Pix[at] = 255
			}
			img = four
		}
		require.NoError(t, data.WritePNG(filepath.Join(dir, fmt.Sprint(i, ".png")), img))
	}
	return dir
}

func TestImagesChooseChannelsAndNetworks(t *testing.T) {
	for name, c := range map[string]struct {
		width, height, size int
		gray                bool
		preset              string
		side, channels      int
	}{
		"as they are":          {32, 32, 0, false, "small-em", 32, 3},
		"gray, enlarged":       {28, 28, 0, true, "small-em", 32, 1},
		"between two rungs":    {48, 48, 0, false, "small-em", 32, 3},
		"nearly a rung":        {60, 60, 0, false, "medium-em", 64, 3},
		"not square":           {80, 64, 0, false, "medium-em", 64, 3},
		"large":                {300, 300, 0, false, "large-em", 256, 3},
		"a size that is asked": {60, 60, 128, false, "large-em", 128, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := Sources{Data: picturesOf(t, c.width, c.height, c.gray), Size: c.size}
			cfg, err := s.Resolve()
			require.NoError(t, err)
			ssl, err := s.ResolveSSL()
			require.NoError(t, err)
			assert.Equal(t, []any{c.preset, c.side, c.channels}, []any{cfg.Preset, cfg.Data.Size, cfg.Energy.Channels})
			assert.Equal(t, cfg.Data, ssl.Data)
			assert.Equal(t, c.channels, ssl.Encoder.Channels)
			assert.LessOrEqual(t, max(cfg.Batch, ssl.Batch), 9, "a batch is no larger than the training images")
			set, err := cfg.Open(data.Train)
			require.NoError(t, err)
			defer set.Close()
			assert.Equal(t, []int{c.side, c.side, c.channels}, []int{set.H, set.W, set.C})
		})
	}
}

func TestRelativePathsOfDataAreFoundFromOtherFolders(t *testing.T) {
	photos := picturesOf(t, 32, 32, false)
	t.Chdir(filepath.Dir(photos))
	for name, s := range map[string]Sources{
		"--data":    {Data: filepath.Base(photos)},
		"data.name": {Preset: "small-em", Set: []string{"data.scale=true", "data.name=" + filepath.Base(photos)}},
		"data.path": {Preset: "small-em", Set: []string{"data.scale=true", "data.name=mine", "data.path=" + filepath.Base(photos)}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := s.Resolve()
			require.NoError(t, err)
			t.Chdir(t.TempDir())
			set, err := cfg.Open(data.Train)
			require.NoError(t, err)
			require.NoError(t, set.Close())
		})
	}
}

func TestAPresetTakesDataOfItsShape(t *testing.T) {
	photos := picturesOf(t, 64, 64, false)
	_, err := Sources{Preset: "fmnist-em", Data: photos}.Resolve()
	assert.ErrorContains(t, err, "images of 64×64 pixels, and the networks of fmnist-em read 32×32: give size 32 to resize them, or no preset")
	_, err = Sources{Preset: "fmnist-em", Data: photos, Size: 64}.Resolve()
	assert.ErrorContains(t, err, "give size 32, or no preset")
	cfg, err := Sources{Preset: "fmnist-em", Data: photos, Size: 32}.Resolve()
	require.NoError(t, err)
	assert.Equal(t, []int{3, 3, 3}, []int{cfg.Energy.Channels, cfg.Generator.Channels, cfg.Inference.Channels})
	cfg, err = Sources{Preset: "fmnist-em", Data: "mnist"}.Resolve()
	require.NoError(t, err)
	assert.Equal(t, []any{"mnist", "", 0.0}, []any{cfg.Data.Name, cfg.Data.Path, cfg.Views.FlipProb}, "digits are not flipped")
	_, err = Sources{Preset: "small-em"}.Resolve()
	require.NoError(t, err, "a rung has a config without data, to plan with")
	_, err = Sources{Data: photos + "/nothing"}.Resolve()
	assert.ErrorContains(t, err, "no file or folder")
}
