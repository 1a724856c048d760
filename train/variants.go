package train

import (
	"fmt"
	"math"
	"os"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// variant refuses settings of the training variants that contradict each other.
func (c Config) variant(bad func(wrong bool, format string, args ...any)) {
	noLatent := c.Energy.Posterior == models.NoLatent
	bad(c.Target != EM && c.Target != EJM && c.Target != ERM, "target is %q: give em, ejm or erm", c.Target)
	bad(c.Encoder != Pretrained && c.Encoder != Joint, "encoder is %q: give pretrained, whatever liebm pretrain made it by, or joint", c.Encoder)
	bad(c.EMAfter < 0 || (c.EMAfter > 0 && c.Target != EJM), "em_after is %d with target=%s: it is the step at which ejm goes over to em: --set target=ejm, or em_after=0", c.EMAfter, c.Target)
	bad(noLatent && c.Target == EJM, "target=ejm climbs E(x,h(x)), which energy.posterior=none does not have: --set target=em, or another posterior")
	bad(noLatent && c.Encoder == Joint, "encoder=joint learns from the energy's latents, which energy.posterior=none does not have: --set encoder=pretrained, or another posterior")
	cosine := c.Energy.Posterior == models.Cosine || c.Energy.Posterior == ""
	bad(cosine && c.Energy.Gamma == 0, "energy.gamma is 0, which leaves the head g as it was drawn: --set energy.posterior=none for an energy without a latent term, or give a weight such as 0.01")
	if c.Encoder == Joint {
		bad(!positive(c.Temperature), "temperature is %v: encoder=joint needs one above 0, such as 0.5", c.Temperature)
		c.OptH.check("opt_h", bad)
	}
	if c.Target != ERM {
		return
	}
	q := c.Inference
	bad(len(q.Widths) == 0, "inference.widths is empty: give q's channels, one per halving down to 4×4 pixels; target=erm and liebm train-q need q, target=em does not")
	bad(len(q.Widths) > 0 && 4<<len(q.Widths) != c.Data.Size, "inference.widths %v reads %d×%d images, data.size is %d: give one width per halving down to 4×4 pixels", q.Widths, 4<<len(q.Widths), 4<<len(q.Widths), c.Data.Size)
	bad(q.LatentDim != c.Generator.LatentDim, "inference.latent_dim is %d, generator.latent_dim %d: q's latents are G's", q.LatentDim, c.Generator.LatentDim)
	bad(q.Channels != c.Energy.Channels, "inference.channels is %d, energy.channels %d", q.Channels, c.Energy.Channels)
	bad(!positive(c.Omega2), "omega2 is %v: target=erm needs a weight above 0, such as 0.1; without it use target=em", c.Omega2)
	bad(!(c.Rho >= 0) || math.IsInf(c.Rho, 0), "rho is %v: give a weight of 0 or more, such as 1", c.Rho)
	c.OptQ.check("opt_q", bad)
}

// NeedsEncoder reports whether anything in the training reads h.
func (c Config) NeedsEncoder() bool {
	return c.Energy.Posterior != models.NoLatent || (c.Target == ERM && c.Rho > 0)
}

// loadEncoder reads h, or makes an untrained one where it is to learn along and path is empty; nil
// where nothing needs it.
func (c Config) loadEncoder(path string) (*models.Encoder, error) {
	if !c.NeedsEncoder() {
		return nil, nil
	}
	if c.Encoder == Joint && path == "" {
		return models.NewEncoder(EncoderFor(c), c.Data.Range, c.Seed)
	}
	if path == "" {
		return nil, fmt.Errorf("no file is given, and target=%s with energy.posterior=%s needs one: liebm pretrain makes one: %w", c.Target, c.Energy.Posterior, os.ErrNotExist)
	}
	return LoadEncoder(path, c.Data.Range)
}

// elbo is the negative ELBO of Eq. 14 on a batch of data and its latents; m̃ ~ q(m|x) is drawn by
// reparameterisation.
func (t *Trainer) elbo(x, z torch.Tensor, rng *torch.RNG) torch.Tensor {
	mean, logVar := t.Q.Forward(x)
	gm := t.G.Forward(draw(mean, logVar, rng), nn.Train)
	latent := torch.Tensor{}
	if t.cfg.Rho > 0 {
		latent = t.H.Forward(gm, nn.Eval)
	}
	return ELBOLoss(x, gm, z, latent, mean, logVar, t.cfg.Tau2, t.cfg.Rho)
}

// draw is μ + σ·ε with ε ~ N(0, I), differentiable in both. mean, logVar: [n,d] → [n,d].
func draw(mean, logVar torch.Tensor, rng *torch.RNG) torch.Tensor {
	return mean.Add(logVar.MulScalar(0.5).Exp().Mul(rng.NormalLike(mean)))
}

// ELBOLoss is −[log p_g(x|m̃) + ρ·cos(z, h(G(m̃)))] + KL(q(m|x) ‖ N(0,I)) (Eq. 13 and 14 without
// their constants; line 9 of Algorithm 1 prints the wrong sign), the mean over the batch, where
// log p_g(x|m̃) = −‖x − G(m̃)‖²/(2τ²). gm: G(m̃), [n,c,h,w] as x; latent: h(G(m̃)) and z, [n,d_z],
// unused where ρ is 0; mean, logVar: of q, [n,d_m].
func ELBOLoss(x, gm, z, latent, mean, logVar torch.Tensor, tau2, rho float64) torch.Tensor {
	return GeneratorLoss(gm, x, tau2).Add(LatentELBOLoss(z, latent, mean, logVar, rho))
}

// LatentELBOLoss is −ρ·cos(z, h(G(m̃))) + KL(q(m|x) ‖ N(0,I)), the mean over the batch: Eq. 26 with
// the logarithm that it lacks. Shapes are those of [ELBOLoss].
func LatentELBOLoss(z, latent, mean, logVar torch.Tensor, rho float64) torch.Tensor {
	loss := KLLoss(mean, logVar)
	if rho > 0 {
		loss = loss.AddScaled(latent.CosineSimilarity(z).Mean(), -rho)
	}
	return loss
}

// KLLoss is KL(N(μ, σ²) ‖ N(0,I)) = ½Σ(μ² + σ² − 1 − log σ²), the mean over the batch.
// mean, logVar: [n,d].
func KLLoss(mean, logVar torch.Tensor) torch.Tensor {
	return mean.Square().Add(logVar.Exp()).Sub(logVar).AddScalar(-1).SumDim(1).Mean().MulScalar(0.5)
}

// stepGQ updates G and q by one loss (Algorithm 1, line 12).
func (t *Trainer) stepGQ(loss torch.Tensor, factor float64) {
	g, q := nn.Params(t.G), nn.Params(t.Q)
	grads := t.group.Grads(loss, append(g, q...))
	t.optG.Apply(grads[:len(g)], t.cfg.OptG.LR*factor)
	t.optQ.Apply(grads[len(g):], t.cfg.OptQ.LR*factor)
}

// stepH updates an encoder that is trained along, as CLEL does: two views of each image, and the
// energy's latents g(f(x^T)) of negative samples as further negatives. In a group all images of the
// batch are compared. It returns the loss. extra: [n,d_z], constants.
func (t *Trainer) stepH(x, extra torch.Tensor, rng *torch.RNG, factor float64) torch.Tensor {
	views := torch.Cat([]torch.Tensor{t.view(x, 1, rng.Fork("first")), t.view(x, 1, rng.Fork("second"))}, 0)
	out := t.H.Forward(views, nn.Train)
	if t.group != nil {
		v := out.Chunk(2, 0)
		out = torch.Cat([]torch.Tensor{gathered(t.group, v[0]), gathered(t.group, v[1])}, 0)
		extra = torch.Cat(t.group.AllGather(extra), 0)
	}
	loss := NTXentAgainst(out, extra, t.cfg.Temperature)
	t.optH.Step(loss, t.cfg.OptH.LR*factor)
	return loss.Detach()
}
