package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// Trainer is the state of Algorithm 1: the networks, their averages, their optimisers and how many
// steps were made.
type Trainer struct {
	E, AvgE *models.Energy
	G, AvgG *models.Generator
	H       *models.Encoder   // frozen, unless it is trained along; nil where nothing needs it
	Q       *models.Inference // nil without ERM

	cfg        Config
	dtype      torch.DType
	device     torch.Device
	optE, optG *optim.Adam
	optQ, optH *optim.Adam // nil without Q, and with a frozen H
	step       int
	group      *torch.Group      // nil: this process trains alone
	onPart     func(part string) // nil: no profile listens
}

// NewTrainer makes the networks that cfg describes, on a device. It takes h over: frozen unless
// cfg.Encoder is joint, and closed with the trainer. h may be nil where cfg does not need it.
func NewTrainer(cfg Config, h *models.Encoder, device torch.Device) (*Trainer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := fits(h, cfg); err != nil {
		return nil, err
	}
	t := &Trainer{cfg: cfg, H: h, device: device}
	t.dtype, _ = cfg.dtype()
	for _, make := range []func() (err error){
		func() (err error) { t.E, err = models.NewEnergy(cfg.Energy, cfg.Seed); return },
		func() (err error) { t.AvgE, err = models.NewEnergy(cfg.Energy, cfg.Seed); return },
		func() (err error) { t.G, err = models.NewGenerator(cfg.Generator, cfg.Data.Range, cfg.Seed); return },
		func() (err error) { t.AvgG, err = models.NewGenerator(cfg.Generator, cfg.Data.Range, cfg.Seed); return },
		func() (err error) {
			if cfg.Target == ERM {
				t.Q, err = models.NewInference(cfg.Inference, cfg.Seed)
			}
			return
		},
	} {
		if err := make(); err != nil {
			return nil, err
		}
	}
	return t, torch.Do(func() error {
		for _, m := range []any{t.E, t.AvgE, t.G, t.AvgG, t.H, t.Q} {
			nn.To(m, device, torch.Float32)
		}
		for _, m := range []any{t.AvgE, t.AvgG} {
			nn.Freeze(m)
		}
		if cfg.Encoder == Joint {
			t.optH = optim.NewAdam(nn.Params(t.H), cfg.OptH.AdamOptions)
		} else {
			nn.Freeze(t.H)
		}
		if t.Q != nil {
			t.optQ = optim.NewAdam(nn.Params(t.Q), cfg.OptQ.AdamOptions)
		}
		t.optE = optim.NewAdam(nn.Params(t.E), cfg.OptE.AdamOptions)
		t.optG = optim.NewAdam(nn.Params(t.G), cfg.OptG.AdamOptions)
		return nil
	})
}

// fits refuses an encoder whose latents or images are not the energy's.
func fits(h *models.Encoder, cfg Config) error {
	if h == nil {
		if cfg.NeedsEncoder() {
			return fmt.Errorf("no encoder is given, and energy.posterior=%s with target=%s needs one: pretrain one, or --set encoder=joint", cfg.Energy.Posterior, cfg.Target)
		}
		return nil
	}
	if h.Config.LatentDim != cfg.Energy.LatentDim {
		return fmt.Errorf("the encoder's latent has %d dimensions, energy.latent_dim is %d: pretrain one that fits, or --set energy.latent_dim=%d",
			h.Config.LatentDim, cfg.Energy.LatentDim, h.Config.LatentDim)
	}
	if h.Config.Channels != cfg.Energy.Channels {
		return fmt.Errorf("the encoder takes %d-channel images, the energy %d-channel ones: pretrain one on the same data", h.Config.Channels, cfg.Energy.Channels)
	}
	return nil
}

// Close frees everything the trainer holds.
func (t *Trainer) Close() {
	for _, m := range []any{t.E, t.AvgE, t.G, t.AvgG, t.H, t.Q} {
		nn.Close(m)
	}
	for _, o := range t.optimisers() {
		o.Close()
	}
}

// optimisers lists those of the networks that this config trains.
func (t *Trainer) optimisers() (all []*optim.Adam) {
	for _, o := range []*optim.Adam{t.optE, t.optG, t.optQ, t.optH} {
		if o != nil {
			all = append(all, o)
		}
	}
	return all
}

