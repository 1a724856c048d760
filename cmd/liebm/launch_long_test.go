//go:build long

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch/torchtest"
)

func TestTwoProcessesTrainUnder(t *testing.T) {
	for name, place := range map[string]func(port, rank string) []string{
		"Slurm": func(port, rank string) []string {
			return []string{"SLURM_JOB_ID=4242", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2", "SLURM_NTASKS=2", "SLURM_STEP_TASKS_PER_NODE=2",
				"SLURM_JOB_NODELIST=localhost", "SLURM_PROCID=" + rank, "SLURM_LOCALID=" + rank, "MASTER_PORT=" + port}
		},
		"Kubeflow, which sets no local rank": func(port, rank string) []string {
			return []string{"MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port, "WORLD_SIZE=2", "RANK=" + rank}
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, port := filepath.Join(t.TempDir(), "run"), torchtest.FreePort(t)
			for rank, p := range launch(t, func(rank string) []string { return place(port, rank) }, training(t, out, "2")...) {
				assert.NoError(t, p.Wait(), "rank %d: %s", rank, &p.output)
				if rank == 1 {
					assert.NotContains(t, p.output.String(), "training", "rank 0 alone reports") // newer Gloo has a line of its own
				}
			}
			assert.FileExists(t, filepath.Join(out, "checkpoint-00000002.safetensors"))
		})
	}
}

// The arguments are those that Debian's torchrun needs (docs/parallel.md): 1.13 fails at its own logs
// without --tee, and 2.6 meets by a file since it was built without libuv.
func TestTwoProcessesTrainUnderTorchrun(t *testing.T) {
	torchrun, err := exec.LookPath("torchrun")
	if err != nil {
		t.Skip("torchrun is not installed: apt install python3-torch")
	}
	out, meet := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "meet")
	args := append([]string{"--redirects", "1", "--tee", "1", "--rdzv_backend", "c10d", "--rdzv_conf", "store_type=file",
		"--rdzv_endpoint", meet, "--no_python", "--nproc_per_node", "2", os.Args[0]}, training(t, out, "2")...)
	command := exec.CommandContext(t.Context(), torchrun, args...)
	command.Env = append(os.Environ(), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1")
	text, err := command.CombinedOutput()
	require.NoError(t, err, "%s", text)
	assert.FileExists(t, filepath.Join(out, "checkpoint-00000002.safetensors"))
	assert.Equal(t, 1, strings.Count(string(text), "training 2/2"), "rank 0 alone reports: %s", text)
}

func TestAKilledProcessEndsTheRunAndLeavesItToResume(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	ranks := launch(t, byHand(t), training(t, out, "20")...)
	ended := make(chan error, 1)
	go func() { ended <- ranks[0].Wait() }()
	require.Eventually(t, func() bool {
		saved, _ := filepath.Glob(filepath.Join(out, "checkpoint-*"))
		return len(saved) > 0 || len(ended) > 0
	}, 2*time.Minute, 5*time.Millisecond)
	require.NoError(t, ranks[1].Process.Kill())
	assert.Error(t, ranks[1].Wait())

	var exit *exec.ExitError
	require.ErrorAs(t, <-ended, &exit, "the other one ends by itself: %s", &ranks[0].output)
	text := ranks[0].output.String()
	assert.Regexp(t, `stopped after step \d+ of 20: .*rank 1 of 2 processes no longer answers rank 0`, text)
	assert.Contains(t, text, "to go on: liebm train --out "+out+" --resume")
	_, err := run(t, "train", "--out", out, "--resume")
	assert.NoError(t, err)
	assert.FileExists(t, filepath.Join(out, "checkpoint-00000020.safetensors"))
}
