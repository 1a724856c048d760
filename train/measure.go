package train

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// Losses are the measurements of one step of Algorithm 1.
type Losses struct {
	Generator float64 // L_G (Eq. 8)
	Energy    float64 // L_E (Eq. 4)
	Real      float64 // mean F(f(x)) of data
	RealStd   float64 // its standard deviation over the batch; compare γ with it
	Fake      float64 // mean F(f(x^T)) of negative samples
	Cosine    float64 // mean cos(g(f(x)), z) of data
	Move      float64 // rms(x^T − x⁰) of G's chains; below 0.005 the chains stand still
	ELBO      float64 // the loss of Eq. 14; 0 without ERM
	Contrast  float64 // NT-Xent of an encoder that learns together with E; 0 for a frozen one
}

// lossNames are the names of the metrics, in the order of values.
var lossNames = [...]string{"loss_g", "loss_e", "energy_real", "energy_real_std", "energy_fake", "cosine", "move_rms", "loss_elbo", "loss_h"}

func (l *Losses) values() [len(lossNames)]*float64 {
	return [...]*float64{&l.Generator, &l.Energy, &l.Real, &l.RealStd, &l.Fake, &l.Cosine, &l.Move, &l.ELBO, &l.Contrast}
}

// scalar is a number on the device and the field it goes to.
type scalar struct {
	to   *float64
	from torch.Tensor // none: the field stays 0
}

// read copies scalars from the device in one transfer.
func (l *Losses) read(scalars ...scalar) {
	var to []*float64
	var from []torch.Tensor
	for _, r := range scalars {
		if r.from.Defined() {
			to, from = append(to, r.to), append(from, r.from)
		}
	}
	for i, v := range torch.Stack(from, 0).Float64s() {
		*to[i] = v
	}
}

// metrics are the measurements without the losses of networks that this config does not train.
func (t *Trainer) metrics(l Losses) (out []Metric) {
	for i, v := range l.values() {
		if v == &l.ELBO && t.optQ == nil || v == &l.Contrast && t.optH == nil {
			continue
		}
		out = append(out, Metric{lossNames[i], *v})
	}
	return out
}

// oneLoss is the measurement of a step, counted from 1, with one loss. The error is a *Diverged if the loss is not finite.
func oneLoss(step int, name string, loss torch.Tensor) ([]Metric, error) {
	values := []Metric{{name, loss.Item()}}
	if v := values[0].Value; math.IsNaN(v) || math.IsInf(v, 0) {
		return values, &Diverged{step, name, v}
	}
	return values, nil
}

// blownUp is the L_E above which E is lost. It stays below 10 in runs that learn. Where chain.clip bounds the drift,
// chains move little however steep E becomes: there L_E reached 1e14 before it stopped being finite.
const blownUp = 1e6

// Check returns a *Diverged if a loss is not finite, if the chains moved by more than 0.4 of the range of
// pixels, or if |L_E| is above blownUp (1e6). step counts from 1. width is the width of the range.
func (l Losses) Check(step int, width float64) error {
	for i, v := range l.values() {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			return &Diverged{step, lossNames[i], *v}
		}
	}
	if l.Move > 0.4*width {
		return &Diverged{step, "move_rms", l.Move}
	}
	if math.Abs(l.Energy) > blownUp {
		return &Diverged{step, "loss_e", l.Energy}
	}
	return nil
}

// stalled is the rms(x^T − x⁰) below which chains were seen to stall and collapse.
const stalled = 0.005

// warnOfCollapse returns a warning if the chains hardly move, the sign of a collapse.
func warnOfCollapse(mean []Metric) string {
	for _, m := range mean {
		if m.Name == "move_rms" && m.Value < stalled {
			return fmt.Sprintf("the chains hardly move (rms(x^T − x⁰) = %.2g, below %v): E is flat, or its gradients are too small for chain.delta2. "+
				"Good runs had 0.02 to 0.08: raise chain.delta2, or lower opt_e.lr if this began in the middle of the run", m.Value, stalled)
		}
	}
	return ""
}

// std is the standard deviation of x, a scalar.
func std(x torch.Tensor) torch.Tensor { return rms(x.Sub(x.Mean())) }

// rms is the root of the mean square of x, a scalar.
func rms(x torch.Tensor) torch.Tensor { return x.Square().Mean().Sqrt() }
