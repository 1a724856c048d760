//go:build long

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The encoder's folder moves into the run's at the end, once.
func TestADemoCanBeGivenAgain(t *testing.T) {
	out := filepath.Join(t.TempDir(), "demo")
	require.NoError(t, os.CopyFS(out, os.DirFS(trained(t))))
	require.NoError(t, os.CopyFS(out+"-pretraining", os.DirFS(pretrained(t))))
	for range 2 {
		text, err := run(t, "demo", "--out", out)
		require.NoError(t, err)
		assert.Regexp(t, `accuracy on features of h +0\.\d+ +5-NN\n +0\.\d+ +linear probe`, text)
		assert.Contains(t, text, "the probes of h learned from 300 training images")
		page, err := os.ReadFile(filepath.Join(out, "report.html"))
		require.NoError(t, err)
		assert.Contains(t, string(page), "accuracy on features of h")
		assert.FileExists(t, filepath.Join(out, "pretraining", "config.yaml"))
		assert.NoFileExists(t, out+"-pretraining")
		assert.FileExists(t, filepath.Join(out, "report.html"))
	}
}
