package torch

// #include <stdlib.h>
// #include "shim.h"
// #include "c10d.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"
)

// Group is this process among several that train together: libtorch's c10d, with Gloo for tensors
// on the CPU and NCCL for those on GPUs. A nil Group is a process alone, for which every method
// does what it would do in a group of one.
//
// Its collectives are operators. Every process must call the same ones in the same order, from one
// goroutine at a time. Where a peer is gone, or silent for the timeout, they panic with an *[Error]
// that is [ErrPeerLost]; the group is then good for nothing but Close.
type Group struct {
	handle uint64
	o      GroupOptions
}

// ErrPeerLost is what errors.Is finds in the error of a collective whose peer is gone.
var ErrPeerLost = errors.New("a peer process is gone")

// Is makes errors.Is(e, ErrPeerLost) tell a lost peer from other failures.
func (e *Error) Is(target error) bool {
	return target == ErrPeerLost && strings.HasPrefix(e.Msg, C.LT_PEER_LOST)
}

// GroupOptions place a process in its group; [GroupFromEnv] reads them from the launcher.
type GroupOptions struct {
	Rank, World           int    // this process, from 0, and how many there are; a World of 0 or 1 is a process alone
	LocalRank, LocalWorld int    // the same among the processes of this machine
	Host                  string // where the processes meet: rank 0's machine,
	Port                  int    // and a port that is free there
	Agent                 string // not empty: the launcher keeps the store at Host:Port, and this is the prefix of its keys

	JoinTimeout time.Duration // for all processes to come; 0: 5 minutes, as in c10d
	Timeout     time.Duration // for a peer's part in a collective; 0: 30 minutes, as in c10d
}

// Validate names the option that makes no group.
func (o GroupOptions) Validate() error {
	switch {
	case o.World <= 1:
		return nil
	case o.Rank < 0 || o.Rank >= o.World:
		return fmt.Errorf("rank %d of %d processes: give each a rank of 0 to %d", o.Rank, o.World, o.World-1)
	case o.Host == "":
		return errors.New("no host to meet at: give the address of rank 0's machine")
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("port %d: give a free one of rank 0's machine, 1 to 65535", o.Port)
	}
	return nil
}

