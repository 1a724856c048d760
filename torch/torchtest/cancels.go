package torchtest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// Cancels runs job to its end, then again and again with a context that ends when the job looks at it
// for the first time, the second, and so on (a dozen of them, evenly, where there are more). Each
// time the job must return context.Canceled, and no tensor may be left.
func Cancels(t *testing.T, job func(ctx context.Context) error) {
	t.Helper()
	before := torch.Live()
	whole := endsAt(t, 0)
	require.NoError(t, job(whole))
	require.Equal(t, before, torch.Live(), "tensors outlived the job")
	looks := whole.looks.Load()
	require.Positive(t, looks, "the job never looks at its context")
	for look := int64(1); look <= looks; look += 1 + looks/12 {
		require.ErrorIs(t, job(endsAt(t, look)), context.Canceled, "look %d of %d", look, looks)
		require.Equal(t, before, torch.Live(), "tensors outlived a job that ended at look %d of %d", look, looks)
	}
}

// counting is a context that ends itself when Err is called for the last time that it allows.
type counting struct {
	context.Context
	end   context.CancelFunc
	looks atomic.Int64
	last  int64
}

// endsAt returns a context that ends at a look; 0: never.
func endsAt(t *testing.T, last int64) *counting {
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	return &counting{Context: ctx, end: end, last: last}
}

func (c *counting) Err() error {
	if c.looks.Add(1) == c.last {
		c.end()
	}
	return c.Context.Err()
}
