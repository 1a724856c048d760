package torchtest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// Cancels runs job once to its end. Then it runs job again with contexts that are cancelled when the job
// checks them for the first time, for the second time, and so on. If there are more than a dozen checks it
// tries a dozen of them. Each cancelled job must return context.Canceled and leave no tensor.
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

// counting is a context that is cancelled by call number last of Err.
type counting struct {
	context.Context
	end   context.CancelFunc
	looks atomic.Int64
	last  int64
}

// endsAt returns a context that is cancelled by call number last of Err; 0 means never.
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
