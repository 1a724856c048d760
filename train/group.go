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

// start begins a training of the processes of o.Group. It returns the run folder, or nil in the processes that write
// none and report nothing. It returns an error in every process if one of them failed with err or has no whole batch, or
// if they were started with different settings, data, encoders, versions or kinds of devices. encoder is the file that
// the training reads, or empty; settings are the config without the name and path of the data, which may differ.
func (o *Options) start(settings any, batch int, set *data.Set, encoder string, err error) (run *runDir, _ error) {
	var own []string
	if err == nil {
		err = enough(set, batch)
	}
	if err == nil && o.Group != nil {
		own, err = startOf(settings, set, encoder, *o)
	}
	if err := o.Group.Agree(err); err != nil {
		return nil, err
	}
	if err := o.Group.Alike(own); err != nil {
		return nil, err
	}
	if err := divides(batch, o.Group); err != nil {
		return nil, err
	}
	if o.Group.Rank() > 0 {
		o.Log, o.Watch, o.Evaluate, o.Probe = nil, nil, nil, nil
	} else if run, err = createRun(o.Out, o.Resume); err == nil {
		o.Log = logger{run.Path(logFile), o.Log}
	}
	if err = o.Group.Agree(err); err != nil && run != nil {
		err = errors.Join(err, run.Close())
	}
	return run, err
}

// startOf lists what the processes of a group must have in common, as name=value.
func startOf(settings any, set *data.Set, encoder string, o Options) ([]string, error) {
	if o.Group.Rank() > 0 { // rank 0 verifies its own when it writes run.json
		if err := set.Verify(); err != nil {
			return nil, err
		}
	}
	var all []string
	for name, version := range newInfo(0, o).Versions {
		all = append(all, "version of "+name+"="+version)
	}
	slices.Sort(all)
	all = append(all, "images="+set.Shape.String(), "SHA-256 of the images="+set.SHA256(), "device="+torch.Device{Type: o.Device.Type}.String(),
		fmt.Sprintf("resume=%t", o.Resume), fmt.Sprintf("minutes=%g", o.Minutes))
	if encoder != "" {
		sum, err := data.FileSHA256(encoder)
		if err != nil {
			return nil, fmt.Errorf("read the encoder: %w", err)
		}
		all = append(all, "SHA-256 of the encoder="+sum)
	}
	lines, err := config.Settings(settings)
	return append(all, lines...), err
}

// divides returns an error if g's processes cannot share the batch evenly: the mean of the means of
// unequal shares is not the mean over the batch.
func divides(batch int, g *torch.Group) error {
	n := g.World()
	if batch%n == 0 {
		return nil
	}
	return fmt.Errorf("batch is %d, which %d processes cannot share evenly: set batch=%d, or start a number of processes that divides %d",
		batch, n, (batch+n-1)/n*n, batch)
}

// join makes the parts of a training those of g: each process steps on its share of the batch, and all stay the same.
func join(g *torch.Group, parts []part) {
	for _, p := range parts {
		nn.Synchronize(p.net, g)
		if *p.opt != nil {
			(*p.opt).Share(g)
		}
	}
}

// spread gives all processes the parts of rank 0, and the number of steps that it has made. It needs an open scope.
func spread(g *torch.Group, parts []part, made *int) {
	if g == nil {
		return
	}
	step := torch.FromSlice([]float64{float64(*made)})
	g.Broadcast(step, 0)
	*made = int(step.Item())
	for _, e := range entriesOf(parts) {
		g.Broadcast(e.Tensor, 0)
	}
	for _, p := range parts {
		if *p.opt != nil {
			(*p.opt).SetSteps(*made)
		}
	}
}

// gathered returns the rows of all of g's processes, by rank, differentiable in all of them. If every
// process computes the same loss of them, its gradients are those of one process with all rows.
// x: [n,d] → [world·n,d].
func gathered(g *torch.Group, x torch.Tensor) torch.Tensor {
	n := x.Size(0)
	return g.Sum(x.Pad(0, 0, 0, g.Rank()*n, (g.World()-1-g.Rank())*n))
}

// gatheredViews is gathered for two views of each image: [2n,d], all first views, then all second views.
func gatheredViews(g *torch.Group, out torch.Tensor) torch.Tensor {
	if g == nil {
		return out
	}
	return perView(out, func(x torch.Tensor) torch.Tensor { return gathered(g, x) })
}

// meanOver is the mean of the processes' x, without a graph.
func meanOver(g *torch.Group, x torch.Tensor) torch.Tensor {
	if g == nil {
		return x
	}
	x = x.Detach().Clone()
	g.AllReduce(x, torch.ReduceSum)
	return x.DivScalar(float64(g.World()))
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

// undo copies, on rank 0, the state that a step changes before its last collective operation: entries, and the number of
// steps of optimisers. The function that it returns restores that state if a peer was lost in the step, and frees the copies.
func undo(g *torch.Group, step int, state func() ([]torch.Entry, []*optim.Adam)) func(failure error) error {
	if g == nil || g.Rank() > 0 {
		return func(failure error) error { return failure }
	}
	live, moved := state()
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
				o.SetSteps(step)
			}
		}
		for _, b := range before {
			b.Close()
		}
		return failure
	}
}

// early is the state that [Trainer.update] changes before its last collective operation.
func (t *Trainer) early() (live []torch.Entry, moved []*optim.Adam) {
	for _, p := range t.trained() {
		if p.opt != &t.optE {
			live, moved = append(live, p.state()...), append(moved, *p.opt)
		}
	}
	return append(live, buffers(t.E)...), moved // E's weights move last, but its power iterations come before
}

// buffers lists the state of a network that it does not learn.
func buffers(net any) (all []torch.Entry) {
	for _, l := range nn.State(net) {
		if l.Buffer {
			all = append(all, l.Entry)
		}
	}
	return all
}
