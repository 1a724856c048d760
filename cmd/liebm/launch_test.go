package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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

func TestReproduceReportsOnceUnderALauncher(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	out := t.TempDir()
	for rank, p := range launch(t, byHand(t), "reproduce", "table12", "--out", out) {
		assert.NoError(t, p.Wait(), "rank %d: %s", rank, &p.output)
		assert.Equal(t, 1-rank, strings.Count(p.output.String(), "| MCMC steps | 15 | 15 |"), "rank %d", rank)
	}
	assert.FileExists(t, out+"/mini/table12.json")
}
