//go:build long

package study

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
)

func TestThePapersScaleMeasuresFIDAndIS(t *testing.T) {
	pixels := make([]byte, 12*32*32*3)
	for i := range pixels {
		pixels[i] = byte(i * i / 7)
	}
	set, err := data.New(data.Shape{N: 12, H: 32, W: 32, C: 3}, pixels, nil)
	require.NoError(t, err)
	npz := filepath.Join(t.TempDir(), "images.npz")
	require.NoError(t, data.WriteNPZ(npz, set))
	out, sc := t.TempDir(), tiny(Paper(modelstest.InceptionFile(t)), npz)
	sc.Steps, sc.Samples, sc.Along = 2, 12, 12
	sc.Set = append(sc.Set, "batch=2", "log.samples=2")
	results, err := reproduce(t.Context(), t, sc, out, Setup{}, []string{"em"}, nil, "table1")
	require.NoError(t, err)
	em := newFolder(filepath.Join(out, "paper", "cifar10"), "cifar10", sc).cell("em")
	r, trained, err := em.read(1)
	require.NoError(t, err)
	require.True(t, trained)
	for _, key := range []string{"fid", "fid_no_mcmc", "is", "is_no_mcmc", "seconds", "auroc/constant", "auroc_energy/constant", "fid_early"} {
		assert.Contains(t, r.Values, key)
	}
	assert.NotContains(t, r.Values, "auroc/svhn", "a set that is not on this machine is left out")
	assert.Equal(t, 2.0, r.Values["nfe"])
	assert.GreaterOrEqual(t, r.Values["is"], 1.0)
	assert.Equal(t, []float64{r.Values["fid"]}, results["table1"].labelled(t, "LIEBM-EM").values("FID"))
	require.Len(t, r.Curve, 1, "FID is measured in the course of training")

	fig6, err := Named("fig6")
	require.NoError(t, err)
	p, err := NewPlan(sc, []Study{fig6}, PlanOptions{Out: out})
	require.NoError(t, err)
	_, err = p.Run(t.Context(), Setup{})
	assert.ErrorContains(t, err, "the scale paper trains on a GPU, and the device is cpu")
	sc.Weights = ""
	assert.ErrorContains(t, sc.ready(torch.Device{Type: torch.CUDA}), "needs Inception's weights")
}
