package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// errPeerFailed is what the other processes return when one of them cannot go on.
var errPeerFailed = errors.New("another process of the run failed; its own message says why")

// agree makes the failure of one process that of all: err where there is one, else errPeerFailed.
func agree(g *torch.Group, err error) error {
	failed, lost := anyOf(g, err != nil)
	switch {
	case err != nil:
		return err
	case lost != nil:
		return lost
	case failed:
		return errPeerFailed
	}
	return nil
}

// anyOf reports whether flag is true in any process.
func anyOf(g *torch.Group, flag bool) (result bool, err error) {
	if g == nil {
		return flag, nil
	}
	err = torch.Do(func() error {
		t := torch.Zeros([]int{1}, torch.Float32)
		if flag {
			t = torch.Ones([]int{1}, torch.Float32)
		}
		g.AllReduce(t, torch.ReduceMax)
		result = t.Item() > 0
		return nil
	})
	return result, err
}

// divides refuses a batch that g's processes cannot share evenly: means over unequal shares would
// not be the mean over the batch.
func divides(batch int, g *torch.Group) error {
	n := g.World()
	if batch%n == 0 {
		return nil
	}
	return fmt.Errorf("batch is %d, which %d processes cannot share evenly: --set batch=%d, or start as many processes as divide %d",
		batch, n, (batch+n-1)/n*n, batch)
}

// shareable refuses the variants that train a third network: its updates are not averaged over a group.
func shareable(cfg Config, g *torch.Group) error {
	switch {
	case g.World() == 1:
		return nil
	case cfg.Target == ERM:
		return errors.New("target=erm trains in one process only: its q is not averaged over several; start one process, or --set target=em and liebm train-q afterwards")
	case cfg.Encoder == Joint:
		return errors.New("encoder=joint trains in one process only: its contrast compares a whole batch; start one process, or --set encoder=pretrained")
	}
	return nil
}

// join makes t one of g's trainers: each steps on its share of the batch, and all stay the same.
func (t *Trainer) join(g *torch.Group) {
	t.group = g
	nn.Synchronize(t.G, g)
	t.optE.Share(g)
	t.optG.Share(g)
}

// spread gives all processes rank 0's state and config, after it has read a checkpoint.
func (t *Trainer) spread() error {
	if t.group == nil {
		return nil
	}
	return torch.Do(func() error {
		now := torch.FromSlice([]float64{float64(t.step), float64(t.cfg.Steps), t.cfg.Schedule.Hold, t.cfg.Chain.Delta2, t.cfg.OptE.LR})
		t.group.Broadcast(now, 0)
		v := now.Float64s()
		t.step, t.cfg.Steps, t.cfg.Schedule.Hold, t.cfg.Chain.Delta2, t.cfg.OptE.LR = int(v[0]), int(v[1]), v[2], v[3], v[4]
		for _, e := range t.entries() {
			t.group.Broadcast(e.Tensor, 0)
		}
		t.optE.SetSteps(t.step)
		t.optG.SetSteps(t.step)
		return nil
	})
}

// mean turns the measurements of this process's share into those of the whole batch. Standard
// deviations and root mean squares are means of squares.
func (l Losses) mean(g *torch.Group) Losses {
	if g == nil {
		return l
	}
	var own []float64
	for _, v := range l.values() {
		own = append(own, *v)
	}
	parts := g.AllGather(torch.FromSlice(own))
	var sum Losses
	n := float64(len(parts))
	for _, p := range parts {
		part := Losses{}
		for i, v := range p.Float64s() {
			*part.values()[i] = v
		}
		part.RealStd = part.RealStd*part.RealStd + part.Real*part.Real
		part.Move *= part.Move
		for i, v := range part.values() {
			*sum.values()[i] += *v / n
		}
	}
	sum.RealStd = math.Sqrt(max(0, sum.RealStd-sum.Real*sum.Real))
	sum.Move = math.Sqrt(sum.Move)
	return sum
}

// undo remembers, on the process that saves, what a step changes before its last collective. What
// it returns brings that back if a peer was lost in the step, and forgets it.
func (t *Trainer) undo() func(failure error) error {
	if t.group == nil || t.group.Rank() > 0 {
		return func(failure error) error { return failure }
	}
	var live []torch.Entry
	live = append(live, nn.Entries(partG, t.G)...)
	live = append(live, t.optG.Entries(partOptG)...)
	for _, l := range nn.State(t.E) {
		if l.Buffer {
			live = append(live, l.Entry)
		}
	}
	var before []torch.Tensor
	for _, e := range live {
		before = append(before, e.Tensor.Detach().Clone().Keep())
	}
	return func(failure error) error {
		if errors.Is(failure, torch.ErrPeerLost) {
			torch.NoGrad(func() {
				for i, e := range live {
					e.Tensor.CopyFrom(before[i])
				}
			})
			t.optG.SetSteps(t.step)
		}
		for _, b := range before {
			b.Close()
		}
		return failure
	}
}
