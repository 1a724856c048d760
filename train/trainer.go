package train

import (
	"errors"
	"fmt"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
)

// Trainer is the state of Algorithm 1: the networks, their averages, their optimisers and the number of
// steps made.
type Trainer struct {
	E, AvgE *models.Energy
	G, AvgG *models.Generator
	H       *models.Encoder   // frozen, unless it learns together with E; nil if the config reads no encoder
	Q       *models.Inference // nil without ERM

	frozenH    *models.FrozenEncoder // h with constant weights; nil if h learns, or without h
	ofE, ofG   []average             // of E and G, with the decays of cfg.EMA and cfg.EMAs
	cfg        Config
	dtype      torch.DType // of the chains' convolutions
	device     torch.Device
	optE, optG *optim.Adam
	optQ, optH *optim.Adam // nil without Q, and with a frozen H
	step       int
	group      *torch.Group      // nil: this process trains alone
	onPart     func(part string) // called when a part of an iteration begins; nil without a profile
}

// parts is the table of what the trainer holds.
func (t *Trainer) parts() []part {
	return []part{
		{"energy", t.E, t.ofE, "opt_e", &t.optE},
		{"generator", t.G, t.ofG, "opt_g", &t.optG},
		{"inference", t.Q, nil, "opt_q", &t.optQ},
		{"encoder", t.H, nil, "opt_h", &t.optH},
	}
}

// trained is the table without the networks that this config does not train.
func (t *Trainer) trained() (parts []part) {
	for _, p := range t.parts() {
		if *p.opt != nil {
			parts = append(parts, p)
		}
	}
	return parts
}

// NewTrainer makes the networks that cfg describes, on a device. It takes h over unless it returns an error: the trainer closes h,
// and freezes it unless cfg.Encoder is joint. h may be nil if the config reads no encoder.
func NewTrainer(cfg Config, h *models.Encoder, device torch.Device) (*Trainer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.checkEncoder(h); err != nil {
		return nil, err
	}
	t := &Trainer{cfg: cfg, device: device}
	t.dtype, _ = cfg.dtype()
	var errs [3]error
	newE := func() (e *models.Energy) {
		e, errs[0] = models.NewEnergy(cfg.Energy, cfg.Seed)
		return e
	}
	newG := func() (g *models.Generator) {
		g, errs[1] = models.NewGenerator(cfg.Generator, cfg.Data.Range, cfg.Seed)
		return g
	}
	t.E, t.AvgE, t.G, t.AvgG = newE(), newE(), newG(), newG()
	t.ofE, t.ofG = []average{{"energy_ema", cfg.EMA, t.AvgE}}, []average{{"generator_ema", cfg.EMA, t.AvgG}}
	for _, decay := range cfg.EMAs {
		t.ofE = append(t.ofE, average{"energy_ema" + cfg.ofDecay(decay), decay, newE()})
		t.ofG = append(t.ofG, average{"generator_ema" + cfg.ofDecay(decay), decay, newG()})
	}
	if cfg.Target == ERM {
		t.Q, errs[2] = models.NewInference(cfg.Inference, cfg.Seed)
	}
	err := errors.Join(errs[:]...)
	if err == nil {
		t.H = h
		err = torch.Do(t.place)
	}
	if err != nil {
		t.H = nil // the caller's
		t.Close()
		return nil, err
	}
	return t, nil
}

// place moves the networks to the device, freezes those that do not learn, and makes the optimisers of the others.
func (t *Trainer) place() error {
	cfg := t.cfg
	settings := map[string]OptimConfig{"energy": cfg.OptE, "generator": cfg.OptG}
	if cfg.Target == ERM {
		settings["inference"] = cfg.OptQ
	}
	if cfg.Encoder == Joint {
		settings["encoder"] = cfg.OptH
	}
	for _, p := range t.parts() {
		nn.To(p.net, t.device, torch.Float32)
		for _, a := range p.averages {
			nn.To(a.net, t.device, torch.Float32)
			nn.Freeze(a.net)
		}
		if o, trained := settings[p.name]; trained {
			*p.opt = optim.NewAdam(nn.Params(p.net), o.AdamOptions)
		} else {
			nn.Freeze(p.net)
		}
	}
	if t.H != nil && t.optH == nil {
		t.frozenH = t.H.Frozen().Keep()
	}
	return nil
}

