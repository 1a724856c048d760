// Package mcmc samples energies by Langevin dynamics.
//
// An energy is a function that returns one number for each item of a batch. Since p(x) ∝ exp(E(x)), a
// high energy means likely, and a chain climbs: each step adds (δ²/2)·∇E and noise. In the paper's Eq. 9
// the step size also sets the noise. At δ² = 25 that noise would hide images in [0,1]. Here the noise has
// a scale of its own, Sigma.
//
//	chain := mcmc.Langevin{Steps: 15, Delta2: 25, Sigma: 1e-3}
//	xT := chain.Run(energy.Marginal, x0, rng)             // Eq. 9
//	xT = chain.Run(mcmc.Joint(energy, h.Latent), x0, rng) // Eq. 10
//	m := chain.Run(mcmc.LogPrior, m0, rng)                // any function of a batch is an energy
//
// The package also has the linear degradations of Sec. 4.4 and the two energies that restore an image
// (Eq. 16 and 17). Functions of tensors are operators: they need an open scope and panic with *torch.Error.
package mcmc

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// Energy maps a batch to one energy each, high where x is likely: [n,…] → [n].
type Energy func(x torch.Tensor) torch.Tensor

// Langevin is the tempered Langevin step of Eq. 9. As printed, δ² = 25 would add noise of standard
// deviation 5 to images in [0,1]. As in Dual-MCMC and CLEL, the noise has a scale of its own, Sigma.
type Langevin struct {
	Steps   int     `yaml:"steps"`   // T, steps of a chain; the paper has 15 (Table 12)
	Delta2  float64 `yaml:"delta2"`  // δ², step size; the paper has 25 at 32×32, and 0.1 on CelebA (Table 12)
	Sigma   float64 `yaml:"sigma"`   // σ, standard deviation of a step's noise, in units of pixels; Dual-MCMC has 1e-3
	Clip    float64 `yaml:"clip"`    // limit for the drift of a step, as the root mean square over an image's pixels; a longer drift is scaled down to it; 0: no limit
	Literal bool    `yaml:"literal"` // use σ = δ, as in the printed Eq. 9, instead of sigma
	Clamp   Clamp   `yaml:"clamp"`   // when a chain clamps its state to the range of pixels: never, end (after the last step) or step (after every step)

	Low, High float64 `yaml:"-"` // the range that Clamp clamps to; train.Config.Langevin sets it
	Graph     bool    `yaml:"-"` // keep the graph of ∇ₓE, to differentiate through a step
}

// Clamp says when a chain clamps its state to the range of images.
type Clamp string

// The choices of Clamp. Configs spell ClampNever "never", and the zero Clamp means the same.
const (
	ClampNever Clamp = "never"
	ClampEnd   Clamp = "end"  // once, after the last step
	ClampStep  Clamp = "step" // after every step
)

// Validate returns an error that names the first invalid setting.
func (l Langevin) Validate() error {
	switch {
	case l.Steps < 0:
		return fmt.Errorf("chain.steps is %d: give 0 (no refinement) or more", l.Steps)
	case !(l.Delta2 > 0) || math.IsInf(l.Delta2, 0):
		return fmt.Errorf("chain.delta2 is %v: give a step size above 0, such as 25 at 32×32 pixels", l.Delta2)
	case !(l.Sigma >= 0) || math.IsInf(l.Sigma, 0):
		return fmt.Errorf("chain.sigma is %v: give a noise scale of 0 or more, such as 1e-3", l.Sigma)
	case !(l.Clip >= 0) || math.IsInf(l.Clip, 0):
		return fmt.Errorf("chain.clip is %v: give 0 (no limit) or more, such as 0.02", l.Clip)
	case l.Clamp != "" && l.Clamp != ClampNever && l.Clamp != ClampEnd && l.Clamp != ClampStep:
		return fmt.Errorf("chain.clamp is %q: give never, end or step", l.Clamp)
	}
	return nil
}

// Step returns x + (δ²/2)·∇ₓE(x) + σ·ε with ε ~ N(0, I) (Eq. 9, tempered). If l.Clip is above 0, the root mean square of the drift
// (δ²/2)·∇ₓE(x) of an image is at most l.Clip. With l.Literal the noise is δ·ε. With l.Clamp = [ClampStep] the result is clamped to l.Low
// and l.High. x: [n,…], requires grad. With l.Graph the result can be differentiated through ∇ₓE.
func (l Langevin) Step(e Energy, x torch.Tensor, rng *torch.RNG) torch.Tensor {
	l.checkRange()
	return torch.Tidy(func() torch.Tensor {
		noise := torch.Tensor{}
		if l.Noise() > 0 {
			noise = rng.NormalLike(x)
		}
		return l.transition(e, x, noise)
	})
}

