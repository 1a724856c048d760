package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func TestAFewStepsBringSamplesCloser(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for 20 steps")
	}
	torch.SetThreads(1) // tests of other packages run beside these
	before, picture := torch.Live(), filepath.Join(t.TempDir(), "samples.png")
	untrained, err := run(context.Background(), 1, 100, picture)
	require.NoError(t, err)
	trained, err := run(context.Background(), 20, 100, picture)
	require.NoError(t, err)
	assert.Less(t, trained, untrained)
	assert.FileExists(t, picture)
	assert.Equal(t, before, torch.Live())
}

func TestACancelledRunSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := run(ctx, 10, 10, filepath.Join(t.TempDir(), "samples.png"))
	assert.ErrorIs(t, err, context.Canceled)
}
