package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// tinyModel is a model that was trained on bars for a few steps. When the test ends nothing of it may
// be left.
func tinyModel(t *testing.T, settings ...string) *Model {
	t.Helper()
	return modelOf(t, bars(t), settings...)
}

// modelOf is tinyModel of other images. Models of the same settings share their run.
func modelOf(t *testing.T, set *data.Set, settings ...string) *Model {
	t.Helper()
	before, dir := torch.Live(), runOf(t, set, settings...)
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(func() {
		m.Close()
		assert.Equal(t, before, torch.Live(), "a use keeps nothing")
	})
	return m
}

// runOf is the folder of a run of a few steps on set. Tests only read it.
func runOf(t *testing.T, set *data.Set, settings ...string) (dir string) {
	t.Helper()
	cfg, h := withSettings(t, settings), ""
	if cfg.NeedsEncoder() {
		h = encoder(t)
	}
	return shared(t, strings.Join(settings, " ")+" "+set.SHA256(), func(dir string) error {
		return Run(t.Context(), cfg, set, h, Options{Out: dir})
	})
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// sameImages compares two sets up to one level: batches of other lengths may round differently.
func sameImages(t *testing.T, want, got *data.Set) {
	t.Helper()
	require.Equal(t, want.Shape, got.Shape)
	for i, v := range want.Pixels() {
		require.InDelta(t, v, got.Pixels()[i], 1, "byte %d", i)
	}
}

// statistics are those of G's batch norms.
func statistics(t *testing.T, m *Model) (all [][]float32) {
	t.Helper()
	require.NoError(t, torch.Do(func() error {
		for _, l := range nn.State(m.G) {
			if l.Buffer {
				all = append(all, torch.ToSlice[float32](l.Tensor))
			}
		}
		return nil
	}))
	return all
}

func TestReconstruct(t *testing.T) {
	slow(t)
	m := tinyModel(t, "target=erm", "steps=200", "log.checkpoint=200")
	seen := 0
	plain, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{Watch: func(done int) { seen = done }})
	require.NoError(t, err)
	assert.Equal(t, bars(t).N, seen)
	assert.Equal(t, bars(t).Shape, plain.Images.Shape)
	assert.InDelta(t, plain.MSE/4, plain.MSEUnit, 1e-12, "the range [−1,1] is twice as wide")
	assert.InDelta(t, unitMSE(bars(t), plain.Images), plain.MSEUnit, 0.005, "of the images, but for rounding")

	o := ReconstructOptions{L: 10, Sigma: 0.1, Seed: 3}
	refined, err := m.Reconstruct(t.Context(), bars(t), o)
	require.NoError(t, err)
	assert.Less(t, refined.MSE, plain.MSE)
	few, err := m.Reconstruct(t.Context(), bars(t).Head(3), o)
	require.NoError(t, err)
	sameImages(t, refined.Images.Head(3), few.Images)

	sampled, err := m.Reconstruct(t.Context(), bars(t), ReconstructOptions{Sample: true, Seed: 3})
	require.NoError(t, err)
	assert.Greater(t, sampled.MSE, plain.MSE, "the mean is closer than a sample")
	few, err = m.Reconstruct(t.Context(), bars(t).Head(3), ReconstructOptions{Sample: true, Seed: 3})
	require.NoError(t, err)
	sameImages(t, sampled.Images.Head(3), few.Images)

	_, err = m.Reconstruct(cancelled(t), bars(t), o)
	assert.ErrorIs(t, err, context.Canceled)
	wide, err := bars(t).Pad(16)
	require.NoError(t, err)
	_, err = m.Reconstruct(t.Context(), wide, o)
	assert.ErrorContains(t, err, "the model reads 8×8 pixels with 1 channels")
	_, err = m.Reconstruct(t.Context(), bars(t), ReconstructOptions{L: -1})
	assert.ErrorContains(t, err, "-1")
}

// unitMSE is the mean squared difference of two sets' pixels in [0,1].
func unitMSE(a, b *data.Set) (mse float64) {
	for i, v := range a.Pixels() {
		d := (float64(v) - float64(b.Pixels()[i])) / 255
		mse += d * d / float64(len(a.Pixels()))
	}
	return mse
}

