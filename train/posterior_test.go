package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/torch"
)

func TestERMReconstructsWithStatisticsOfItsOwnLatents(t *testing.T) {
	folder := t.TempDir()
	images := filepath.Join(folder, "bars.npz")
	require.NoError(t, data.WriteNPZ(images, bars(t)))
	cfg, dir := tiny(), filepath.Join(folder, "run")
	cfg.Target, cfg.Data.Name, cfg.Data.Path = ERM, "bars", images
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	before := statistics(t, m)

	_, err = m.Reconstruct(cancelled(t), bars(t), ReconstructOptions{})
	assert.ErrorIs(t, err, context.Canceled)
	prior, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{Prior: true})
	require.NoError(t, err)
	posterior, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{})
	require.NoError(t, err)
	require.NoError(t, m.NoPosterior)
	assert.Less(t, posterior.MSE, prior.MSE, "the ELBO trained G with these statistics")
	assert.Equal(t, before, statistics(t, m), "samples of G keep those of the prior, bit for bit")

	// The statistics are the mean over batches of the latents of training images.
	seen, err := cfg.Open(data.Train)
	require.NoError(t, err)
	defer seen.Close()
	require.NoError(t, torch.Do(func() error {
		x := cfg.Data.Range.FromUnit(seen.Floats())
		latent := m.draw(x, torch.NewRNG(cfg.Seed, 0, "posterior").Rows(0))
		h := m.G.In.Forward(latent).Reshape(-1, cfg.Generator.Widths[0], 4, 4)
		want := h.MeanDim(0, 2, 3)
		got := m.posteriorG.Blocks[0].BN1.RunningMean
		assert.InDeltaSlice(t, torch.ToSlice[float32](want), torch.ToSlice[float32](got), 1e-5)
		return nil
	}))

	kept := filepath.Join(dir, posteriorFile(cfg.Steps, ""))
	long := time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(kept, long, long))
	packed := filepath.Join(folder, "packed")
	warnings, err := Pack(t.Context(), dir, lastCheckpoint, packed)
	require.NoError(t, err)
	assert.Empty(t, warnings)
	require.NoError(t, os.Remove(images))
	p, err := LoadModel(packed, torch.Device{})
	require.NoError(t, err)
	defer p.Close()
	small, err := p.Reconstruct(t.Context(), bars(t), ReconstructOptions{})
	require.NoError(t, err)
	require.NoError(t, p.NoPosterior)
	assert.InDelta(t, posterior.MSE, small.MSE, 1e-3, "a packed run has them too, in half precision")
	again, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer again.Close()
	same, err := again.Reconstruct(t.Context(), bars(t), ReconstructOptions{})
	require.NoError(t, err)
	assert.Equal(t, posterior.MSE, same.MSE, "they are read from the run's folder, without the images")
	info, err := os.Stat(kept)
	require.NoError(t, err)
	assert.Equal(t, long, info.ModTime())

	require.NoError(t, os.Remove(kept))
	without, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer without.Close()
	fallen, err := without.Reconstruct(t.Context(), bars(t), ReconstructOptions{})
	require.NoError(t, err)
	assert.Equal(t, prior.MSE, fallen.MSE)
	assert.ErrorContains(t, without.NoPosterior, "open the training images: ")
}