// checkEncoder returns an error if h is missing, or its latents or images are not the energy's.
func (c Config) checkEncoder(h *models.Encoder) error {
	switch {
	case h == nil && c.NeedsEncoder():
		return fmt.Errorf("no encoder is given, and energy.posterior=%s with target=%s needs one: pretrain one, or set encoder=joint", c.Energy.Posterior, c.Target)
	case h == nil:
		return nil
	case h.Config.LatentDim != c.Energy.LatentDim:
		return fmt.Errorf("the encoder's latent has %d dimensions, and energy.latent_dim is %d: pretrain another encoder, or set energy.latent_dim=%d",
			h.Config.LatentDim, c.Energy.LatentDim, h.Config.LatentDim)
	case h.Config.Channels != c.Energy.Channels:
		return fmt.Errorf("the encoder reads images with %d channels, and the energy reads %d: pretrain an encoder on the same data", h.Config.Channels, c.Energy.Channels)
	}
	return nil
}

// Close frees everything the trainer holds.
func (t *Trainer) Close() {
	for _, p := range t.parts() {
		p.close()
	}
	if t.frozenH != nil {
		t.frozenH.Close()
	}
}

// Step is one iteration of Algorithm 1 on x: [n,c,h,w] in [0,1], with the signs of the package comment.
// In a group x is this process's share of the batch. If a peer is lost, rank 0 has the state before the
// step.
func (t *Trainer) Step(x torch.Tensor) (loss Losses, err error) {
	torch.AllowTF32(t.cfg.TF32)
	defer torch.AllowTF32(false)
	err = torch.Do(func() (err error) {
		undo := undo(t.group, t.step, t.early)
		loss, err = t.update(x)
		return undo(err)
	})
	var diverged *Diverged
	if err == nil || errors.As(err, &diverged) {
		t.step++
	}
	return loss, err
}

// update follows Algorithm 1 line by line.
func (t *Trainer) update(unit torch.Tensor) (loss Losses, err error) {
	rng := torch.NewRNG(t.cfg.Seed, t.step, "train").Share(t.group.Rank(), t.group.World())
	err = torch.Do(func() error {
		unit = unit.ToDevice(t.device)
		x := t.cfg.Data.Range.FromUnit(unit)
		z := t.latent(unit, rng.Fork("view")) // line 3: z = h(v(x))/‖h(v(x))‖

		m, gm := t.generate(x.Size(0), rng.Fork("m")) // line 4
		energy := t.E.Frozen(t.dtype)                 // E moves only in line 16: normalise its weights once
		xT := t.chain("G", t.target(energy), gm, rng) // line 5, Eq. 9 or 10
		lossG := GeneratorLoss(gm, xT, t.cfg.Tau2)    // line 6, Eq. 8
		elbo := t.elbo(x, z, rng.Fork("q"))           // lines 7–11, Eq. 14; none without ERM
		t.stepG(lossG, elbo)                          // line 12, Eq. 8 or 11

		fake := t.negatives(m, rng.Fork("replace"))              // line 13
		neg := t.chain("E", energy.Marginal, fake, rng)          // line 14, Eq. 9
		lossE, e := t.energyLoss(x, neg, z)                      // line 15, Eq. 4
		contrast := t.stepH(unit, e.extra, rng.Fork("contrast")) // none with a frozen encoder

		loss.read(scalar{&loss.Generator, lossG.MulScalar(t.cfg.Omega1)}, scalar{&loss.Energy, lossE},
			scalar{&loss.Real, e.real.Mean()}, scalar{&loss.RealStd, std(e.real)}, scalar{&loss.Fake, e.fake.Mean()},
			scalar{&loss.Cosine, e.cosine.Mean()}, scalar{&loss.Move, rms(xT.Sub(gm))},
			scalar{&loss.ELBO, elbo}, scalar{&loss.Contrast, contrast})
		loss = loss.mean(t.group)
		t.optE.Step(lossE, t.rate(t.cfg.OptE)) // line 16; the last operation that a lost peer can stop

		t.average()
		return loss.Check(t.step+1, t.cfg.Data.Range.High-t.cfg.Data.Range.Low)
	})
	return loss, err
}

