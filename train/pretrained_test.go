package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func TestRunsThatComeWithLiebmOpen(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	assert.Equal(t, []string{"pretrained:fmnist"}, PretrainedRuns())
	for _, name := range PretrainedRuns() {
		dir, err := RunFolder(name)
		require.NoError(t, err)
		_, err = Check(dir)
		require.NoError(t, err)
		m, err := LoadModel(dir, torch.Device{})
		require.NoError(t, err)
		assert.Equal(t, 0.1, m.Config.ScoreGamma)
		assert.Equal(t, 1, m.Config.BatchSplit)
		m.Close()
		again, err := RunFolder(name)
		require.NoError(t, err)
		assert.Equal(t, dir, again, "it is unpacked once")
	}
}

func TestRunFolder(t *testing.T) {
	dir, err := RunFolder("runs/em")
	require.NoError(t, err)
	assert.Equal(t, "runs/em", dir, "a folder is itself")
	_, err = RunFolder("pretrained:fminst")
	assert.ErrorContains(t, err, "did you mean pretrained:fmnist?")
}

func TestRunsThatComeWithLiebmNeedNoHome(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	t.Setenv("TMPDIR", t.TempDir())
	dir, err := RunFolder("pretrained:fmnist")
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(dir, configFile))
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary is left")
}