// transition is Step with its noise, none if there is no σ. A CUDA graph may record it once and replay it for each step of a chain:
// it calls the same operators on the same shapes whatever x and noise hold, reads no number back to the host, and
// draws nothing. x and noise are its only inputs that change.
func (l Langevin) transition(e Energy, x, noise torch.Tensor) torch.Tensor {
	grad := torch.Grad(e(x).Sum(), x, l.Graph)
	next := x.AddScaled(l.clipped(grad), l.Delta2/2)
	if noise.Defined() {
		next = next.AddScaled(noise, l.Noise())
	}
	if l.Clamp == ClampStep {
		next = next.Clamp(l.Low, l.High)
	}
	return next
}

// checkRange panics if the chain clamps to a range that is not set. A range of 0 to 0 would make every image 0.
func (l Langevin) checkRange() {
	if (l.Clamp == ClampStep || l.Clamp == ClampEnd) && !(l.Low < l.High) {
		panic(&torch.Error{Op: "mcmc.Langevin", Msg: fmt.Sprintf("clamp is %s, and the range is %v to %v: set Low and High", l.Clamp, l.Low, l.High)})
	}
}

// Noise is the standard deviation of a step's noise: Sigma, or δ if l.Literal.
func (l Langevin) Noise() float64 {
	if l.Literal {
		return math.Sqrt(l.Delta2)
	}
	return l.Sigma
}

// clipped returns the gradient with every row scaled so that the rms of its drift is at most l.Clip. A chain
// of T steps then drifts by at most T·Clip, whatever E has become. CLEL's code clips single pixels (Lee et
// al. 2023); scaling the row keeps the direction. grad: [n,…].
func (l Langevin) clipped(grad torch.Tensor) torch.Tensor {
	if l.Clip == 0 {
		return grad
	}
	limit := 2 * l.Clip / l.Delta2 // of ∇E's rms
	dims := make([]int, grad.Dim()-1)
	for i := range dims {
		dims[i] = i + 1
	}
	rms := torch.Call("aten::mean.dim", grad.Square(), dims, true).Tensor(0).Sqrt()
	return grad.Mul(rms.Clamp(limit, math.Inf(1)).Pow(-1).MulScalar(limit)) // min(1, limit/rms), without a zero below
}

// Run makes l.Steps transitions from x0: [n,…]. With l.Clamp = [ClampEnd] it clamps the result to l.Low and l.High. The result carries no
// graph.
func (l Langevin) Run(e Energy, x0 torch.Tensor, rng *torch.RNG) torch.Tensor {
	x, _ := l.Walk(e, x0, rng, func(int, torch.Tensor) error { return nil })
	return x
}

// Walk is Run that calls visit after each transition, with the number of transitions and the state, which is not clamped at the end yet. If
// visit returns an error, Walk stops and returns it, with the state.
func (l Langevin) Walk(e Energy, x0 torch.Tensor, rng *torch.RNG, visit func(step int, x torch.Tensor) error) (torch.Tensor, error) {
	l.checkRange()
	x := x0.Detach()
	for step := range l.Steps {
		next := torch.Tidy(func() torch.Tensor { return l.Step(e, x.Leaf(), rng).Detach() })
		x.Close() // one state alive at a time: 100 MB each at 256×256
		x = next
		if err := visit(step+1, x); err != nil {
			return x, err
		}
	}
	return l.clampedEnd(x), nil
}

// clampedEnd clamps the end of a chain if the chain asks for it.
func (l Langevin) clampedEnd(x torch.Tensor) torch.Tensor {
	if l.Clamp == ClampEnd {
		return x.Clamp(l.Low, l.High)
	}
	return x
}

// JointEnergy is an energy of image and latent together.
type JointEnergy interface {
	Joint(x, z torch.Tensor) torch.Tensor // [n,c,h,w], [n,d_z] → [n]
}

// Joint returns E(x, h(x)), the energy of Eq. 10 with z = h(x). One chain in x samples x and z together;
// its gradient passes through the encoder too.
func Joint(e JointEnergy, latent func(x torch.Tensor) torch.Tensor) Energy {
	return func(x torch.Tensor) torch.Tensor { return e.Joint(x, latent(x)) }
}
