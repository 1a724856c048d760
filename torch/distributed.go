package torch

// #include <stdlib.h>
// #include "shim.h"
// #include "c10d.h"
import "C"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"
)

// Group is a group of processes that work together: libtorch's c10d, with Gloo for tensors on the
// CPU and NCCL for tensors on GPUs. A nil Group is a group of one process, and all its methods work.
//
// Its collectives are operators. All processes must call the same ones in the same order, from one
// goroutine at a time. If a peer is gone, or does not answer within the timeout, they panic with an
// *[Error] that is [ErrPeerLost]. After that only Close may be called.
type Group struct {
	handle uint64
	o      GroupOptions
}

// ErrPeerLost is the error of a collective whose peer is gone. Test for it with errors.Is.
var ErrPeerLost = errors.New("a peer process is gone")

// Is reports whether target is ErrPeerLost and e says that a peer was lost.
func (e *Error) Is(target error) bool {
	return target == ErrPeerLost && strings.HasPrefix(e.Msg, C.LT_PEER_LOST)
}

// GroupOptions describe a process's place in its group. [GroupFromEnv] reads them from the environment.
type GroupOptions struct {
	Rank, World           int    // this process's number, from 0, and the number of processes; World 0 means 1
	LocalRank, LocalWorld int    // the same among the processes of this machine
	Host                  string // address of rank 0's machine, where the processes meet
	Port                  int    // a free port of that machine
	Agent                 string // prefix of the store's keys if the launcher serves the store at Host:Port, else ""

	JoinTimeout time.Duration // how long to wait for all processes to join; 0 means 5 minutes, as in c10d
	Timeout     time.Duration // how long a collective waits for a peer; 0 means 30 minutes, as in c10d
}

// Validate returns an error that names the first wrong option.
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

// JoinGroup waits until all o.World processes have called it and returns the group. With a World of 0 or
// 1 it returns nil. The caller must close the group.
func JoinGroup(ctx context.Context, o GroupOptions) (*Group, error) {
	if err := o.Validate(); err != nil || o.World <= 1 {
		return nil, err
	}
	if err := setUp(); err != nil {
		return nil, err
	}
	type joined struct {
		g   *Group
		err error
	}
	done := make(chan joined, 1) // C cannot be interrupted: after a cancel join goes on until its timeout
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
	o.JoinTimeout, o.Timeout = cmp.Or(o.JoinTimeout, 5*time.Minute), cmp.Or(o.Timeout, 30*time.Minute)
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

// Close leaves the group. Closing a nil Group is harmless.
func (g *Group) Close() {
	if g != nil {
		C.lt_group_close(C.uint64_t(g.handle))
	}
}

// options are g's options; those of a nil Group are of one process.
func (g *Group) options() GroupOptions {
	if g == nil {
		return GroupOptions{World: 1}
	}
	return g.o
}

// Rank is this process's number, from 0.
func (g *Group) Rank() int { return g.options().Rank }

// LocalRank is this process's number among those of its machine, from 0.
func (g *Group) LocalRank() int { return g.options().LocalRank }

// World is the number of processes.
func (g *Group) World() int { return g.options().World }

// ReduceOp is the reduction that [Group.AllReduce] computes.
type ReduceOp int

// The reductions.
const (
	ReduceSum ReduceOp = C.LT_SUM
	ReduceMax ReduceOp = C.LT_MAX
)

// AllReduce replaces t by the elementwise sum or maximum over the processes.
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

// AllGather returns the t of every process, in the order of ranks. All must have one shape and dtype.
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

// Sum returns the sum of x over the processes. It is differentiable: the gradient with respect to each
// process's x is the sum of the gradients of all processes. So gradients of the sum of all processes'
// losses are exact.
func (g *Group) Sum(x Tensor) Tensor {
	if g == nil {
		return x
	}
	var out C.uint64_t
	g.check("sum", C.lt_group_sum(C.uint64_t(g.handle), C.uint64_t(x.h), &out))
	return Tensor{uint64(out)}
}

// bucketBytes is the size of one reduction of gradients, as in DistributedDataParallel. It is large
// enough to hide a network's latency, and small enough to start early.
const bucketBytes = 25 << 20

// Grads returns the gradients of the mean of the processes' y, like [Grads]. It reduces them in buckets
// while backward still runs, and frees the graph. The gradient is the zero Tensor if no process's y
// depends on x.
func (g *Group) Grads(y Tensor, xs []Tensor) []Tensor { return g.bucketed(y, xs, bucketBytes) }

func (g *Group) bucketed(y Tensor, xs []Tensor, bytes int) []Tensor {
	if g == nil || len(xs) == 0 {
		return Grads(y, xs, GradOptions{})
	}
	out := make([]Tensor, len(xs))
	g.check("grads", C.lt_group_grads(C.uint64_t(g.handle), C.uint64_t(y.h), handles(xs), C.int64_t(len(xs)), C.int64_t(bytes), handles(out)))
	return out
}

// check panics if text is an error. In a group of two it adds the rank of the lost process.
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
