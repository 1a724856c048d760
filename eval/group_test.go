package eval

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestTheNumberOfProcessesDoesNotChangeAMeasurement(t *testing.T) {
	ended := torchtest.Processes(t, 3, func(o torch.GroupOptions) {
		g, err := torch.JoinGroup(t.Context(), o)
		require.NoError(t, err)
		defer g.Close()
		torchtest.Scope(t, func() {
			values := torch.NewRNG(1, 0, "rows").Normal(4*measureBatch+3, 6) // five batches
			features, set := rows{values}, indexes(t, values.Size(0))
			images, alone := FromSet(set), FromSet(set)
			images.Group = g
			last := 0
			stats, input, err := MeasureImages(t.Context(), features, images, func(done int) { last = done })
			require.NoError(t, err)
			want, wantInput, err := MeasureImages(t.Context(), features, alone, nil)
			require.NoError(t, err)
			assert.Equal(t, want, stats, "to the last bit")
			assert.Equal(t, wantInput, input)
			assert.Equal(t, set.N, last)

			e, _, err := Embed(t.Context(), features, images, nil)
			require.NoError(t, err)
			defer e.Close()
			assert.True(t, values.Equal(e.X))

			if g.Rank() == 2 {
				set.Pixels()[1]++
			}
			_, _, err = MeasureImages(t.Context(), features, images, nil)
			assert.ErrorContains(t, err, "rank 0 and rank 2 of 3 were started differently: SHA-256 of the images is ")
		})
	})
	torchtest.Succeeded(t, ended)
}
