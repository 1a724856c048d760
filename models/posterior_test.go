package models

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestDensitiesAreThoseOfTheNormal(t *testing.T) {
	torchtest.Scope(t, func() {
		z, mean, logVar := torch.FromSlice([]float64{0.3, -1}, 1, 2), torch.FromSlice([]float64{0.1, 0.5}, 1, 2), torch.FromSlice([]float64{0.4, -0.2}, 1, 2)
		normal := func(z, m, lv float64) float64 {
			return -0.5*math.Log(2*math.Pi) - lv/2 - (z-m)*(z-m)/(2*math.Exp(lv))
		}
		assert.InDelta(t, normal(0.3, 0.1, 0.4)+normal(-1, 0.5, -0.2), LogNormal(z, mean, logVar).Item(), 1e-12)
		assert.InDelta(t, normal(0.3, 0.1, 0)+normal(-1, 0.5, 0), cebmLogPosterior(mean, z).Item(), 1e-12, "λ₂ = −½ is variance 1")
		assert.InDelta(t, 0.13, cebmScore(mean).Item(), 1e-12)
		torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return LogNormal(z, x, logVar).Sum() }, mean, 1e-8)
		torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return LogNormal(z, mean, x).Sum() }, logVar, 1e-8)
		torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return cebmLogPosterior(x, z).Sum() }, mean, 1e-8)
		torchtest.GradCheck(t, func(x torch.Tensor) torch.Tensor { return cebmScore(x).Sum() }, mean, 1e-8)
	})
}

func TestEveryPosteriorMakesAJointEnergy(t *testing.T) {
	for _, form := range []Posterior{Cosine, Gaussian, CEBM, NoLatent} {
		torchtest.Run(t, string(form), func(t *testing.T) {
			e, err := NewEnergy(EnergyConfig{Channels: 1, Widths: []int{4}, Downs: []bool{true}, FeatureDim: 6, HeadDim: 5, LatentDim: 3,
				Bias: true, SpectralNorm: true, Gamma: 0.3, Posterior: form}, 1)
			require.NoError(t, err)
			defer nn.Close(e)
			e.PowerIterate()
			b, x, z := e.Bind(), torch.NewRNG(1, 0, "x").Uniform(0, 1, 2, 1, 8, 8), torch.NewRNG(1, 0, "z").Normal(2, 3).Normalize()
			f := b.Features(x)
			torchtest.InDelta(t, b.Score(f).Add(b.LogPosterior(f, z)), b.Joint(x, z), 1e-6)
			if form == Gaussian {
				mean, logVar := b.moments(f)
				torchtest.InDelta(t, torch.Ones([]int{2}, torch.Float32), mean.Norm(1), 1e-6)
				assert.LessOrEqual(t, logVar.Abs().Max().Item(), 1.0)
			}
			assert.Equal(t, form == NoLatent, b.LogPosterior(f, z).Abs().Max().Item() == 0)
		})
	}
}

func TestPosteriorsAndTheirGradientsArePyTorchs(t *testing.T) {
	golden := torchtest.Load(t, "testdata/posterior.npz")
	for _, form := range []Posterior{Gaussian, CEBM} {
		torchtest.Run(t, string(form), func(t *testing.T) {
			name := string(form) + "."
			e, err := NewEnergy(EnergyConfig{Channels: 1, Widths: []int{4}, Downs: []bool{true}, FeatureDim: 7, HeadDim: 9, LatentDim: 6, Posterior: form}, 1)
			require.NoError(t, err)
			defer nn.Close(e)
			leaf := func(array string) torch.Tensor { return golden.Tensor(name + array).To(torch.Float32).Leaf() }
			inputs, want := []torch.Tensor{leaf("f"), leaf("z")}, []string{"df", "dz"}
			torch.NoGrad(func() {
				for _, l := range nn.State(e) {
					if w, ok := golden.State(name + "w.")[l.Name]; ok {
						l.Tensor.CopyFrom(w)
						inputs, want = append(inputs, l.Tensor), append(want, "g."+l.Name)
					}
				}
			})
			require.Len(t, want, 6, "g's weights and biases")
			b := e.Bind()
			score, posterior := b.Score(inputs[0]), b.LogPosterior(inputs[0], inputs[1])
			torchtest.InDelta(t, golden.Tensor(name+"score"), score, deepSums)
			torchtest.InDelta(t, golden.Tensor(name+"posterior"), posterior, deepSums)
			probe := golden.Tensor(name + "probe").To(torch.Float32)
			sum := probe.Select(0, 0).Mul(score).Add(probe.Select(0, 1).Mul(posterior)).Sum()
			for i, grad := range torch.Grads(sum, inputs, torch.GradOptions{}) {
				torchtest.InDelta(t, golden.Tensor(name+want[i]), grad, deepSums)
			}
		})
	}
}

func TestTheWeightOfThePosteriorLeavesFAlone(t *testing.T) {
	for _, form := range []Posterior{Cosine, Gaussian, CEBM} {
		torchtest.Run(t, string(form), func(t *testing.T) {
			c := EnergyConfig{Channels: 1, Widths: []int{4}, Downs: []bool{true}, FeatureDim: 6, HeadDim: 5, LatentDim: 3, Gamma: 0.3, Posterior: form}
			var scores, posteriors []torch.Tensor
			for _, c.PosteriorWeight = range []float64{0, 1, 0.1} {
				e, err := NewEnergy(c, 1)
				require.NoError(t, err)
				defer nn.Close(e)
				f, z := torch.NewRNG(1, 0, "f").Normal(2, 6), torch.NewRNG(1, 0, "z").Normal(2, 3).Normalize()
				scores, posteriors = append(scores, e.Bind().Score(f)), append(posteriors, e.Bind().LogPosterior(f, z))
			}
			torchtest.InDelta(t, scores[0], scores[2], 0)
			torchtest.InDelta(t, posteriors[0], posteriors[1], 0) // 0 means 1
			weight := 0.1
			if form == Cosine { // its weight is γ
				weight = 1
			}
			torchtest.InDelta(t, posteriors[0].MulScalar(weight), posteriors[2], 1e-6)
		})
	}
}
