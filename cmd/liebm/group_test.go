package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPretrainingIsRankZeros(t *testing.T) {
	t.Setenv("WORLD_SIZE", "2")
	t.Setenv("RANK", "1")
	out := filepath.Join(t.TempDir(), "encoder")
	_, err := run(t, "pretrain", "--preset", "fmnist-simclr", "--out", out)
	require.NoError(t, err)
	assert.NoDirExists(t, out)
}

func TestTrainRefusesHalfAGroup(t *testing.T) {
	t.Setenv("WORLD_SIZE", "2")
	_, err := run(t, "train", "--preset", "fmnist-em", "--encoder", "nowhere", "--out", filepath.Join(t.TempDir(), "run"))
	assert.ErrorContains(t, err, "RANK is not set")
}