// JoinGroup waits until all o.World processes have called it and returns this one's group, or nil
// for a process alone. The caller closes it.
func JoinGroup(ctx context.Context, o GroupOptions) (*Group, error) {
	if err := o.Validate(); err != nil || o.World <= 1 {
		return nil, err
	}
	setUp()
	type joined struct {
		g   *Group
		err error
	}
	done := make(chan joined, 1) // C cannot be interrupted: on cancel it is left to its timeout
	go func() {
		g, err := join(o)
		done <- joined{g, err}
	}()
	select {
	case j := <-done:
		return j.g, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func join(o GroupOptions) (*Group, error) {
	o.JoinTimeout, o.Timeout = orElse(o.JoinTimeout, 5*time.Minute), orElse(o.Timeout, 30*time.Minute)
	host, prefix := C.CString(o.Host), C.CString("liebm/"+o.Agent)
	defer C.free(unsafe.Pointer(host))
	defer C.free(unsafe.Pointer(prefix))
	serve := o.Rank == 0 && o.Agent == ""
	var handle C.uint64_t
	text := C.lt_group_join(host, C.int(o.Port), C.int(boolWord(serve)), prefix, C.int(o.Rank), C.int(o.World),
		C.int64_t(o.JoinTimeout.Milliseconds()), C.int64_t(o.Timeout.Milliseconds()), &handle)
	if text != nil {
		return nil, fmt.Errorf("join as rank %d of %d at %s:%d, within %v: %s: see whether all %d processes were started, and whether that port is free and open to them",
			o.Rank, o.World, o.Host, o.Port, o.JoinTimeout, newError("c10d::join", text).Msg, o.World)
	}
	return &Group{uint64(handle), o}, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// Close leaves the group. Closing a nil Group is harmless.
func (g *Group) Close() {
	if g != nil {
		C.lt_group_close(C.uint64_t(g.handle))
	}
}

// Rank is this process's number, from 0.
func (g *Group) Rank() int {
	if g == nil {
		return 0
	}
	return g.o.Rank
}

// LocalRank is this process's number among those of its machine, from 0.
func (g *Group) LocalRank() int {
	if g == nil {
		return 0
	}
	return g.o.LocalRank
}

// World is how many processes there are.
func (g *Group) World() int {
	if g == nil {
		return 1
	}
	return g.o.World
}

// ReduceOp is how [Group.AllReduce] combines.
type ReduceOp int

// The reductions.
const (
	ReduceSum ReduceOp = C.LT_SUM
	ReduceMax ReduceOp = C.LT_MAX
)

// AllReduce replaces t by the elementwise sum or maximum of the processes' t.
func (g *Group) AllReduce(t Tensor, op ReduceOp) {
	if g != nil {
		g.check("all_reduce", C.lt_group_all_reduce(C.uint64_t(g.handle), C.uint64_t(t.h), C.int(op)))
	}
}

// Broadcast replaces t by root's t.
func (g *Group) Broadcast(t Tensor, root int) {
	if g != nil {
		g.check("broadcast", C.lt_group_broadcast(C.uint64_t(g.handle), C.uint64_t(t.h), C.int(root)))
	}
}

// AllGather returns every process's t, by rank. Their shapes and dtypes must be the same.
func (g *Group) AllGather(t Tensor) []Tensor {
	if g == nil {
		return []Tensor{t.Detach()}
	}
	out := make([]Tensor, g.o.World)
	g.check("all_gather", C.lt_group_all_gather(C.uint64_t(g.handle), C.uint64_t(t.h), handles(out)))
	return out
}

// Barrier returns once every process has called it. It needs an open scope.
func (g *Group) Barrier() {
	Tidy(func() Tensor {
		g.AllReduce(Zeros([]int{1}, Float32), ReduceSum)
		return Tensor{}
	})
}

// Sum is the sum of the processes' x as a function of them all: its gradient is the sum of the
// processes' gradients, so what every process computes from it has exact gradients of the total.
func (g *Group) Sum(x Tensor) Tensor {
	if g == nil {
		return x
	}
	var out C.uint64_t
	g.check("sum", C.lt_group_sum(C.uint64_t(g.handle), C.uint64_t(x.h), &out))
	return Tensor{uint64(out)}
}

// bucketBytes is how much gradient is reduced at once, as in DistributedDataParallel: enough to
// hide a network's latency, little enough to start early.
const bucketBytes = 25 << 20

// Grads is [Grads] of the mean of the processes' y: buckets of gradients are reduced while backward
// still runs. It frees the graph. The zero Tensor stands for an x that no process's y depends on.
func (g *Group) Grads(y Tensor, xs []Tensor) []Tensor { return g.bucketed(y, xs, bucketBytes) }

func (g *Group) bucketed(y Tensor, xs []Tensor, bytes int) []Tensor {
	if g == nil || len(xs) == 0 {
		return Grads(y, xs, GradOptions{})
	}
	out := make([]Tensor, len(xs))
	g.check("grads", C.lt_group_grads(C.uint64_t(g.handle), C.uint64_t(y.h), handles(xs), C.int64_t(len(xs)), C.int64_t(bytes), handles(out)))
	return out
}

// check is the package's check, and says of two processes which one was lost.
func (g *Group) check(op string, text *C.char) {
	if text == nil {
		return
	}
	e := newError("c10d::"+op, text)
	if why, lost := strings.CutPrefix(e.Msg, C.LT_PEER_LOST); lost {
		who := "a peer"
		if g.o.World == 2 {
			who = fmt.Sprintf("rank %d", 1-g.o.Rank)
		}
		e.Msg = fmt.Sprintf("%s%s of %d processes no longer answers rank %d (%s)", C.LT_PEER_LOST, who, g.o.World, g.o.Rank, why)
	}
	panic(e)
}
