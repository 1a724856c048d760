package train

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

func writing(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// contents returns what dir holds, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		all[entry.Name()] = string(text)
	}
	return all
}

// sharedFolder holds the runs that tests share.
var sharedFolder string

// The networks of these tests are so small that a second thread would only wait.
func TestMain(m *testing.M) {
	torch.SetThreads(1)
	var err error
	if sharedFolder, err = os.MkdirTemp("", "liebm-train-test"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(sharedFolder)
	os.Exit(code)
}

// shared returns the folder of a run that train makes when a test first asks for it. Tests only read it.
func shared(t *testing.T, name string, train func(dir string) error) (dir string) {
	t.Helper()
	dir = filepath.Join(sharedFolder, name)
	if _, err := os.Stat(dir); err != nil {
		require.NoError(t, train(dir))
	}
	return dir
}

// slow skips a test that takes seconds under -short.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
}