// Losses are what one step measured.
type Losses struct {
	Generator float64 // L_G (Eq. 8)
	Energy    float64 // L_E (Eq. 4)
	Real      float64 // mean F(f(x)) of data
	RealStd   float64 // its standard deviation over the batch: judge γ by it
	Fake      float64 // mean F(f(x^T)) of negative samples
	Cosine    float64 // mean cos(g(f(x)), z) of data
	Move      float64 // rms(x^T − x⁰) of G's chains: below 0.005 the chains stand still
	ELBO      float64 // the negative ELBO of Eq. 14; 0 without ERM
	Contrast  float64 // NT-Xent of an encoder that is trained along; 0 for a frozen one
}

// names are the metrics' names, in the order of values.
var lossNames = [...]string{"loss_g", "loss_e", "energy_real", "energy_real_std", "energy_fake", "cosine", "move_rms", "loss_elbo", "loss_h"}

func (l *Losses) values() [len(lossNames)]*float64 {
	return [...]*float64{&l.Generator, &l.Energy, &l.Real, &l.RealStd, &l.Fake, &l.Cosine, &l.Move, &l.ELBO, &l.Contrast}
}

// Check is a *Diverged if a loss is not finite, naming the first, or if the chains run off: width
// is that of the range of pixels.
func (l Losses) Check(step int, width float64) error {
	for i, v := range l.values() {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			return &Diverged{step, lossNames[i], *v}
		}
	}
	if l.Move > 0.4*width {
		return &Diverged{step, "move_rms", l.Move}
	}
	return nil
}

// Diverged says that training ran off at a step: a loss is not finite, or chains that moved by a
// few hundredths before leap across the whole range, which soon ends in the same.
type Diverged struct {
	Step  int
	Name  string // of the measurement that shows it
	Value float64
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("step %d: %s is %.3g: training diverged. The last checkpoint is good: start again with lower learning rates, a smaller chain.delta2 or another seed", d.Step, d.Name, d.Value)
}

// Step is one iteration of Algorithm 1 on x: [n,c,h,w] in the config's range, with the signs fixed
// in the package doc. In a group x is this process's share of the batch; if a peer is lost, the state
// on rank 0 is that before the step.
func (t *Trainer) Step(x torch.Tensor) (loss Losses, err error) {
	err = torch.Do(func() (err error) {
		undo := t.undo()
		loss, err = t.update(x)
		return undo(err)
	})
	if !errors.Is(err, torch.ErrPeerLost) {
		t.step++
	}
	return loss, err
}

func (t *Trainer) update(x torch.Tensor) (loss Losses, err error) {
	rng := torch.NewRNG(t.cfg.Seed, t.step, "train").Share(t.group.Rank(), t.group.World())
	factor := t.cfg.Schedule.Factor(t.step, t.cfg.Steps)
	err = torch.Do(func() error {
		x = x.ToDevice(t.device)
		t.enter("latent")
		z := t.latent(x, rng.Fork("view")) // line 3: z = h(v(x))/‖h(v(x))‖
		chain := t.cfg.chain()             // of n images, T steps
		none := torch.Scalar(0).ToDevice(t.device)
		elbo, contrast := none, none // without q, and with h frozen

		t.enter("G forward")
		m := rng.Fork("m").Normal(x.Size(0), t.cfg.Generator.LatentDim).ToDevice(t.device) // line 4
		gm := t.G.Forward(m, nn.Train)
		t.enter(chainOfG)
		energy := t.E.Frozen(t.dtype)                                 // E moves only in line 16: normalise its weights once
		xT := chain.Run(t.target(energy), gm, rng.Fork("chain of G")) // line 5, Eq. 9 or 10
		t.enter("G update")
		lossG := GeneratorLoss(gm, xT, t.cfg.Tau2).MulScalar(t.cfg.Omega1) // line 6, Eq. 8
		if t.Q != nil {
			elbo = t.elbo(x, z, rng.Fork("q"))                    // lines 8–9, Eq. 14
			t.stepGQ(lossG.AddScaled(elbo, t.cfg.Omega2), factor) // lines 10–12
		} else {
			t.optG.Step(lossG, t.cfg.OptG.LR*factor) // line 12
		}

		t.enter("negatives")
		fake := t.negatives(m, rng) // line 13
		t.enter(chainOfE)
		neg := chain.Run(energy.Marginal, fake, rng.Fork("chain of E")) // line 14, Eq. 9
		t.enter("E update")
		t.E.PowerIterate()
		now := t.E.Bind()
		f := now.Features(torch.Cat([]torch.Tensor{x, neg}, 0)).Chunk(2, 0) // both terms of line 15 in one pass
		real, fakeScore, cosine := now.Score(f[0]), now.Score(f[1]), now.Cosine(f[0], z).Detach()
		lossE := EnergyLoss(fakeScore, real.Add(now.LogPosterior(f[0], z))) // line 15, Eq. 4
		if t.optH != nil {
			contrast = t.stepH(x, now.Latent(f[1]).Detach(), rng.Fork("contrast"), factor)
		}
		loss = read(lossG, lossE, real.Mean(), std(real), fakeScore.Mean(), cosine.Mean(), xT.Sub(gm).Square().Mean().Sqrt(), elbo, contrast).mean(t.group)
		t.optE.Step(lossE, t.cfg.OptE.LR*factor) // line 16; the last that a lost peer can stop

		t.enter("averages")
		decay := optim.EMADecay(t.cfg.EMA, t.step)
		optim.UpdateEMA(t.AvgE, t.E, decay)
		optim.UpdateEMA(t.AvgG, t.G, decay)
		return loss.Check(t.step, t.cfg.Data.Range.High-t.cfg.Data.Range.Low)
	})
	return loss, err
}

