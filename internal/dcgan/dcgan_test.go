package dcgan

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

func TestStepsTrainBothNetworksAndKeepNothing(t *testing.T) {
	torch.SetThreads(1)
	before := torch.Live()
	require.NoError(t, torch.Do(func() error {
		gan := New(3, 1, torch.Device{})
		defer gan.Close()
		assert.Equal(t, 64*2048+2*(128+64+32)+16*(128*64+64*32+32*3), nn.CountParams(gan.G))
		assert.Equal(t, 16*(3*32+32*64+64*128)+2*(64+128)+2048+1, nn.CountParams(gan.D))
		gan.Generate(2, torch.NewRNG(1, 0, "m")).AssertShape(2, 3, 32, 32)
		x := torch.NewRNG(1, 0, "images").Uniform(-1, 1, 8, 3, 32, 32)
		first, _ := gan.Step(x)
		live := torch.Live()
		last := first
		for range 4 {
			torch.Tidy(func() torch.Tensor { last, _ = gan.Step(x); return torch.Tensor{} })
		}
		assert.Less(t, last, first, "D learns to tell the images from those of G")
		assert.Equal(t, live, torch.Live())
		return nil
	}))
	assert.Equal(t, before, torch.Live())
}

func TestASampleDependsOnItsIndexOnly(t *testing.T) {
	require.NoError(t, torch.Do(func() error {
		gan := New(1, 1, torch.Device{})
		defer gan.Close()
		many, err := Images(4, 7, gan.Generate)
		require.NoError(t, err)
		few, err := Images(2, 7, gan.Generate)
		require.NoError(t, err)
		for i, v := range few.Pixels() {
			assert.InDelta(t, int(many.Pixels()[i]), int(v), 1, "batches of other lengths may round differently")
		}
		return nil
	}))
}
