package train

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/models"
)

// Validate returns an error that names every setting that is invalid or contradicts another one. It does not check settings that
// the config does not use: those of q, unless the target is erm, and those of a joint encoder.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	c.shapes(bad)
	bad(!(c.ReplaceProb >= 0 && c.ReplaceProb <= 1), "replace_prob is %v: give a probability", c.ReplaceProb)
	bad(!(c.EMA >= 0 && c.EMA < 1), "ema is %v: give a decay of at least 0 and below 1", c.EMA)
	for i, decay := range c.EMAs {
		bad(!(decay >= 0 && decay < 1) || decay == c.EMA || slices.Contains(c.EMAs[:i], decay), "emas has %v: give decays of at least 0 and below 1 that differ from each other and from ema", decay)
	}
	bad(!(c.ScoreGamma >= 0) || math.IsInf(c.ScoreGamma, 0), "score_gamma is %v: give a weight of 0 or more, such as 0.1", c.ScoreGamma)
	bad(!(c.Margin >= 0) || math.IsInf(c.Margin, 0), "margin is %v: give an energy gap of 0 or more, such as 1", c.Margin)
	bad(!positive(c.Tau2), "tau2 is %v: give a variance above 0", c.Tau2)
	// With target=erm, ω₁ = 0 leaves G and q a VAE, which Table 11 compares with.
	bad(!positive(c.Omega1) && !(c.Omega1 == 0 && c.Target == ERM), "omega1 is %v: give a weight above 0, such as 1", c.Omega1)
	if c.Energy.LinearF && c.OptE.LR == 0 {
		bad(true, "energy.linear_f=true learns F, and opt_e.lr=0 freezes it: set opt_e.lr=1e-4, or energy.linear_f=false")
	} else {
		c.OptE.check("opt_e", bad)
	}
	c.OptG.check("opt_g", bad)
	bad(!(c.Schedule.Hold >= 0 && c.Schedule.Hold <= 1) || !(c.Schedule.Floor >= 0) || math.IsInf(c.Schedule.Floor, 0), "schedule.hold is %v and schedule.floor %v: give a hold of 0 to 1, and a floor of 0 or more", c.Schedule.Hold, c.Schedule.Floor)
	c.variant(bad)
	bad(c.BatchSplit > max(1, c.Batch), "batch_split is %d, batch %d: use 1 to %d parts", c.BatchSplit, c.Batch, max(1, c.Batch))
	bad(c.Log.Measured == 1, "log.measured is 1, and the distance needs the covariance of several samples: give at least 2, or 0 for %d", defaultMeasured)
	_, err := c.dtype()
	return errors.Join(append(errs, config.Bounds(c), c.Energy.Validate(), c.Views.Validate(), c.Chain.Validate(), err)...)
}

// shapes checks that the networks fit the images and each other.
func (c Config) shapes(bad func(wrong bool, format string, args ...any)) {
	size, wanted := c.Generator.Size(), c.Data.Size
	possible := wanted >= 8 && bits.OnesCount(uint(wanted)) == 1
	bad(!possible, "data.size is %d: G doubles images of 4×4 pixels, so give 8, 16, 32, 64 or another power of two", wanted)
	bad(possible && (len(c.Generator.Widths) < 2 || size != wanted), "generator.widths %v makes %d×%d images, data.size is %d: give one width for 4×4 and one per doubling", c.Generator.Widths, size, size, c.Data.Size)
	bad(c.Generator.Channels != c.Energy.Channels, "generator.channels is %d, energy.channels %d: give the same number", c.Generator.Channels, c.Energy.Channels)
	smallest := c.Data.Size
	for _, down := range c.Energy.Downs {
		if down {
			smallest /= 2
		}
	}
	bad(smallest < 1, "energy.downs halve %d×%d images too often: set some of them to false", c.Data.Size, c.Data.Size)
	checkRange(c.Data.Range, bad)
}

func checkRange(r models.Range, bad func(wrong bool, format string, args ...any)) {
	bad(!(r.Low < r.High) || math.IsInf(r.High-r.Low, 0), "data.range is [%v, %v]: give [0, 1] or [-1, 1]", r.Low, r.High)
}

