//go:build long

package study

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func TestMethodsAreComparedAfterEqualTime(t *testing.T) {
	out, before := t.TempDir(), torch.Live()
	sc := tiny(Mini(), "fmnist")
	sc.TimeShare = 0.002 // 0.2 s
	methods := []string{"dcgan-100s", "vae-100s", "none-100s", "em-100s"}
	results, err := reproduce(t.Context(), t, sc, out, Setup{}, methods, nil, "time")
	require.NoError(t, err)
	r := results["time"]
	for _, label := range []string{"DCGAN, 100 s", "VAE, 100 s", "EBM without latents, 100 s", "EM, 100 s"} {
		for _, column := range r.Columns {
			require.Len(t, r.labelled(t, label).values(column), 1, "%s, %s", label, column)
		}
		row := r.labelled(t, label)
		assert.Positive(t, row.values("seconds of training")[0], label) // near 0.2, but no test depends on the speed of a machine
		assert.Positive(t, row.values("training images a second")[0], label)
		for _, share := range []string{"precision", "recall"} {
			assert.True(t, row.values(share)[0] >= 0 && row.values(share)[0] <= 1, "%s, %s", label, share)
		}
	}
	alone := r.labelled(t, "EM, 100 s, G alone")
	require.Len(t, alone.values("FD"), 1)
	assert.Less(t, alone.values("seconds a sample")[0], r.labelled(t, "EM, 100 s").values("seconds a sample")[0])
	assert.Empty(t, r.labelled(t, "ERM, 100 s").Ours, "it was not trained")
	assert.Contains(t, r.Setting, "trainings of equal time")
	require.Len(t, r.Cells, 4)
	for _, c := range r.Cells {
		assert.Contains(t, string(c.Config), `"fmnist"`, c.Name)
	}

	again, err := reproduce(t.Context(), t, sc, out, Setup{}, methods, nil, "time")
	require.NoError(t, err)
	assert.Equal(t, r.Cells, again["time"].Cells, "what is trained and measured stays")
	assert.Equal(t, before, torch.Live())
}
