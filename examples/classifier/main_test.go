package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func TestAFewStepsTellClassesApart(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for 30 steps")
	}
	before := torch.Live()
	share, err := run(context.Background(), "fmnist", 30, 1000)
	require.NoError(t, err)
	assert.Greater(t, share, 0.4, "chance is 0.1")
	assert.Equal(t, before, torch.Live())
}

func TestACancelledRunSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := run(ctx, "fmnist", 30, 1000)
	assert.ErrorIs(t, err, context.Canceled)
}