// check checks the settings of an optimiser that trains a network.
func (o OptimConfig) check(name string, bad func(wrong bool, format string, args ...any)) {
	bad(!positive(o.LR), "%s.lr is %v: give a learning rate above 0, such as 1e-4", name, o.LR)
	bad(!(o.Beta1 >= 0 && o.Beta1 < 1) || !(o.Beta2 >= 0 && o.Beta2 < 1), "%s.beta1 is %v and beta2 %v: give decays of at least 0 and below 1", name, o.Beta1, o.Beta2)
	bad(!positive(o.Eps), "%s.eps is %v: give a number above 0, such as 1e-8", name, o.Eps)
	bad(!(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0) || !(o.Clip >= 0), "%s.weight_decay is %v and clip %v: give 0 or more", name, o.WeightDecay, o.Clip)
	bad(!(o.MaxUpdate >= 0), "%s.max_update is %v: give a number above 0, such as 1, or 0 for no limit", name, o.MaxUpdate)
}

// positive reports whether v is a number above 0.
func positive(v float64) bool { return v > 0 && !math.IsInf(v, 0) }

// Warnings returns a warning for each setting that is valid but known to fail.
func (c Config) Warnings() []string {
	r := c.Data.Range
	if c.Energy.Posterior != models.CEBM && !c.Energy.LinearF && !c.Energy.Bias && r.Low <= 0 && r.High >= 0 {
		return []string{"F = −½‖f‖² without biases has a global maximum at the all-zero image, and 0 lies in data.range: " +
			"on data with a dark or grey background such runs collapse to this image; set energy.bias=true"}
	}
	return nil
}

// variant checks the settings of the training variants.
func (c Config) variant(bad func(wrong bool, format string, args ...any)) {
	noLatent := c.Energy.Posterior == models.NoLatent
	bad(c.Target != EM && c.Target != EJM && c.Target != ERM, "target is %q: give em, ejm or erm", c.Target)
	bad(c.Encoder != Pretrained && c.Encoder != Joint, "encoder is %q, and this key takes no target of pretraining: give pretrained or joint", c.Encoder)
	bad(c.EMAfter < 0 || (c.EMAfter > 0 && c.Target != EJM), "em_after is %d with target=%s, and it is the step at which ejm becomes em: set target=ejm, or em_after=0", c.EMAfter, c.Target)
	bad(noLatent && c.Target == EJM, "target=ejm climbs E(x,h(x)), which energy.posterior=none does not have: set target=em, or another posterior")
	bad(noLatent && c.Encoder == Joint, "encoder=joint learns from the energy's latents, which energy.posterior=none does not have: set encoder=pretrained, or another posterior")
	cosine := c.Energy.Posterior == models.Cosine || c.Energy.Posterior == ""
	bad(cosine && c.Energy.Gamma == 0, "energy.gamma is 0, so the head g would not learn: set energy.posterior=none for an energy without a latent term, or give a weight such as 0.01")
	if c.Encoder == Joint {
		bad(!positive(c.Temperature), "temperature is %v: encoder=joint needs one above 0, such as 0.5", c.Temperature)
		c.OptH.check("opt_h", bad)
	}
	if c.Target != ERM {
		return
	}
	q := c.Inference
	bad(len(q.Widths) == 0, "inference.widths is empty: give q's channels, one width per halving down to 4×4 pixels; target=erm and liebm train-q need them")
	bad(len(q.Widths) > 0 && 4<<len(q.Widths) != c.Data.Size, "inference.widths %v reads %d×%d images, data.size is %d: give one width per halving down to 4×4 pixels", q.Widths, 4<<len(q.Widths), 4<<len(q.Widths), c.Data.Size)
	bad(q.LatentDim != c.Generator.LatentDim, "inference.latent_dim is %d, generator.latent_dim %d: give the same number, since q infers the latents of G", q.LatentDim, c.Generator.LatentDim)
	bad(q.Channels != c.Energy.Channels, "inference.channels is %d, energy.channels %d: give the same number", q.Channels, c.Energy.Channels)
	bad(!positive(c.Omega2), "omega2 is %v: target=erm needs a weight above 0, such as 0.1; for a weight of 0 use target=em", c.Omega2)
	bad(!(c.Rho >= 0) || math.IsInf(c.Rho, 0), "rho is %v: give a weight of 0 or more, such as 1", c.Rho)
	bad(!(c.LRQ >= 0) || math.IsInf(c.LRQ, 0), "lr_q is %v: give a learning rate above 0, such as 1e-4, or 0 for that of opt_q", c.LRQ)
	bad(!(c.RhoQ >= 0) || math.IsInf(c.RhoQ, 0), "rho_q is %v: give a weight of 0 or more, such as 100", c.RhoQ)
	c.OptQ.check("opt_q", bad)
}
