package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/data/datatest"
)

// delayed starts liebm as a process whose calls of a kind begin two seconds late. It returns once the process has opened a file
// whose name has an ending, and so waits before what it does with the file.
func delayed(t *testing.T, call, ending string, args ...string) *process {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	p := &process{Cmd: exec.CommandContext(t.Context(), "strace", append([]string{"-f", "-qq", "-o", log, "-e", "trace=openat," + call,
		"-e", "inject=" + call + ":delay_enter=2000000", os.Args[0]}, args...)...)}
	p.Stdout, p.Stderr = &p.output, &p.output
	p.Env = append(os.Environ(), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1")
	require.NoError(t, p.Start())
	require.Eventually(t, func() bool {
		trace, _ := os.ReadFile(log)
		return strings.Contains(string(trace), ending+`", O_RDWR`) || strings.Contains(string(trace), ending+`", O_RDONLY`)
	}, time.Minute, 5*time.Millisecond)
	return p
}

// The second process opened the unfinished file, and locked it when the first had finished it.
func TestASecondPrepareLeavesTheFinishedFileAlone(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil || testing.Short() {
		t.Skip("starts processes, and needs strace")
	}
	images, out := datatest.FashionMNIST(t, 300, 1), filepath.Join(t.TempDir(), "set.liebm")
	var second *process
	_, err := data.Prepare(context.Background(), images, out, data.PrepareOptions{Watch: func(done, _ int) {
		if second == nil {
			second = delayed(t, "flock", filepath.Base(out)+".journal", "data", "prepare", "--out", out, images)
		}
	}})
	require.NoError(t, err)
	before, err := os.Stat(out)
	require.NoError(t, err)
	assert.NoError(t, second.Wait(), "%s", &second.output)
	after, err := os.Stat(out)
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "nobody wrote to it")
	assert.NoError(t, data.VerifyPrepared(out))
}
