package train

import (
	"math"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// byol has the networks that BYOL (Grill et al. 2020) needs besides h, during pretraining only. The names of the
// fields are those of the weights.
type byol struct {
	Pred1  *nn.Linear // the predictor: Linear–BN–ReLU–Linear, as h's head
	PredBN *nn.BatchNorm
	Pred2  *nn.Linear
	Target *models.Encoder // the average of h; its outputs are predicted
}

func newBYOL(cfg SSLConfig) (*byol, error) {
	target, err := models.NewEncoder(cfg.Encoder, cfg.Data.Range, cfg.Seed) // the same weights as h
	if err != nil {
		return nil, err
	}
	d, hidden := cfg.Encoder.LatentDim, cfg.Encoder.HeadDim
	b := &byol{Target: target}
	return b, torch.Do(func() error {
		b.Pred1, b.PredBN = nn.NewLinear(d, hidden, nn.LinearOptions{}), nn.NewBatchNorm(hidden)
		b.Pred2 = nn.NewLinear(hidden, d, nn.LinearOptions{})
		rng := torch.NewRNG(cfg.Seed, 0, "predictor weights")
		nn.Init(b.Pred1, rng.Fork("pred1"))
		nn.Init(b.PredBN, rng.Fork("pred_bn"))
		nn.Init(b.Pred2, rng.Fork("pred2"))
		return nil
	})
}

// predictor lists the weights that the optimiser moves.
func (b *byol) predictor() []torch.Tensor {
	return nn.Params([]any{b.Pred1, b.PredBN, b.Pred2})
}

// loss is the loss of BYOL. views: two of each image, [2n,c,h,w] in the range; out: h's outputs of them, [2n,d_z].
func (b *byol) loss(views, out torch.Tensor) torch.Tensor {
	pred := perView(out, func(x torch.Tensor) torch.Tensor {
		return b.Pred2.Forward(b.PredBN.Forward(b.Pred1.Forward(x), nn.Train).ReLU())
	})
	var target torch.Tensor
	torch.NoGrad(func() {
		target = perView(views, func(x torch.Tensor) torch.Tensor { return b.Target.Forward(x, nn.BatchStats) })
	})
	return BYOLLoss(pred, target)
}

// byolTau rises from tau to 1 by a cosine (Grill et al. 2020, Sec. 3.2).
func byolTau(tau float64, step, total int) float64 {
	return 1 - (1-tau)*(math.Cos(math.Pi*float64(step)/float64(total))+1)/2
}

// BYOLLoss is the mean of 2 − 2·cos(prediction of one view, target of the other), summed over both directions
// (Grill et al. 2020, their Eq. 2). pred, target: [2n,d], all first views, then all second views. No gradient
// passes through target.
func BYOLLoss(pred, target torch.Tensor) torch.Tensor {
	p, t := pred.Chunk(2, 0), target.Detach().Chunk(2, 0)
	return normMSE(p[0], t[1]).Add(normMSE(p[1], t[0]))
}

// normMSE is the mean squared distance of rows on the unit sphere, 2 − 2·cos. a, b: [n,d].
func normMSE(a, b torch.Tensor) torch.Tensor {
	return a.Normalize().Mul(b.Normalize()).SumDim(1).Mean().MulScalar(-2).AddScalar(2)
}
