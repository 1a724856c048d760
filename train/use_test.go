package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

// tinyModel is a model that was trained on bars for a few steps. When the test ends nothing of it may
// be left.
func tinyModel(t *testing.T, settings ...string) *Model {
	t.Helper()
	before := torch.Live()
	dir := filepath.Join(t.TempDir(), "run")
	cfg, h := withSettings(t, settings), ""
	if cfg.NeedsEncoder() {
		h = encoder(t)
	}
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: dir}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(func() {
		m.Close()
		assert.Equal(t, before, torch.Live(), "a use keeps nothing")
	})
	return m
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// sameImages compares two sets up to one level: batches of other lengths may round differently.
func sameImages(t *testing.T, want, got *data.Set) {
	t.Helper()
	require.Equal(t, want.Shape, got.Shape)
	for i, v := range want.Pixels() {
		require.InDelta(t, v, got.Pixels()[i], 1, "byte %d", i)
	}
}

func TestReconstruct(t *testing.T) {
	m := tinyModel(t, "target=erm", "steps=200", "log.checkpoint=200")
	seen := 0
	plain, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{Watch: func(done int) { seen = done }})
	require.NoError(t, err)
	assert.Equal(t, bars(t).N, seen)
	assert.Equal(t, bars(t).Shape, plain.Images.Shape)
	assert.InDelta(t, plain.MSE/4, plain.MSEUnit, 1e-12, "the range [−1,1] is twice as wide")
	assert.InDelta(t, unitMSE(bars(t), plain.Images), plain.MSEUnit, 0.005, "of the images, but for rounding")

	o := ReconstructOptions{L: 10, Sigma: 0.1, Seed: 3}
	refined, err := m.Reconstruct(t.Context(), bars(t), o)
	require.NoError(t, err)
	assert.Less(t, refined.MSE, plain.MSE)
	few, err := m.Reconstruct(t.Context(), bars(t).Head(3), o)
	require.NoError(t, err)
	sameImages(t, refined.Images.Head(3), few.Images)

	_, err = m.Reconstruct(cancelled(t), bars(t), o)
	assert.ErrorIs(t, err, context.Canceled)
	wide, err := bars(t).Pad(16)
	require.NoError(t, err)
	_, err = m.Reconstruct(t.Context(), wide, o)
	assert.ErrorContains(t, err, "the model's are 8×8 with 1 channels")
	_, err = m.Reconstruct(t.Context(), bars(t), ReconstructOptions{L: -1})
	assert.ErrorContains(t, err, "-1")
}

// unitMSE is the mean squared difference of two sets' pixels in [0,1].
func unitMSE(a, b *data.Set) (mse float64) {
	for i, v := range a.Pixels() {
		d := (float64(v) - float64(b.Pixels()[i])) / 255
		mse += d * d / float64(len(a.Pixels()))
	}
	return mse
}

func TestUsesThatNeedQSayHowToGetOne(t *testing.T) {
	m := tinyModel(t)
	_, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{})
	assert.ErrorContains(t, err, "liebm train-q")
}
