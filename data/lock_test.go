package data

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALockIsOfTheFileThatHasTheName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	first, err := LockFile(path, false)
	require.NoError(t, err)
	_, err = LockFile(path, false)
	require.ErrorIs(t, err, ErrInUse)

	const waiting = 4
	started, ended := make(chan bool, waiting), make(chan error, waiting)
	for range waiting {
		go func() {
			started <- true
			lock, err := LockFile(path, true)
			if err == nil {
				var text []byte
				if text, err = os.ReadFile(path); err == nil {
					err = WriteBytes(path, append(text, 'x'))
				}
			}
			if err == nil {
				err = lock.Close()
			}
			ended <- err
		}()
	}
	for range waiting {
		<-started
	}
	require.NoError(t, WriteBytes(path, []byte("x"))) // another file takes the name, while some wait for this one
	require.NoError(t, first.Close())
	for range waiting {
		require.NoError(t, <-ended)
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "xxxxx", string(text), "nobody overwrote another's")
}

func TestTwoPreparesOfOneFileLeaveItWhole(t *testing.T) {
	dir, out := album(t, 30), filepath.Join(t.TempDir(), "set.liebm")
	want := mustPrepare(t, dir, out, PrepareOptions{})
	for range 5 {
		const callers = 4
		require.NoError(t, os.Remove(out))
		ended := make(chan error, callers)
		for range callers {
			go func() {
				report, err := Prepare(t.Context(), dir, out, PrepareOptions{})
				if err == nil {
					assert.Equal(t, want.Pixels, report.Pixels)
				}
				ended <- err
			}()
		}
		for range callers {
			if err := <-ended; err != nil {
				assert.ErrorContains(t, err, "another process is preparing it; wait for that one")
			}
		}
		require.NoError(t, VerifyPrepared(out))
		assert.NoFileExists(t, out+".partial")
		assert.NoFileExists(t, out+".journal")
	}
}
