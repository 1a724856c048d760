package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheCourseOfEveryTrainingIsWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	out := t.TempDir()
	r, err := runAll(t.Context(), out, 2, 4)
	require.NoError(t, err)
	again, err := runAll(t.Context(), out, 2, 4)
	require.NoError(t, err)
	assert.Equal(t, r, again, "trainings that are finished are only read")
	_, err = runAll(t.Context(), out, 2, 8)
	assert.ErrorContains(t, err, "a training of 4 steps, not 8")

	text, err := os.ReadFile(filepath.Join(out, "two-modes.json"))
	require.NoError(t, err)
	var saved result
	require.NoError(t, json.Unmarshal(text, &saved))
	assert.Equal(t, r, &saved)
	require.Len(t, saved.Runs, 2)
	require.Len(t, saved.Runs[0].Course, 1)
	at := saved.Runs[0].Course[0]
	assert.Equal(t, 4, at.Step)
	assert.Positive(t, at.Move)
	assert.Positive(t, at.Distance)
	page, err := os.ReadFile(filepath.Join(out, "two-modes.md"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "| seed | step 4 | after MCMC |\n")
}
