package eval

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestBothFormsOfTorchSaveAreRead(t *testing.T) {
	for _, form := range []string{"zip", "legacy"} {
		torchtest.Run(t, form, func(t *testing.T) {
			state, err := readState("testdata/state." + form + ".pth")
			require.NoError(t, err)
			got := map[string]torch.Tensor{}
			for _, e := range state {
				got[e.Name] = e.Tensor
				defer e.Tensor.Close()
			}
			require.Len(t, got, 3, "num_batches_tracked is nothing to eval mode")
			plain := torch.Arange(24).To(torch.Float32).Reshape(2, 3, 4)
			assert.True(t, got["plain"].Equal(plain))
			assert.True(t, got["permuted"].Equal(plain.Permute(2, 0, 1)), "strides are followed")
			assert.True(t, got["part"].Equal(plain.Flatten(0).Narrow(0, 5, 3)), "so are offsets")
		})
	}
}

func TestOtherPicklesAreRefused(t *testing.T) {
	before := torch.Live()
	for path, want := range map[string]string{
		"testdata/evil.pth":      "posix.getcwd",
		"testdata/double.pth":    "use float32",
		"testdata/state.py":      "testdata/state.py: ",
		"testdata/inception.npz": "without the data.pkl",
	} {
		_, err := readState(path)
		assert.ErrorContains(t, err, want)
	}
	assert.Equal(t, before, torch.Live())
}