// begins tells a profile that a part of the iteration begins.
func (t *Trainer) begins(part string) {
	if t.onPart != nil {
		t.onPart(part)
	}
}

// latent encodes a view of every image: [n,c,h,w] in [0,1] → [n,d_z]. It is none without an encoder.
func (t *Trainer) latent(unit torch.Tensor, rng *torch.RNG) (z torch.Tensor) {
	t.begins("latent")
	if t.H == nil {
		return z
	}
	torch.NoGrad(func() {
		z = t.cfg.byParts(unit, rng, func(unit torch.Tensor, rng *torch.RNG) torch.Tensor { return t.encoder().Latent(t.cfg.view(unit, rng)) })
	})
	return z
}

// encoder returns h with its present weights as constants. The trainer keeps one if h does not learn. Otherwise it belongs to the open scope.
func (t *Trainer) encoder() *models.FrozenEncoder {
	if t.frozenH != nil {
		return t.frozenH
	}
	return t.H.Frozen()
}

// view is v(x) in the range of the networks, for images in [0,1]: [n,c,h,w].
func (c Config) view(unit torch.Tensor, rng *torch.RNG) torch.Tensor {
	return c.Data.Range.FromUnit(c.Views.Apply(unit, rng))
}

// generate draws m ~ N(0, I): [n,d_m], and G(m): [n,c,h,w].
func (t *Trainer) generate(n int, rng *torch.RNG) (m, gm torch.Tensor) {
	t.begins("G forward")
	m = rng.Normal(n, t.cfg.Generator.LatentDim).ToDevice(t.device)
	return m, t.G.Forward(m, nn.Train)
}

// The two parts of an iteration whose convolutions have the precision of the config.
const (
	chainOf  = "chain of "
	chainOfG = chainOf + "G"
	chainOfE = chainOf + "E"
)

// chain runs the chain of one network's update from x0: [n,c,h,w].
func (t *Trainer) chain(of string, e mcmc.Energy, x0 torch.Tensor, rng *torch.RNG) torch.Tensor {
	t.begins(chainOf + of)
	defer t.begins(of + " update")
	return t.cfg.byParts(x0, rng.Fork(chainOf+of), func(x0 torch.Tensor, rng *torch.RNG) torch.Tensor {
		return t.cfg.Langevin().Run(e, x0, rng)
	})
}

// target is the energy that G's chains climb.
func (t *Trainer) target(energy *models.Bound) mcmc.Energy {
	if t.cfg.Target == EJM && (t.cfg.EMAfter == 0 || t.step < t.cfg.EMAfter) {
		return mcmc.Joint(energy, t.encoder().Latent) // Eq. 10
	}
	return energy.Marginal // Eq. 9
}

// elbo is the loss of Eq. 14 on data x in the range and its latents z, at m̃ ~ q(m|x). It is none without q.
func (t *Trainer) elbo(x, z torch.Tensor, rng *torch.RNG) (loss torch.Tensor) {
	if t.Q == nil {
		return loss
	}
	mean, logVar := t.Q.Forward(x)
	gm := t.G.Forward(Reparameterize(mean, logVar, rng.NormalLike(mean)), nn.Train)
	var latent torch.Tensor
	if t.cfg.Rho > 0 {
		latent = t.encoder().Forward(gm)
	}
	return ELBOLoss(JointLogLikelihood(x, gm, z, latent, t.cfg.Tau2, t.cfg.Rho), mean, logVar)
}

// stepG updates G by the loss of Eq. 8. With ERM it updates G and q by that of Eq. 11.
func (t *Trainer) stepG(match, elbo torch.Tensor) {
	if t.Q == nil {
		t.optG.Step(match.MulScalar(t.cfg.Omega1), t.rate(t.cfg.OptG))
		return
	}
	g, q := nn.Params(t.G), nn.Params(t.Q)
	grads := t.group.Grads(ERMLoss(match, elbo, t.cfg.Omega1, t.cfg.Omega2), append(g, q...))
	t.optG.Apply(grads[:len(g)], t.rate(t.cfg.OptG))
	t.optQ.Apply(grads[len(g):], t.rate(t.cfg.OptQ))
}

