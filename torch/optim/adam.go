// Package optim has Adam, learning-rate schedules and moving averages of weights. They are written in Go. So
// their state is named tensors, which a checkpoint can contain.
//
// Adam.Step takes a loss, computes the gradients and updates the parameters. There are no gradients to set
// to zero. Adam keeps its state until Close; Entries and Load save and restore it. The learning rate is an
// argument of Step. Schedules are functions of the step, so a resumed run needs only the number of its step.
//
//	adam := optim.NewAdam(nn.Params(net), optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
//	defer adam.Close()
//	for step := range steps {
//		torch.Tidy(func() torch.Tensor {
//			adam.Step(loss(net, step), 1e-3*optim.Linear(step, steps, 0.5, 0.05))
//			optim.UpdateEMA(average, net, optim.EMADecay(0.999, step))
//			return torch.Tensor{}
//		})
//	}
package optim

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// AdamOptions are options of [NewAdam]. Set every field: zero is a value here, as in Beta1 = 0, and not PyTorch's default.
type AdamOptions struct {
	Beta1       float64 `yaml:"beta1"`        // decay of the mean gradient
	Beta2       float64 `yaml:"beta2"`        // decay of the mean squared gradient
	Eps         float64 `yaml:"eps"`          // added to the root of the mean square; PyTorch's default is 1e-8
	WeightDecay float64 `yaml:"weight_decay"` // factor of the L2 penalty, which is added to the gradient
	Clip        float64 `yaml:"clip"`         // limit for the norm of the whole gradient; a longer gradient is scaled down to it; 0: no limit
	MaxUpdate   float64 `yaml:"max_update"`   // limit for the root mean square of a parameter's update, in units of the learning rate; 0: no limit
}

// Adam is torch.optim.Adam (Kingma & Ba 2015). Its arithmetic runs over all parameters at once
// with libtorch's multi-tensor operators.
type Adam struct {
	opt    AdamOptions
	params []torch.Tensor
	avg    []torch.Tensor // exp_avg; nil if Beta1 is 0, because then it is the gradient
	sq     []torch.Tensor // exp_avg_sq
	steps  int
	group  *torch.Group
}

// NewAdam makes an optimiser of params, which the caller still has to close. It needs an open scope. Close
// frees the optimiser's state.
func NewAdam(params []torch.Tensor, o AdamOptions) *Adam {
	a := &Adam{opt: o, params: params}
	for _, p := range params {
		if o.Beta1 > 0 {
			a.avg = append(a.avg, p.Detach().ZerosLike().Keep())
		}
		a.sq = append(a.sq, p.Detach().ZerosLike().Keep())
	}
	return a
}

// Close frees the optimiser's state.
func (a *Adam) Close() {
	for _, t := range append(a.avg, a.sq...) {
		t.Close()
	}
}

// Share makes Step use the mean gradient over the processes of g.
func (a *Adam) Share(g *torch.Group) { a.group = g }

// Step updates the parameters to lower the loss, with learning rate lr. If the loss does not depend on a
// parameter, the parameter and its moments stay as they are.
func (a *Adam) Step(loss torch.Tensor, lr float64) {
	torch.Tidy(func() torch.Tensor {
		a.Apply(a.group.Grads(loss, a.params), lr)
		return torch.Tensor{}
	})
}

// Apply is Step with given gradients, in the order of the parameters. The zero Tensor skips a parameter.
// Apply overwrites grads.
func (a *Adam) Apply(grads []torch.Tensor, lr float64) {
	a.steps++
	var p, g, m, v []torch.Tensor
	for i, grad := range grads {
		if !grad.Defined() {
			continue
		}
		p, g, v = append(p, a.params[i]), append(g, grad), append(v, a.sq[i])
		if a.avg != nil {
			m = append(m, a.avg[i])
		}
	}
	if len(p) == 0 {
		return
	}
	torch.NoGrad(func() {
		if a.opt.Clip > 0 {
			clip(g, a.opt.Clip)
		}
		a.update(p, g, m, v, lr)
	})
}

// clip scales the gradients so that their norm, taken over all of them, is at most limit:
// torch.nn.utils.clip_grad_norm_.
func clip(grads []torch.Tensor, limit float64) {
	norm := torch.Stack(torch.ForeachNorm(grads), 0).Norm(0).Item()
	if factor := limit / (norm + 1e-6); factor < 1 {
		torch.ForeachMul(grads, factor)
	}
}

// update is algorithm 1 of Kingma & Ba 2015, bias corrections included:
// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p − lr·m̂/(√v̂ + ε).
func (a *Adam) update(p, g, m, v []torch.Tensor, lr float64) {
	o := a.opt
	if o.WeightDecay != 0 {
		torch.ForeachAdd(g, p, o.WeightDecay)
	}
	if m == nil {
		m = g
	} else {
		torch.ForeachMul(m, o.Beta1)
		torch.ForeachAdd(m, g, 1-o.Beta1)
	}
	torch.ForeachMul(v, o.Beta2)
	torch.ForeachAddcmul(v, g, g, 1-o.Beta2)
	t := float64(a.steps)
	correct1, correct2 := 1-math.Pow(o.Beta1, t), 1-math.Pow(o.Beta2, t)
	// With r = √v + ε√(1−β₂ᵗ), m̂/(√v̂ + ε) is m/r·√(1−β₂ᵗ)/(1−β₁ᵗ).
	r, scale := torch.ForeachSqrt(v), math.Sqrt(correct2)/correct1
	torch.ForeachAddScalar(r, o.Eps*math.Sqrt(correct2))
	if o.MaxUpdate > 0 {
		m = torch.ForeachDiv(m, r)
		r = excess(m, o.MaxUpdate/scale)
	}
	torch.ForeachAddcdiv(p, m, r, -lr*scale)
}

// excess returns, for each update, the factor by which its root mean square exceeds rms, or 1: the update clipping of Adafactor (Shazeer &
// Stern 2018, section 6). With β₁ = 0, a gradient that is much larger than those before it makes an update of up to
// 1/√(1−β₂) learning rates in every weight.
func excess(updates []torch.Tensor, rms float64) []torch.Tensor {
	norms := torch.ForeachNorm(updates)
	for i, norm := range norms {
		norms[i] = norm.DivScalar(rms*math.Sqrt(float64(updates[i].Numel()))).Clamp(1, math.Inf(1))
	}
	return norms
}

// Steps is the number of updates so far.
func (a *Adam) Steps() int { return a.steps }

// SetSteps sets the number of updates so far.
func (a *Adam) SetSteps(n int) { a.steps = n }

// Entries lists the state, to be saved. All names begin with prefix.
func (a *Adam) Entries(prefix string) []torch.Entry {
	var out []torch.Entry
	for i, t := range a.avg {
		out = append(out, torch.Entry{Name: fmt.Sprintf("%sexp_avg.%d", prefix, i), Tensor: t})
	}
	for i, t := range a.sq {
		out = append(out, torch.Entry{Name: fmt.Sprintf("%sexp_avg_sq.%d", prefix, i), Tensor: t})
	}
	return out
}

// Load restores the state that Entries listed after the given number of updates.
func (a *Adam) Load(prefix string, from map[string]torch.Tensor, steps int) error {
	if err := nn.LoadEntries(a.Entries(prefix), from); err != nil {
		return fmt.Errorf("optimiser state: %w", err)
	}
	a.steps = steps
	return nil
}
