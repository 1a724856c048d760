package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
)

func TestAFollowerLeavesTheWorkOfOneProcessToRankZero(t *testing.T) {
	t.Setenv("WORLD_SIZE", "2")
	t.Setenv("RANK", "1")
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"reconstruct", "--run", "nowhere", "--out", out}, {"score", "--run", "nowhere", "constant"}, {"metrics", "time", "--run", "nowhere"}} {
		_, err := run(t, args...)
		assert.NoError(t, err, "%v", args)
	}
	assert.NoDirExists(t, out)
}

func TestTrainRefusesHalfAGroup(t *testing.T) {
	t.Setenv("WORLD_SIZE", "2")
	_, err := run(t, "train", "--preset", "fmnist-em", "--encoder", "nowhere", "--out", filepath.Join(t.TempDir(), "run"))
	assert.ErrorContains(t, err, "RANK is not set")
}

func TestProcessesOfAMachineUseTheirOwnGPUs(t *testing.T) {
	for flag, want := range map[string]int{"auto": 3, "cuda": 3, "cuda:0": 0} {
		s := study.Setup{Device: torch.Device{Type: torch.CUDA}}
		placeOn(&s, flag, 3)
		assert.Equal(t, want, s.Device.Index, flag)
	}
	s := study.Setup{}
	placeOn(&s, "auto", 3)
	assert.Equal(t, torch.Device{}, s.Device, "the CPU has no number")
}
