package torchtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
)

// Process is how one process of [Processes] ended.
type Process struct {
	Output string
	Code   int // exit status; -1 after a signal
}

// Processes runs the calling test in n more processes of the test binary and returns how they ended. Their
// environment has torchrun's variables and env ("NAME=value"). In those processes Processes calls child with
// the group's options and returns nil; the test should then return. With -short it skips the test.
func Processes(t *testing.T, n int, child func(o torch.GroupOptions), env ...string) []Process {
	t.Helper()
	if os.Getenv("LIEBM_TEST_PROCESS") != "" {
		o, err := torch.GroupFromEnv(os.Getenv)
		require.NoError(t, err)
		o.JoinTimeout, o.Timeout = 20*time.Second, 20*time.Second
		require.NoError(t, torch.SetThreads(1))
		child(o)
		return nil
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	port := FreePort(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	ended := make([]Process, n)
	var wait sync.WaitGroup
	for rank := range n {
		wait.Go(func() {
			c := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=90s")
			c.Env = append(os.Environ(), append(env, "LIEBM_TEST_PROCESS=1", "RANK="+strconv.Itoa(rank), "WORLD_SIZE="+strconv.Itoa(n),
				"MASTER_ADDR=127.0.0.1", "MASTER_PORT="+port)...)
			output, err := c.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				output = fmt.Append(output, err)
			}
			ended[rank] = Process{string(output), c.ProcessState.ExitCode()}
		})
	}
	wait.Wait()
	return ended
}

// FreePort returns a TCP port of this machine that was free a moment ago.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// Succeeded fails the test unless every process ended well.
func Succeeded(t *testing.T, ended []Process) {
	t.Helper()
	for rank, p := range ended {
		require.Zero(t, p.Code, "rank %d:\n%s", rank, p.Output)
	}
}
