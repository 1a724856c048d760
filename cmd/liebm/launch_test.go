package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data/datatest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// TestMain lets a test start liebm as a process of its own: the test binary with LIEBM_TEST_MAIN set.
func TestMain(m *testing.M) {
	if os.Getenv("LIEBM_TEST_MAIN") != "" {
		main()
		return
	}
	torch.SetThreads(1) // tests of other packages run beside these
	code := m.Run()
	_ = os.RemoveAll(sharedFolder)
	os.Exit(code)
}

// process is a running liebm. Its output may be read after Wait.
type process struct {
	*exec.Cmd
	output bytes.Buffer
}

// launch starts two processes of liebm, ranks 0 and 1. place returns the environment of a rank. The word RANK in args is
// replaced by the rank.
func launch(t *testing.T, place func(rank string) []string, args ...string) [2]*process {
	t.Helper()
	var started [2]*process
	for rank := range started {
		p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0])}
		for _, arg := range args {
			p.Args = append(p.Args, strings.ReplaceAll(arg, "RANK", strconv.Itoa(rank)))
		}
		p.Stdout, p.Stderr = &p.output, &p.output
		p.Env = append(os.Environ(), append(place(strconv.Itoa(rank)), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1")...)
		require.NoError(t, p.Start())
		started[rank] = p
	}
	return started
}

// byHand places two processes by the variables that a person sets.
func byHand(t *testing.T) func(rank string) []string {
	port := torchtest.FreePort(t)
	return func(rank string) []string {
		return []string{"MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port, "WORLD_SIZE=2", "RANK=" + rank}
	}
}

// training is a command line for a run of some steps on tiny networks and few images.
func training(t *testing.T, out, steps string) []string {
	t.Helper()
	return append([]string{"train", "--preset", "fmnist-em", "--encoder", pretrained(t), "--out", out, "--steps", steps,
		"--set", "data.name=" + datatest.FashionMNIST(t, 64, 1)}, small...)
}

func TestTwoProcessesTrainUnder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes that train, 20 seconds")
	}
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
	if testing.Short() {
		t.Skip("starts processes that train, 20 seconds")
	}
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

func TestProcessesOfDifferentWidthsAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes, 10 seconds")
	}
	out := filepath.Join(t.TempDir(), "run")
	for rank, p := range launch(t, byHand(t), append(training(t, out, "2"), "--set", "energy.widths=[4,1RANK]")...) {
		var exit *exec.ExitError
		require.ErrorAs(t, p.Wait(), &exit)
		assert.Equal(t, 1, exit.ExitCode())
		assert.Contains(t, p.output.String(), "energy.widths is [4, 10] and [4, 11]", "rank %d", rank)
	}
	assert.NoDirExists(t, out)
}

func TestAKilledProcessEndsTheRunAndLeavesItToResume(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes that train, 20 seconds")
	}
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
