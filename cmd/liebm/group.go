package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// joinGroup connects to the processes that the launcher started with this one. The group is nil if there
// are none. The processes share the machine's cores, unless --threads is set.
func joinGroup(ctx context.Context, c flagValues) (*torch.Group, error) {
	o, err := torch.GroupFromEnv(os.Getenv)
	if err != nil || o.World <= 1 {
		return nil, err
	}
	if err := shareCores(o, c); err != nil {
		return nil, err
	}
	waiting := time.AfterFunc(5*time.Second, func() {
		fmt.Fprintf(os.Stderr, "rank %d of %d waits at %s:%d for the others\n", o.Rank, o.World, o.Host, o.Port)
	})
	defer waiting.Stop()
	return torch.JoinGroup(ctx, o)
}

// sharedSetup is newSetup for a command whose work the launcher's processes share. Rank 0 alone reports. The caller
// closes the group.
func sharedSetup(ctx context.Context, c flagValues) (study.Setup, error) {
	g, err := joinGroup(ctx, c)
	if err != nil {
		return study.Setup{}, err
	}
	jobOf(ctx).busy.Store(g != nil) // all processes stop together
	s, err := newSetup(ctx, c)
	if s.Group = g; g != nil {
		placeOn(&s, c.String("device"), g.LocalRank())
	}
	if g.Rank() > 0 {
		s.Log, s.Progress = nil, func(string) func(int, int) { return func(int, int) {} }
	}
	if err = g.Agree(err); err != nil {
		g.Close()
	}
	return s, err
}

// ownSetup is newSetup for a command whose processes share work by files and need no group. Each process takes its part of the cores and
// its GPU. Only rank 0 shows progress, and prints is true in it alone. All processes write log lines, since their work differs.
func ownSetup(ctx context.Context, c flagValues) (s study.Setup, prints bool, err error) {
	o, err := torch.GroupFromEnv(os.Getenv)
	if err == nil && o.World > 1 {
		err = shareCores(o, c)
	}
	if err != nil {
		return s, false, err
	}
	s, err = newSetup(ctx, c)
	if o.World > 1 {
		placeOn(&s, c.String("device"), o.LocalRank)
	}
	if o.Rank > 0 {
		job, log := jobOf(ctx), s.Log
		s.Progress = nil
		s.Training = func(string) (train.Watch, io.Writer) { return func(train.Progress) { job.busy.Store(true) }, log }
	}
	return s, o.Rank == 0, err
}

// placeOn gives each process of a machine its own GPU, unless the flag --device names one.
func placeOn(s *study.Setup, flag string, localRank int) {
	if s.Device.Type == torch.CUDA && !strings.Contains(flag, ":") {
		s.Device.Index = localRank
	}
}

// alone prepares for work that one process does: follower is true in the other ones, which have no work.
func alone(c flagValues) (follower bool, err error) {
	o, err := torch.GroupFromEnv(os.Getenv)
	if err != nil || o.World <= 1 || o.Rank > 0 {
		return o.Rank > 0, err
	}
	o.LocalWorld = 1
	return false, shareCores(o, c)
}

// shareCores sets the number of threads to this process's part of the machine's cores, unless --threads is set.
func shareCores(o torch.GroupOptions, c flagValues) error {
	if c.IsSet("threads") {
		return nil
	}
	return torch.SetThreads(o.ThreadsFor(os.Getenv))
}