func TestChainsOfUsesAreRefusedByTheirOwnNames(t *testing.T) {
	c := FashionMNIST()
	for want, change := range map[string]func(o *RestoreOptions){
		"-1 steps of the chain on m: give 0 (none) or more":                                      func(o *RestoreOptions) { o.Latent.Steps = -1 },
		"δ² of the chain on m is NaN: give a step size above 0, or leave it out for the default": func(o *RestoreOptions) { o.Latent.Delta2 = math.NaN() },
		"δ² of the chain on Y is -2: give a step size above 0, or leave it out for the default":  func(o *RestoreOptions) { o.Image.Delta2 = -2 },
		"-3 steps of the chain on Y: give 0 (none) or more":                                      func(o *RestoreOptions) { o.Image.Steps = -3 },
		"the variance of p(A⁺y|A⁺Ax) is NaN: give one above 0, such as 0.5":                      func(o *RestoreOptions) { o.Variance = math.NaN() },
	} {
		o := RestoreDefaults(c)
		require.NoError(t, o.validate())
		change(&o)
		assert.EqualError(t, o.validate(), want)
	}
}

func TestUsesThatNeedQSayHowToGetOne(t *testing.T) {
	m := tinyModel(t)
	ctx, bars, labelled := t.Context(), bars(t), labelled(t)
	for name, use := range map[string]func() error{
		"reconstruction": func() error { _, err := m.Reconstruct(ctx, bars, ReconstructOptions{}); return err },
		"restoration": func() error {
			_, err := m.Restore(ctx, bars, mcmc.SuperResolution{Factor: 2}, RestoreDefaults(m.Config))
			return err
		},
		"conditional sampling": func() error { _, err := m.Conditional(ctx, labelled, ConditionalOptions{N: 1}); return err },
		"interpolation between images": func() error {
			_, err := m.InterpolateImages(ctx, bars, bars, InterpolateOptions{Frames: 3})
			return err
		},
	} {
		err := use()
		assert.ErrorContains(t, err, name+" needs the inference model q")
		assert.ErrorContains(t, err, "liebm train-q")
	}
}

func TestRestore(t *testing.T) {
	slow(t)
	m := tinyModel(t, "target=erm", "steps=200", "log.checkpoint=200")
	o := RestoreDefaults(m.Config)
	o.Seed, o.Frames, o.Latent.Steps, o.Image.Steps = 3, 2, 20, 20
	a := mcmc.SuperResolution{Factor: 2}
	r, err := m.Restore(t.Context(), bars(t), a, o)
	require.NoError(t, err)
	assert.Len(t, r.Latent, 2)
	assert.Len(t, r.Image, 2)
	for name, images := range map[string]*data.Set{"degraded": r.Degraded, "start": r.Start, "refined": r.Refined, "restored": r.Restored, "frame": r.Latent[1]} {
		assert.Equal(t, bars(t).Shape, images.Shape, name)
	}
	assert.Less(t, unitMSE(bars(t), r.Refined), unitMSE(bars(t), r.Start), "Eq. 16 helps")
	assert.Less(t, unitMSE(bars(t), r.Restored), unitMSE(bars(t), r.Refined), "Eq. 17 helps")
	assert.Less(t, consistency(t, a, r.Degraded, r.Restored), 1e-3, "A⁺A x is near A⁺y")

	short := o
	short.Latent.Steps = 2
	brief, err := m.Restore(t.Context(), bars(t).Head(1), a, short)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, []int{len(brief.Latent), len(brief.Image)}, "two steps have one state between start and end")

	again, err := m.Restore(t.Context(), r.Degraded, a, o)
	require.NoError(t, err)
	sameImages(t, r.Degraded, again.Degraded)
	few, err := m.Restore(t.Context(), bars(t).Head(3), a, o)
	require.NoError(t, err)
	sameImages(t, r.Restored.Head(3), few.Restored)

	_, err = m.Restore(t.Context(), bars(t), mcmc.Colorization{}, o)
	assert.ErrorContains(t, err, "has no colour to find")
	_, err = m.Restore(t.Context(), bars(t), mcmc.SuperResolution{Factor: 3}, o)
	assert.ErrorContains(t, err, "3× super-resolution of 8×8 images")
	_, err = m.Restore(cancelled(t), bars(t), a, o)
	assert.ErrorIs(t, err, context.Canceled)
	o.Variance = 0
	_, err = m.Restore(t.Context(), bars(t), a, o)
	assert.ErrorContains(t, err, "give one above 0")
}

