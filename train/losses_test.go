package train

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestLossesAndTheirGradientsArePyTorchs(t *testing.T) {
	golden := torchtest.Load(t, "testdata/losses.npz")
	for name, c := range map[string]struct {
		inputs []string
		loss   func(x []torch.Tensor) torch.Tensor
	}{
		"generator": {[]string{"gm"}, func(x []torch.Tensor) torch.Tensor {
			return GeneratorLoss(x[0], as(x[0], golden.Tensor("generator.xt")), 0.7)
		}},
		"energy": {[]string{"fake", "joint"}, func(x []torch.Tensor) torch.Tensor { return EnergyLoss(x[0], x[1]) }},
		"margined": {[]string{"fake", "real"}, func(x []torch.Tensor) torch.Tensor {
			return EnergyLoss(Margined(x[0], x[1], 1), x[1])
		}},
		"nt_xent_against": {[]string{"z"}, func(x []torch.Tensor) torch.Tensor {
			return NTXentAgainst(x[0], as(x[0], golden.Tensor("nt_xent_against.extra")), 0.5)
		}},
		"byol": {[]string{"pred"}, func(x []torch.Tensor) torch.Tensor {
			return BYOLLoss(x[0], as(x[0], golden.Tensor("byol.target")))
		}},
		"wmse": {[]string{"y"}, func(x []torch.Tensor) torch.Tensor {
			return wmseLoss(x[0], 5, golden.Tensor("wmse.perm"))
		}},
		"elbo": {[]string{"gm", "latent", "mean", "log_var"}, func(x []torch.Tensor) torch.Tensor {
			likelihood := JointLogLikelihood(as(x[0], golden.Tensor("elbo.x")), x[0], as(x[0], golden.Tensor("elbo.z")), x[1], 0.7, 1.3)
			return ELBOLoss(likelihood, x[2], x[3])
		}},
		"latent_elbo": {[]string{"latent", "mean", "log_var"}, func(x []torch.Tensor) torch.Tensor {
			return LatentELBOLoss(as(x[0], golden.Tensor("elbo.z")), x[0], x[1], x[2], 1.3)
		}},
		"nt_xent": {[]string{"z"}, func(x []torch.Tensor) torch.Tensor { return NTXent(x[0], 0.5) }},
	} {
		for dtype, tol := range map[torch.DType]float64{torch.Float64: 1e-12, torch.Float32: 1e-5} {
			torchtest.Run(t, name+" "+dtype.String(), func(t *testing.T) {
				var leaves []torch.Tensor
				for _, input := range c.inputs {
					leaves = append(leaves, golden.Tensor(name+"."+input).To(dtype).Leaf())
				}
				loss := c.loss(leaves)
				inRelative(t, golden.Tensor(name), loss.Reshape(1), tol)
				for i, grad := range torch.Grads(loss, leaves, torch.GradOptions{}) {
					inRelative(t, golden.Tensor(name+".d"+c.inputs[i]), grad, tol)
				}
			})
		}
	}
}

// inRelative is InDelta relative to want's greatest magnitude, also where that is below 1.
func inRelative(t *testing.T, want, got torch.Tensor, tol float64) {
	t.Helper()
	scale := want.Abs().Max().Item()
	torchtest.InDelta(t, want.DivScalar(scale), got.DivScalar(scale), tol)
}

// as is a constant of the golden in the dtype of x.
func as(x, constant torch.Tensor) torch.Tensor { return constant.To(x.DType()) }

func TestWhitenedRowsAreUncorrelated(t *testing.T) {
	torchtest.Scope(t, func() {
		x := torch.NewRNG(1, 0, "x").NormalLike(torch.Empty([]int{128, 6}, torch.Float64))
		w := whiten(x.Matmul(torch.NewRNG(2, 0, "mix").NormalLike(torch.Empty([]int{6, 6}, torch.Float64))))
		torchtest.InDelta(t, torch.Eye(6, torch.Float64), w.T().Matmul(w).DivScalar(127), 1e-10)
	})
}

func TestBYOLTauRisesToOne(t *testing.T) {
	assert.InDelta(t, 0.99, byolTau(0.99, 0, 100), 1e-12)
	assert.InDelta(t, 0.995, byolTau(0.99, 50, 100), 1e-12)
	assert.InDelta(t, 1, byolTau(0.99, 100, 100), 1e-12)
}
