package torch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrPeerFailed is the error of [Group.Agree] in a process if another process failed.
var ErrPeerFailed = errors.New("another process of the group failed; its own message says why")

// Agree makes all processes fail if one of them fails. Every process calls it with its own error or nil. It
// returns this error if it is not nil, [ErrPeerFailed] if another process failed, and an error that is
// context.Canceled if another process was told to stop.
func (g *Group) Agree(err error) error { return g.agree(err, 0) }

// agree is Agree, and returns an error if the processes have come to different pieces of their work.
func (g *Group) agree(err error, piece int) error {
	if g == nil {
		return err
	}
	const stopped, failed = 1, 2
	state := 0.0
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		state = stopped
	case err != nil:
		state = failed
	}
	var most []float64
	lost := Do(func() error {
		t := FromSlice([]float64{state, float64(piece), -float64(piece)})
		g.AllReduce(t, ReduceMax)
		most = t.Float64s()
		return nil
	})
	switch {
	case err != nil:
		return err
	case lost != nil:
		return lost
	case most[0] == failed:
		return ErrPeerFailed
	case most[0] == stopped:
		return fmt.Errorf("another process was told to stop: %w", context.Canceled)
	case most[1] != -most[2]:
		return errors.New("the processes have different numbers of batches: start all with the same arguments and the same files")
	}
	return nil
}

// Alike returns an error in every process if their lists of name=value differ. The error names the differences.
func (g *Group) Alike(own []string) error {
	if g == nil {
		return nil
	}
	return Do(func() error {
		var first []string
		for rank, text := range gather(g, []byte(strings.Join(own, "\n"))) {
			lines := strings.Split(string(text), "\n")
			if rank == 0 {
				first = lines
			} else if d := differences(first, lines); len(d) > 0 {
				if more := len(d) - 5; more > 0 {
					d = append(d[:5], fmt.Sprintf("%d others", more))
				}
				return fmt.Errorf("rank 0 and rank %d of %d were started differently: %s: start all processes with the same arguments, the same files and the same version of the program",
					rank, g.World(), strings.Join(d, "; "))
			}
		}
		return nil
	})
}

// differences says in which of the lines name=value the lists a and b differ.
func differences(a, b []string) (all []string) {
	values := [2]map[string]string{{}, {}}
	var names []string
	for i, list := range [][]string{a, b} {
		for _, line := range list {
			name, value, _ := strings.Cut(line, "=")
			values[i][name] = value
			names = append(names, name)
		}
	}
	for i, name := range names {
		x, y := values[0][name], values[1][name]
		if x != y && !slices.Contains(names[:i], name) {
			all = append(all, fmt.Sprintf("%s is %s and %s", name, cmp.Or(x, "none"), cmp.Or(y, "none")))
		}
	}
	return all
}

// gather returns the slice of every process, by rank. Their lengths may differ. It needs an open scope.
func gather[T Element](g *Group, own []T) [][]T {
	if g == nil {
		return [][]T{own}
	}
	var lengths []int
	for _, t := range g.AllGather(FromSlice([]float64{float64(len(own))})) {
		lengths = append(lengths, int(t.Item()))
	}
	padded := make([]T, slices.Max(lengths)+1) // never empty
	copy(padded, own)
	var all [][]T
	for rank, t := range g.AllGather(FromSlice(padded)) {
		all = append(all, ToSlice[T](t)[:lengths[rank]])
	}
	return all
}

// Shared is work in pieces, such as batches of images, that the processes of a group share. They do the pieces in
// turn, and every process gets all results in the order of the pieces. So a result does not depend on the number of
// processes. All processes call Do for the same pieces in the same order, and then End.
type Shared[T Element] struct {
	group *Group
	use   func(result []T)
	next  int  // piece
	own   []T  // the result of this process that the others do not have yet
	over  bool // all processes know that the work ended
}

// Share begins shared work. use receives the result of each piece, in order. With a nil group this
// process does all pieces.
func Share[T Element](g *Group, use func(result []T)) *Shared[T] {
	return &Shared[T]{group: g, use: use}
}

// Do does the next piece if it is this process's turn, in a scope of its own. The work returns at least one element.
// Once every process has done a piece, they exchange the results. If ctx ends or the work fails in one process, Do
// returns an error in all of them at the next exchange.
func (s *Shared[T]) Do(ctx context.Context, work func() []T) error {
	err := ctx.Err()
	if err == nil && s.next%s.group.World() == s.group.Rank() {
		err = Do(func() error { s.own = work(); return nil })
	}
	s.next++
	if err == nil && s.next%s.group.World() != 0 {
		return nil
	}
	return s.exchange(err)
}

// End exchanges the last results. err is an error of this process since the last call, or the error of that call. End returns
// it, or the error of another process.
func (s *Shared[T]) End(err error) error {
	if s.over {
		return err
	}
	return s.exchange(err)
}

func (s *Shared[T]) exchange(err error) error {
	if err = s.group.agree(err, s.next); err != nil {
		s.over = true
		return err
	}
	err = Do(func() error {
		for _, result := range gather(s.group, s.own) {
			if len(result) > 0 {
				s.use(result)
			}
		}
		return nil
	})
	s.own, s.over = nil, errors.Is(err, ErrPeerLost)
	return err
}