// consistency is the mean squared difference between A⁺A x of restored images and A⁺y, in [0,1].
func consistency(t *testing.T, a mcmc.Operator, degraded, restored *data.Set) (mse float64) {
	require.NoError(t, torch.Do(func() error {
		read := func(s *data.Set) torch.Tensor { return data.Floats(s.Pixels(), s.N, s.H, s.W, s.C) }
		mse = mcmc.Project(a, read(restored)).Sub(read(degraded)).Square().Mean().Item()
		return nil
	}))
	return mse
}

func TestColourisationFindsTheColourOfTheData(t *testing.T) {
	slow(t)
	red := bars(t).RGB()
	pixels := slices.Clone(red.Pixels())
	for i := range pixels {
		if i%3 != 0 {
			pixels[i] = 0
		}
	}
	red, err := data.New(red.Shape, pixels, nil)
	require.NoError(t, err)
	red.Name = "bars"
	m := modelOf(t, red, "energy.channels=3", "generator.channels=3", "inference.channels=3", "energy.posterior=none",
		"target=erm", "rho=0", "steps=300", "log.checkpoint=300")
	r, err := m.Restore(t.Context(), red, mcmc.Colorization{}, RestoreDefaults(m.Config))
	require.NoError(t, err)
	assert.Less(t, unitMSE(red, r.Restored), 0.8*unitMSE(red, r.Degraded), "gray bars become redder")
	assert.Less(t, consistency(t, mcmc.Colorization{}, r.Degraded, r.Restored), 1e-3)
}

func TestRestoreWithoutLatents(t *testing.T) {
	m := tinyModel(t, "energy.posterior=none", "target=erm", "rho=0")
	o := RestoreDefaults(m.Config)
	o.Latent.Steps, o.Image.Steps = 1, 1
	known := make([]bool, 64)
	known[0] = true
	_, err := m.Conditional(t.Context(), labelled(t), ConditionalOptions{N: 1})
	assert.ErrorContains(t, err, "use a run with another posterior")
	assert.NotContains(t, err.Error(), "\n", "one line")
	r, err := m.Restore(t.Context(), bars(t).Head(3), mcmc.Inpainting{Height: 8, Width: 8, Known: known}, o)
	require.NoError(t, err)
	assert.Empty(t, r.Latent)
	assert.Equal(t, 3, r.Restored.N)
}

// labelled is bars with a class each: 0 for columns, 1 for rows.
func labelled(t *testing.T) *data.Set {
	t.Helper()
	set := bars(t)
	for i := range set.N {
		set.Labels = append(set.Labels, int32(i%2))
	}
	return set
}

