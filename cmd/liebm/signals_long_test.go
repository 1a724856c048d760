//go:build long

package main

import (
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
)

// endless is a command line for a training that does not end, and saves when a signal says so.
func endless(t *testing.T, out string) []string {
	t.Helper()
	return append(append([]string{os.Args[0]}, training(t, out, "1000000")...), "--set", "log.checkpoint=1000000", "--set", "log.metrics=1", "--set", "log.samples=1000000")
}

// appears waits until a file of this pattern is there, and not empty.
func appears(t *testing.T, pattern string) {
	t.Helper()
	require.Eventually(t, func() bool {
		found, _ := filepath.Glob(pattern)
		return slices.ContainsFunc(found, func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > 0
		})
	}, 2*time.Minute, 10*time.Millisecond, pattern)
}

func TestSignalsSaveATraining(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("as under nohup")
			}
			out := filepath.Join(t.TempDir(), "run")
			p := start(t, endless(t, out)...)
			appears(t, filepath.Join(out, "metrics.jsonl"))
			require.NoError(t, p.Process.Signal(sig))
			require.Error(t, p.Wait())
			assert.Equal(t, 130, p.ProcessState.ExitCode(), "%s", &p.output)
			assert.Regexp(t, `stopped after step \d+ of 1000000`, p.output.String())
			appears(t, filepath.Join(out, "checkpoint-*.safetensors"))
		})
	}
}

// steps is the number of steps in the metrics of a training that endless began.
func steps(t *testing.T, out string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, err)
	return strings.Count(string(text), "\n")
}

func TestSIGUSR1SavesAndGoesOn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	p := start(t, endless(t, out)...)
	appears(t, filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, p.Process.Signal(syscall.SIGUSR1))
	appears(t, filepath.Join(out, "checkpoint-*.safetensors"))
	seen := steps(t, out)
	require.Eventually(t, func() bool { return steps(t, out) >= seen+2 }, 2*time.Minute, 10*time.Millisecond, "steps after the checkpoint")
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Error(t, p.Wait())
	saved, err := filepath.Glob(filepath.Join(out, "checkpoint-*.safetensors"))
	require.NoError(t, err)
	assert.Len(t, saved, 2, "it went on after the first: %s", &p.output)
}

// As with liebm train 2>&1 | head
func TestAClosedPipeSavesATraining(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	words := endless(t, out)
	p := exec.CommandContext(t.Context(), words[0], words[1:]...)
	p.Env = append(os.Environ(), "LIEBM_TEST_MAIN=1", "OMP_NUM_THREADS=1")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p.Stdout, p.Stderr = w, w
	require.NoError(t, p.Start())
	require.NoError(t, w.Close())
	go func() { _, _ = io.Copy(io.Discard, r) }()
	appears(t, filepath.Join(out, "metrics.jsonl"))
	require.NoError(t, r.Close())
	require.Error(t, p.Wait())
	appears(t, filepath.Join(out, "checkpoint-*.safetensors"))
}

func TestCtrlCEndsACommandThatOpensPicturesOrWaits(t *testing.T) {
	photos, fifo := filepath.Join(t.TempDir(), "photos"), filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, os.Mkdir(photos, 0o777))
	big := filepath.Join(photos, "00000.png")
	picture := image.NewNRGBA(image.Rect(0, 0, 2000, 2000))
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i*i>>7) | uint8(255*(i%4/3))
	}
	require.NoError(t, data.WritePNG(big, picture))
	for i := range 4000 { // minutes to decode
		require.NoError(t, os.Link(big, filepath.Join(photos, fmt.Sprintf("%05d.png", i+1))))
	}
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for name, c := range map[string]struct {
		args []string
		busy func(p *process) bool
	}{
		"pictures": {[]string{"pretrain", "--data", photos, "--size", "32", "--out", filepath.Join(t.TempDir(), "h")}, func(p *process) bool {
			var read int // bytes
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.Process.Pid))
			_, err := fmt.Sscanf(string(text), "rchar: %d", &read)
			info, statErr := os.Stat(big)
			return err == nil && statErr == nil && int64(read) > 50*info.Size()
		}},
		"a FIFO": {[]string{"train", "--config", fifo, "--out", filepath.Join(t.TempDir(), "run")}, func(*process) bool {
			w, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0) // there is a reader
			if err == nil {
				t.Cleanup(func() { w.Close() })
			}
			return err == nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, append([]string{os.Args[0]}, c.args...)...)
			require.Eventually(t, func() bool { return c.busy(p) }, 2*time.Minute, 10*time.Millisecond)
			require.NoError(t, p.Process.Signal(os.Interrupt))
			require.Error(t, p.Wait())
			assert.Equal(t, 130, p.ProcessState.ExitCode())
			assert.Equal(t, "liebm: stopped", strings.TrimSpace(p.output.String()))
		})
	}
}