// rate is an optimiser's learning rate at this step.
func (t *Trainer) rate(o OptimConfig) float64 {
	return o.LR * t.cfg.Schedule.Factor(t.step, t.cfg.Steps)
}

// negatives are images of G, each replaced by a view of itself with probability p. G normalises by the
// batch, as when it learns, and its running statistics stay.
func (t *Trainer) negatives(m torch.Tensor, rng *torch.RNG) (x torch.Tensor) {
	t.begins("negatives")
	r := t.cfg.Data.Range
	torch.NoGrad(func() {
		x = torch.Tidy(func() torch.Tensor {
			return r.FromUnit(t.cfg.Views.Some(r.ToUnit(t.G.Forward(m, nn.BatchStats)), t.cfg.ReplaceProb, rng))
		})
	})
	return x
}

// energies are what E's update reads of a batch, without a graph: F and cos(g(f), z) of data, F of negative samples, [n]
// each, and for an encoder that learns together with E the latents of negative samples, [n,d_z].
type energies struct{ real, cosine, fake, extra torch.Tensor }

// energyLoss is L_E of Eq. 4 at E's present weights, on data with latents z and on negative samples. E treats every
// image by itself, so the loss and its gradient are sums over the parts of the batch.
func (t *Trainer) energyLoss(x, neg, z torch.Tensor) (loss torch.Tensor, e energies) {
	t.E.PowerIterate()
	loss, columns := t.cfg.lossByParts(x.Size(0), nn.Params(t.E), func(p rows) (loss, columns torch.Tensor) {
		x, neg, z := p.of(x), p.of(neg), p.of(z)
		bound := t.E.Bind()
		f := bound.Features(torch.Cat([]torch.Tensor{x, neg}, 0)).Chunk(2, 0) // of both terms in one pass
		real, fake := bound.Score(f[0]), bound.Score(f[1])
		columns = torch.Stack([]torch.Tensor{real, bound.Cosine(f[0], z), fake}, 1)
		if t.optH != nil {
			columns = torch.Cat([]torch.Tensor{columns, bound.Latent(f[1])}, 1)
		}
		if t.cfg.Margin > 0 {
			fake = Margined(fake, real, t.cfg.Margin)
		}
		return EnergyLoss(fake, real.Add(bound.LogPosterior(f[0], z))), columns.Detach()
	})
	scalars := columns.Narrow(1, 0, 3).Transpose(0, 1).Contiguous(torch.Contiguous)
	return loss, energies{scalars.Select(0, 0), scalars.Select(0, 1), scalars.Select(0, 2), columns.Narrow(1, 3, columns.Size(1)-3)}
}

// stepH updates an encoder that learns together with E, as CLEL does: two views of each image, with the
// energy's latents of the negative samples as further negatives. In a group all images of the batch are
// compared. It returns the loss, or none if the encoder is frozen. unit: [n,c,h,w] in [0,1]; extra:
// [n,d_z], of the negative samples.
func (t *Trainer) stepH(unit, extra torch.Tensor, rng *torch.RNG) (loss torch.Tensor) {
	if t.optH == nil {
		return loss
	}
	views := torch.Cat([]torch.Tensor{t.cfg.view(unit, rng.Fork("first")), t.cfg.view(unit, rng.Fork("second"))}, 0)
	out := gatheredViews(t.group, outputsOfViews(t.H, views))
	loss = NTXentAgainst(out, torch.Cat(t.group.AllGather(extra), 0), t.cfg.Temperature)
	t.optH.Step(loss, t.rate(t.cfg.OptH))
	return loss.Detach()
}

// average moves the averaged networks towards the trained ones.
func (t *Trainer) average() {
	t.begins("averages")
	for _, p := range t.parts() {
		for _, a := range p.averages {
			optim.UpdateEMA(a.net, p.net, optim.EMADecay(a.decay, t.step))
		}
	}
}