func TestConditional(t *testing.T) {
	slow(t)
	m := tinyModel(t, "target=erm", "steps=200", "log.checkpoint=200", "views.noise=true")
	c, err := m.classMeans(t.Context(), labelled(t), 1, nil)
	require.NoError(t, err)
	require.Len(t, c.latents, 2)
	for class, z := range c.latents {
		norm, bright := 0.0, 0.0
		for _, v := range z {
			norm += v * v
		}
		assert.InDelta(t, 1, norm, 1e-9, "z̄_c lies on the sphere")
		for _, v := range c.images[class] {
			bright += (v + 1) / 2 / float64(len(z)*16)
		}
		assert.InDelta(t, 1.0/8, bright, 0.01, "one bright row or column of eight, whatever the class")
	}
	o := ConditionalOptions{Seed: 3, N: 5, Rounds: 2}
	r, err := m.Conditional(t.Context(), labelled(t), o)
	require.NoError(t, err)
	assert.Equal(t, []int32{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, r.Images.Labels)
	assert.Equal(t, 2, r.Means.N)
	assert.Len(t, r.Rounds, 2)
	assert.NotEqual(t, r.Images.Image(0), r.Images.Image(1), "images of a class differ")
	o.N = 3
	few, err := m.Conditional(t.Context(), labelled(t), o)
	require.NoError(t, err)
	sameImages(t, r.Images.Subset([]int{0, 1, 2, 5, 6, 7}), few.Images)

	_, err = m.Conditional(cancelled(t), labelled(t), o)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = m.Conditional(t.Context(), bars(t), o)
	assert.ErrorContains(t, err, "bars has no labels")
	gap := labelled(t)
	for i := range gap.Labels {
		gap.Labels[i] *= 2
	}
	_, err = m.Conditional(t.Context(), gap, o)
	assert.ErrorContains(t, err, "no image of class 1")
}

func TestInterpolate(t *testing.T) {
	m := tinyModel(t, "target=erm")
	o := InterpolateOptions{Seed: 3, Frames: 5, Refine: true}
	paths, err := m.Interpolate(t.Context(), 4, o)
	require.NoError(t, err)
	assert.Equal(t, 20, paths.N)
	few, err := m.Interpolate(t.Context(), 2, o)
	require.NoError(t, err)
	sameImages(t, paths.Head(10), few)

	from, to := bars(t).Head(3), bars(t).Subset([]int{3, 4, 5})
	o.Refine = false
	between, err := m.InterpolateImages(t.Context(), from, to, o)
	require.NoError(t, err)
	ends, err := m.Reconstruct(t.Context(), bars(t).Head(6), ReconstructOptions{})
	require.NoError(t, err)
	sameImages(t, ends.Images.Head(3), between.Subset([]int{0, 5, 10}))
	sameImages(t, ends.Images.Subset([]int{3, 4, 5}), between.Subset([]int{4, 9, 14}))

	o.Frames = 1
	_, err = m.Interpolate(t.Context(), 4, o)
	assert.ErrorContains(t, err, "give at least 2")
	_, err = m.InterpolateImages(t.Context(), from, bars(t), o)
	assert.ErrorContains(t, err, "as many ends as starts")
}

// usesOf are all that a model with q can be put to on its device, each a few steps long.
func usesOf(t *testing.T, m *Model, d torch.Device) map[string]func(ctx context.Context) error {
	images, classes, known := bars(t), labelled(t), make([]bool, 64)
	known[0] = true
	restore := RestoreDefaults(m.Config)
	restore.Latent.Steps, restore.Image.Steps = 3, 3
	return map[string]func(ctx context.Context) error{
		"train q": func(ctx context.Context) error {
			cfg := m.Config
			cfg.Batch, cfg.Steps = 4, 5
			return TrainInference(ctx, cfg, m, images, Options{Out: filepath.Join(t.TempDir(), "q"), Device: d})
		},
		"sample": func(ctx context.Context) error { _, err := m.Sample(ctx, 4, SampleOptions{}); return err },
		"score":  func(ctx context.Context) error { _, _, _, err := m.Scores(ctx, images, 0.1); return err },
		"reconstruct": func(ctx context.Context) error {
			_, err := m.Reconstruct(ctx, images, ReconstructOptions{L: 3, Sigma: 0.1})
			return err
		},
		"super-resolution": func(ctx context.Context) error {
			_, err := m.Restore(ctx, images, mcmc.SuperResolution{Factor: 2}, restore)
			return err
		},
		"inpainting": func(ctx context.Context) error {
			_, err := m.Restore(ctx, images, mcmc.Inpainting{Height: 8, Width: 8, Known: known}, restore)
			return err
		},
		"conditional": func(ctx context.Context) error {
			_, err := m.Conditional(ctx, classes, ConditionalOptions{N: 2, Rounds: 2})
			return err
		},
		"interpolate": func(ctx context.Context) error {
			_, err := m.Interpolate(ctx, 2, InterpolateOptions{Frames: 3, Refine: true})
			return err
		},
		"interpolate images": func(ctx context.Context) error {
			_, err := m.InterpolateImages(ctx, images.Head(2), images.Head(2), InterpolateOptions{Frames: 3, Refine: true})
			return err
		},
	}
}

func TestSlerpStaysOnTheSphere(t *testing.T) {
	torchtest.Scope(t, func() {
		a := torch.FromSlice([]float64{1, 0, 0, 2, 3, 4}, 2, 3)
		b := torch.FromSlice([]float64{0, 1, 0, 2, 3, 4}, 2, 3)
		half := math.Sqrt(0.5)
		torchtest.InDelta(t, torch.FromSlice([]float64{half, half, 0, 2, 3, 4}, 2, 3), slerp(a, b, 0.5), 1e-12)
		torchtest.InDelta(t, a, slerp(a, b, 0), 1e-12)
		torchtest.InDelta(t, b, slerp(a, b, 1), 1e-12)
	})
}

func TestAChainThatRunsOffIsAnError(t *testing.T) {
	m := tinyModel(t, "target=erm")
	_, err := m.Reconstruct(t.Context(), bars(t).Head(2), ReconstructOptions{L: 30, Delta2: 1e30})
	assert.ErrorContains(t, err, "use a smaller δ²")
}
