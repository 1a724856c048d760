package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

func TestAFolderOfPicturesBecomesSamples(t *testing.T) {
	if testing.Short() {
		t.Skip("trains an encoder and a model")
	}
	images, out := filepath.Join(t.TempDir(), "discs"), filepath.Join(t.TempDir(), "runs")
	require.NoError(t, draw(images, 40))
	require.NoError(t, run(context.Background(), images, out, 2))
	file, err := os.ReadFile(filepath.Join(out, "samples.png"))
	require.NoError(t, err)
	samples, err := data.DecodePicture(file)
	require.NoError(t, err)
	assert.Equal(t, 8*(size+2)+2, samples.H)
	assert.Equal(t, 3, samples.C)
}