// The parts of an iteration that a profile must know: the chains have a precision of their own.
const (
	chainOfG = "chain of G"
	chainOfE = "chain of E"
)

// enter tells a profile which part of Algorithm 1 begins.
func (t *Trainer) enter(part string) {
	if t.onPart != nil {
		t.onPart(part)
	}
}

// latent draws a view of every image and encodes it (Algorithm 1, line 3); none where nothing needs it.
func (t *Trainer) latent(x torch.Tensor, rng *torch.RNG) (z torch.Tensor) {
	if t.H == nil {
		return z
	}
	torch.NoGrad(func() {
		z = torch.Tidy(func() torch.Tensor { return t.H.Latent(t.view(x, 1, rng)) })
	})
	return z
}

// negatives are G's images of m, each replaced by a view of itself with probability p. G normalises
// by the batch, as it did when it learnt, and its statistics stay.
func (t *Trainer) negatives(m torch.Tensor, rng *torch.RNG) (x torch.Tensor) {
	torch.NoGrad(func() {
		x = torch.Tidy(func() torch.Tensor {
			return t.view(t.G.Forward(m, nn.BatchStats), t.cfg.ReplaceProb, rng.Fork("replace"))
		})
	})
	return x
}

// view replaces each image by a view v(x) with probability p; views work on [0,1].
func (t *Trainer) view(x torch.Tensor, p float64, rng *torch.RNG) torch.Tensor {
	if p == 1 {
		return t.cfg.view(x, rng)
	}
	r := t.cfg.Data.Range
	return r.FromUnit(t.cfg.Views.Some(r.ToUnit(x), p, rng))
}

// view is v(x) of every image: [n,c,h,w] in the range.
func (c Config) view(x torch.Tensor, rng *torch.RNG) torch.Tensor {
	r := c.Data.Range
	return r.FromUnit(c.Views.Apply(r.ToUnit(x), rng))
}

// target is the energy that G's chains climb.
func (t *Trainer) target(energy *models.Bound) mcmc.Energy {
	if t.cfg.Target == EJM && (t.cfg.EMAfter == 0 || t.step < t.cfg.EMAfter) {
		return mcmc.Joint(energy, t.H.Latent) // Eq. 10
	}
	return energy.Marginal // Eq. 9
}

// GeneratorLoss is L_G = mean over the batch of ‖G(m) − x^T‖²/(2τ²), the sum over pixels (Eq. 8).
// gm, xT: [n,c,h,w].
func GeneratorLoss(gm, xT torch.Tensor, tau2 float64) torch.Tensor {
	return gm.Sub(xT).Square().Sum().DivScalar(2 * tau2 * float64(gm.Size(0)))
}

// EnergyLoss is L_E = mean E(x^T) − mean E(x,z), whose descent is the ascent of Eq. 4; Algorithm 1
// prints it with the opposite sign. fake, joint: [n].
func EnergyLoss(fake, joint torch.Tensor) torch.Tensor { return fake.Mean().Sub(joint.Mean()) }

func std(x torch.Tensor) torch.Tensor {
	return x.Sub(x.Mean()).Square().Mean().Sqrt()
}

// read copies a step's measurements from the device at once.
func read(values ...torch.Tensor) (l Losses) {
	for i, v := range torch.Stack(values, 0).Float64s() {
		*l.values()[i] = v
	}
	return l
}
