package train

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// trained is the state of pretraining on bars after some steps.
func trained(t *testing.T, target string) *ssl {
	t.Helper()
	cfg := tinySSL()
	cfg.Target, cfg.Whiten, cfg.Batch, cfg.Steps = target, 12, 24, 20
	s, err := newSSL(cfg, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(s.close)
	batches := newBatches(bars(t), cfg.Seed, cfg.Batch, false, nil)
	for i := range cfg.Steps {
		require.NoError(t, torch.Do(func() error { _, err := s.Step(batches.at(i)); return err }))
	}
	return s
}

func TestTheSavedEncoderEndsWhereTheLossCompared(t *testing.T) {
	for _, target := range []string{SimCLR, WMSE, BYOL} {
		t.Run(target, func(t *testing.T) {
			s, set := trained(t, target), bars(t)
			torchtest.Scope(t, func() {
				x := s.cfg.Data.Range.FromUnit(set.Floats())
				torch.NoGrad(func() {
					out := s.H.Forward(x, nn.Eval)
					require.NoError(t, s.finish(set))
					got := s.H.Forward(x, nn.Eval)
					switch target {
					case SimCLR:
						torchtest.InDelta(t, s.BN.Forward(out, nn.Eval), got, 1e-5) // float32: a few ulps of sums of 8 products
					case WMSE:
						white := s.outputs(set) // of the views whose statistics were taken
						torchtest.InDelta(t, torch.Zeros([]int{4}, torch.Float32), white.MeanDim(0), 1e-3)
						cov := white.T().Matmul(white).DivScalar(float64(set.N - 1))
						torchtest.InDelta(t, torch.Eye(4, torch.Float32), cov, 1e-2)
					case BYOL:
						torchtest.InDelta(t, out, got, 0)
					}
				})
			})
		})
	}
}

func TestBatchNormSeesEachViewOnItsOwn(t *testing.T) {
	s := trained(t, SimCLR)
	torchtest.Scope(t, func() {
		rng := torch.NewRNG(3, 0, "views")
		dark := rng.Normal(6, 1, 8, 8).MulScalar(0.1)
		light := dark.AddScalar(0.7)
		each := perView(torch.Cat([]torch.Tensor{dark, light}, 0), func(x torch.Tensor) torch.Tensor { return s.H.Forward(x, nn.BatchStats) })
		want := torch.Cat([]torch.Tensor{s.H.Forward(dark, nn.BatchStats), s.H.Forward(light, nn.BatchStats)}, 0)
		torchtest.InDelta(t, want, each, 0)
		together := s.H.Forward(torch.Cat([]torch.Tensor{dark, light}, 0), nn.BatchStats)
		assert.Greater(t, together.Sub(each).Abs().Max().Item(), 0.1)
	})
}

func TestPretrainingNormalisesByItsImages(t *testing.T) {
	cfg := tinySSL()
	cfg.Encoder.Mean, cfg.Encoder.Std = nil, nil
	dir := t.TempDir()
	require.NoError(t, Pretrain(t.Context(), cfg, bars(t), Options{Out: dir}))
	saved, err := ReadSSLConfig(dir)
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{0.125}, saved.Encoder.Mean, 1e-12, "8 pixels of 64 are white")
	assert.InDeltaSlice(t, []float64{0.33071891}, saved.Encoder.Std, 1e-8, "√(⅛·⅞)")
}

func TestAnEncoderThatLearnsWithEIsNormalisedByTheImages(t *testing.T) {
	cfg, set, dir := withSettings(t, []string{"encoder=joint"}), bars(t), filepath.Join(t.TempDir(), "run")
	ctx, watch := stopAfter(t, 5)
	require.Error(t, Run(ctx, cfg, set, "", Options{Out: dir, Watch: watch}))
	require.NoError(t, Run(t.Context(), cfg, set, "", Options{Out: dir, Resume: true}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	mean, std := set.Moments()
	assert.Equal(t, mean, m.H.Config.Mean)
	assert.Equal(t, std, m.H.Config.Std)

	first, err := cfg.FixedEncoder("", set)
	require.NoError(t, err)
	defer nn.Close(first)
	saved, err := cfg.FixedEncoder(EncoderPath(dir), nil)
	require.NoError(t, err)
	defer nn.Close(saved)
	assert.Equal(t, first.Config, saved.Config, "distances before and after a stop are on the same features")
}

// The mean of an image's views differs from that of other views, so statistics of both views together give another loss.
func TestAnEncoderThatLearnsWithESeesEachViewOnItsOwn(t *testing.T) {
	cfg := withSettings(t, []string{"encoder=joint"})
	trainer, err := loadTrainer(cfg, "", bars(t), torch.Device{})
	require.NoError(t, err)
	defer trainer.Close()
	torchtest.Scope(t, func() {
		rng := func() *torch.RNG { return torch.NewRNG(1, 0, "contrast") }
		unit, extra := bars(t).Head(4).Floats(), torch.NewRNG(2, 0, "extra").Normal(4, 4)
		var want torch.Tensor
		torch.NoGrad(func() {
			view := func(name string) torch.Tensor {
				return trainer.H.Forward(cfg.view(unit, rng().Fork(name)), nn.BatchStats)
			}
			want = NTXentAgainst(torch.Cat([]torch.Tensor{view("first"), view("second")}, 0), extra, cfg.Temperature)
		})
		torchtest.InDelta(t, want, trainer.stepH(unit, extra, rng()), 1e-5) // float32: a few ulps of a sum of 11 terms
	})
}
