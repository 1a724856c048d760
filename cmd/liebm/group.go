package main

import (
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/torch"
)

// joinGroup meets the processes that the launcher started with this one, if any: nil for a process
// alone. They share the machine's cores.
func joinGroup(c *cli.Context) (*torch.Group, error) {
	o, err := torch.GroupFromEnv(os.Getenv)
	if err != nil || o.World <= 1 {
		return nil, err
	}
	if !c.IsSet("threads") {
		if err := torch.SetThreads(o.ThreadsFor(os.Getenv)); err != nil {
			return nil, err
		}
	}
	waiting := time.AfterFunc(5*time.Second, func() {
		fmt.Fprintf(os.Stderr, "rank %d of %d waits at %s:%d for the others\n", o.Rank, o.World, o.Host, o.Port)
	})
	defer waiting.Stop()
	return torch.JoinGroup(c.Context, o)
}

// alone prepares for work that is one process's: follower is true in the others, which have none.
func alone(c *cli.Context) (follower bool, err error) {
	o, err := torch.GroupFromEnv(os.Getenv)
	if err != nil || o.World <= 1 || o.Rank > 0 {
		return o.Rank > 0, err
	}
	if !c.IsSet("threads") {
		o.LocalWorld = 1
		err = torch.SetThreads(o.ThreadsFor(os.Getenv))
	}
	return false, err
}
