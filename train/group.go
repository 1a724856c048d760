package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// alike returns an error in every process if the processes were started with different settings, data, encoders, versions or
// kinds of devices, or if one of them has failed with err. The paths of the data may differ.
func alike(cfg Config, set *data.Set, encoder string, o Options, err error) error {
	g := o.Group
	if g == nil {
		return err
	}
	var own []string
	if err == nil {
		own, err = startOf(cfg, set, encoder, o)
	}
	if err := g.Agree(err); err != nil {
		return err
	}
	return g.Alike(own)
}

// startOf lists what the processes of a group must have in common, as name=value.
func startOf(cfg Config, set *data.Set, encoder string, o Options) ([]string, error) {
	if o.Group.Rank() > 0 { // rank 0 verifies its own when it writes run.json
		if err := set.Verify(); err != nil {
			return nil, err
		}
	}
	var all []string
	for name, version := range newInfo(cfg.Seed, o).Versions {
		all = append(all, "version of "+name+"="+version)
	}
	slices.Sort(all)
	all = append(all, "images="+set.Shape.String(), "SHA-256 of the images="+set.SHA256(), "device="+torch.Device{Type: o.Device.Type}.String(),
		fmt.Sprintf("--resume=%t", o.Resume), fmt.Sprintf("--minutes=%g", o.Minutes))
	if encoder != "" && cfg.NeedsEncoder() {
		sum, err := fileSHA256(encoder)
		if err != nil {
			return nil, fmt.Errorf("read the encoder: %w", err)
		}
		all = append(all, "SHA-256 of the encoder="+sum)
	}
	cfg.Data.Name, cfg.Data.Path = "", ""
	settings, err := config.Settings(cfg)
	return append(all, settings...), err
}

// divides returns an error if g's processes cannot share the batch evenly: the mean of the means of
// unequal shares is not the mean over the batch.
func divides(batch int, g *torch.Group) error {
	n := g.World()
	if batch%n == 0 {
		return nil
	}
	return fmt.Errorf("batch is %d, which %d processes cannot share evenly: set batch=%d, or start as many processes as divide %d",
		batch, n, (batch+n-1)/n*n, batch)
}

// join makes t one of g's trainers: each steps on its share of the batch, and all stay the same.
func (t *Trainer) join(g *torch.Group) {
	t.group = g
	for _, p := range t.trained() {
		nn.Synchronize(p.net, g)
		(*p.opt).Share(g)
	}
}

// spread gives all processes rank 0's state and the settings that it changed.
func (t *Trainer) spread() error {
	if t.group == nil {
		return nil
	}
	return torch.Do(func() error {
		settings := torch.FromSlice([]float64{float64(t.step), float64(t.cfg.Steps), t.cfg.Schedule.Hold, t.cfg.Chain.Delta2, t.cfg.OptE.LR})
		t.group.Broadcast(settings, 0)
		v := settings.Float64s()
		t.step, t.cfg.Steps, t.cfg.Schedule.Hold, t.cfg.Chain.Delta2, t.cfg.OptE.LR = int(v[0]), int(v[1]), v[2], v[3], v[4]
		for _, p := range t.trained() {
			for _, e := range p.entries() {
				t.group.Broadcast(e.Tensor, 0)
			}
			(*p.opt).SetSteps(t.step)
		}
		return nil
	})
}

// gathered returns the rows of all of g's processes, by rank, differentiable in all of them. If every
// process computes the same loss of them, its gradients are those of one process with all rows.
// x: [n,d] → [world·n,d].
func gathered(g *torch.Group, x torch.Tensor) torch.Tensor {
	n := x.Size(0)
	return g.Sum(x.Pad(0, 0, 0, g.Rank()*n, (g.World()-1-g.Rank())*n))
}

// mean turns the measurements of this process's share into those of the whole batch. It averages the
// squares of standard deviations and root mean squares.
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

// undo copies, on rank 0, the state that a step changes before its last collective operation. The function
// that it returns restores that state if a peer was lost in the step, and frees the copies.
func (t *Trainer) undo() func(failure error) error {
	if t.group == nil || t.group.Rank() > 0 {
		return func(failure error) error { return failure }
	}
	var live []torch.Entry
	var moved []*optim.Adam
	for _, p := range t.trained() {
		if p.opt != &t.optE {
			live, moved = append(live, p.state()...), append(moved, *p.opt)
		}
	}
	for _, l := range nn.State(t.E) { // E's weights move last, but its power iterations come before
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
			for _, o := range moved {
				o.SetSteps(t.step)
			}
		}
		for _, b := range before {
			b.Close()
		}
		return failure
	}
}
