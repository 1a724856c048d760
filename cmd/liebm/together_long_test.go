//go:build long

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/data/datatest"
)

// start starts a program that is liebm, or starts it.
func start(t *testing.T, words ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), words[0], words[1:]...)}
	p.Stdout, p.Stderr = &p.output, &p.output
	p.Env = append(os.Environ(), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1")
	require.NoError(t, p.Start())
	return p
}

// delayed starts liebm as a process that waits two seconds before each call of a kind on the file at path. It returns when the
// process has opened the file.
func delayed(t *testing.T, call, path string, args ...string) *process {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace")
	}
	log := filepath.Join(t.TempDir(), "trace")
	p := start(t, append([]string{"strace", "-f", "-qq", "-o", log, "-P", path, "-e", "trace=openat," + call,
		"-e", "inject=" + call + ":delay_enter=2000000", os.Args[0]}, args...)...)
	require.Eventually(t, func() bool {
		trace, _ := os.ReadFile(log)
		return regexp.MustCompile(`openat\(.*\) = \d`).Match(trace)
	}, time.Minute, 5*time.Millisecond)
	return p
}

// The second process opened the unfinished file, and locked it when the first had finished it.
func TestASecondPrepareLeavesTheFinishedFileAlone(t *testing.T) {
	images, out := datatest.FashionMNIST(t, 300, 1), filepath.Join(t.TempDir(), "set.liebm")
	var second *process
	_, err := data.Prepare(context.Background(), images, out, data.PrepareOptions{Watch: func(done, _ int) {
		if second == nil {
			second = delayed(t, "flock", out+".journal", "data", "prepare", "--out", out, images)
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

// The checkpoint is deleted while export reads it for the first time, of two.
func TestACommandBesideTrainingTakesAnotherCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.CopyFS(dir, os.DirFS(trained(t))))
	old := filepath.Join(dir, "checkpoint-00000004.safetensors")
	export := delayed(t, "fstat", old, "export", "--run", dir, "--out", filepath.Join(t.TempDir(), "weights"))
	require.NoError(t, os.Rename(old, filepath.Join(t.TempDir(), "gone")))
	assert.NoError(t, export.Wait(), "%s", &export.output)
}
