//go:build long

package eval

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestInceptionRunsOnItsDevice(t *testing.T) {
	torchtest.OnGPU(t, func(gpu torch.Device) {
		golden := torchtest.Load(t, "testdata/inception.npz")
		weights := modelstest.InceptionFile(t)
		means := map[Resizing][][]float64{}
		for _, device := range []torch.Device{{}, gpu} {
			net, err := OpenInception(weights, PyTorch, device)
			require.NoError(t, err)
			torchtest.Scope(t, func() {
				images := FromSet(goldenImages(t, golden, "a").Head(2))
				for _, net.Mode = range []Resizing{PyTorch, TF, Clean} {
					stats, _, err := MeasureImages(t.Context(), net, images, nil)
					require.NoError(t, err)
					means[net.Mode] = append(means[net.Mode], stats.Mean)
				}
				_, _, _, err = InceptionScore(t.Context(), net, images, ISOptions{Splits: 1}, nil)
				require.NoError(t, err)
			})
			net.Close()
		}
		for mode, m := range means {
			assert.InDeltaSlice(t, m[0], m[1], 1e-4, "%v: another convolution rounds otherwise", mode)
		}
	})
}
