package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// tiny is a config whose step takes milliseconds: 8×8 images, four channels.
func tiny() Config {
	c := FashionMNIST()
	c.Data.Name, c.Data.Size = "bars", 8
	c.Energy.Widths, c.Energy.Downs = []int{4, 4}, []bool{true, false}
	c.Energy.FeatureDim, c.Energy.HeadDim, c.Energy.LatentDim = 8, 8, 4
	c.Generator.LatentDim, c.Generator.Widths = 6, []int{4, 4}
	c.Inference = models.InferenceConfig{Channels: 1, Stem: 4, Widths: []int{4}, LatentDim: 6}
	c.Chain.Steps, c.Batch, c.Steps = 2, 4, 12
	c.Log = LogConfig{Metrics: 3, Samples: 100, Checkpoint: 4, Keep: 2}
	return c
}

func tinySSL() SSLConfig {
	c := quickSSL(FashionMNIST(), SimCLR)
	c.Data, c.Batch, c.Steps, c.WarmUp, c.Drops = tiny().Data, 4, 6, 2, []int{2}
	c.Encoder = models.EncoderConfig{Channels: 1, Stem: "small", Widths: []int{4, 8}, Blocks: []int{1, 1}, HeadDim: 8, LatentDim: 4, Mean: []float64{0.5}, Std: []float64{0.25}}
	c.Log = LogConfig{Metrics: 2, Samples: 100, Checkpoint: 2, Keep: 2}
	return c
}

// bars are images of one bright row or column.
func bars(t *testing.T) *data.Set {
	t.Helper()
	const n, size = 40, 8
	pixels := make([]byte, n*size*size)
	for i := range n {
		for j := range size {
			at := i%size*size + j // a row
			if i%2 == 0 {
				at = j*size + i%size // a column
			}
			pixels[i*size*size+at] = 255
		}
	}
	set, err := data.New(data.Shape{N: n, H: size, W: size, C: 1}, pixels, nil)
	require.NoError(t, err)
	set.Name = "bars"
	return set
}

// encoder returns the file of an encoder that was pretrained for a few steps. All tests share it.
func encoder(t *testing.T) string {
	t.Helper()
	return filepath.Join(shared(t, "encoder", func(dir string) error {
		return Pretrain(t.Context(), tinySSL(), bars(t), Options{Out: dir})
	}), encoderFile)
}

// stopAfter is a context that ends once so many steps were made, and the watch that ends it.
func stopAfter(t *testing.T, steps int) (context.Context, Watch) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, func(p Progress) {
		if p.Step == steps {
			cancel()
		}
	}
}

func checkpointBytes(t *testing.T, dir string, step int) []byte {
	t.Helper()
	run, err := openRun(dir)
	require.NoError(t, err)
	all, err := run.Checkpoints()
	require.NoError(t, err)
	for _, c := range all {
		if c.Step == step {
			text, err := os.ReadFile(c.Path)
			require.NoError(t, err)
			return text
		}
	}
	t.Fatalf("%s has no checkpoint of step %d, but %v", dir, step, all)
	return nil
}

// measured are the lines of metrics.jsonl without what depends on the clock.
func measured(t *testing.T, dir string) []MetricsLine {
	t.Helper()
	lines, err := ReadMetrics(filepath.Join(dir, metricsFile))
	require.NoError(t, err)
	require.NotEmpty(t, lines)
	for _, l := range lines {
		delete(l.Values, "steps_per_second")
	}
	return lines
}

func TestResumeContinuesBitForBit(t *testing.T) {
	h, before := encoder(t), torch.Live()
	for name, change := range map[string]func(*Config){
		"em":            func(*Config) {},
		"ejm":           func(c *Config) { c.Target = EJM },
		"spectral norm": func(c *Config) { c.Energy.SpectralNorm, c.Chain.Delta2 = true, 200 },
		"bfloat16":      func(c *Config) { c.Precision = "bfloat16" },
		"in parts":      func(c *Config) { c.BatchSplit = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tiny()
			change(&cfg)
			whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
			require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: whole}))

			ctx, watch := stopAfter(t, 5) // between two checkpoints
			err := Run(ctx, cfg, bars(t), h, Options{Out: parts, Watch: watch})
			require.ErrorIs(t, err, context.Canceled)
			assert.ErrorContains(t, err, "after step 5 of 12")
			saved, err := ReadConfig(parts)
			require.NoError(t, err)
			assert.Equal(t, cfg, saved, "config.yaml holds the whole config")
			require.NoError(t, Run(t.Context(), Config{}, bars(t), "", Options{Out: parts, Resume: true}), "with the config of the folder")
			assert.True(t, bytes.Equal(checkpointBytes(t, whole, 12), checkpointBytes(t, parts, 12)), "weights, averages and moments")
			assert.Equal(t, measured(t, whole), measured(t, parts), "metrics.jsonl, also of the line whose steps are of both")
			assert.Equal(t, before, torch.Live(), "a run keeps nothing")
		})
	}
}

func TestPretrainingResumesBitForBit(t *testing.T) {
	before := torch.Live()
	for _, target := range []string{SimCLR, BYOL, WMSE} {
		t.Run(target, func(t *testing.T) {
			cfg := tinySSL()
			cfg.Target, cfg.Whiten, cfg.Batch, cfg.Steps = target, 12, 24, 20
			whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
			probed := 0
			probe := func(_ context.Context, h *models.Encoder) ([]Metric, error) {
				probed++
				return []Metric{{"knn", float64(h.Config.LatentDim)}}, nil
			}
			require.NoError(t, Pretrain(t.Context(), cfg, bars(t), Options{Out: whole, Probe: probe}))
			assert.Equal(t, 1, probed, "at the end")
			ctx, watch := stopAfter(t, 3)
			require.ErrorIs(t, Pretrain(ctx, cfg, bars(t), Options{Out: parts, Watch: watch}), context.Canceled)
			saved, err := ReadSSLConfig(parts)
			require.NoError(t, err)
			assert.Equal(t, cfg, saved)
			require.NoError(t, Pretrain(t.Context(), SSLConfig{}, bars(t), Options{Out: parts, Resume: true, Probe: probe}), "with the config of the folder")
			assert.True(t, bytes.Equal(checkpointBytes(t, whole, 20), checkpointBytes(t, parts, 20)))
			assert.Equal(t, measured(t, whole), measured(t, parts))
			assert.Equal(t, before, torch.Live())
		})
	}
}

func TestPretrainingRefuses(t *testing.T) {
	c := tinySSL()
	c.Target = "moco"
	assert.ErrorContains(t, c.Validate(), "give simclr, byol or wmse")
	c.Target, c.Whiten = WMSE, 4
	assert.ErrorContains(t, c.Validate(), "larger than the latent")
	c.Whiten, c.Batch = 6, 8
	assert.ErrorContains(t, c.Validate(), "divide the batch")
}

func TestRunFolderIsComplete(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.Log.Samples = 6
	set := bars(t)
	require.NoError(t, Run(t.Context(), cfg, set, encoder(t), Options{Out: dir, Version: map[string]string{"liebm": "test"}}))
	run, err := openRun(dir)
	require.NoError(t, err)
	info, err := run.Info()
	require.NoError(t, err)
	assert.Equal(t, uint64(1), info.Seed)
	assert.Equal(t, set.SHA256(), info.Data["bars"])
	assert.Equal(t, "test", info.Versions["liebm"])
	assert.Equal(t, torch.Version(), info.Versions["libtorch"])
	assert.False(t, info.Finished.IsZero())
	records, err := ReadMetrics(run.Path(metricsFile))
	require.NoError(t, err)
	require.Len(t, records, 4)
	var names []string
	for name := range records[3].Values {
		names = append(names, name)
	}
	assert.ElementsMatch(t, names, append(lossNames[:7:7], "steps_per_second"), "no loss of a q or an h that is not trained")
	for _, pattern := range []string{"samples/step-00000006.png", "samples/step-00000012.png", "events.out.tfevents.*", encoderFile} {
		found, err := filepath.Glob(run.Path(pattern))
		require.NoError(t, err)
		assert.NotEmpty(t, found, pattern)
	}
	saved, err := run.Checkpoints()
	require.NoError(t, err)
	assert.Len(t, saved, cfg.Log.Keep)
}

func TestSamplesDependOnSeedAndIndexOnly(t *testing.T) {
	dir, before := filepath.Join(t.TempDir(), "run"), torch.Live()
	require.NoError(t, Run(t.Context(), tiny(), bars(t), encoder(t), Options{Out: dir}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	few, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 5})
	require.NoError(t, err)
	for n, batch := range map[int]int{m.Batch() + 1: 0, 3: 1, 5: 2} {
		many, err := m.Sample(t.Context(), n, SampleOptions{Seed: 5, Batch: batch})
		require.NoError(t, err)
		assert.InDeltaSlice(t, few.Pixels(), many.Head(3).Pixels(), 1, "in batches of another size convolutions may round differently")
	}
	_, err = m.Sample(t.Context(), 3, SampleOptions{Batch: -1})
	assert.ErrorContains(t, err, "batches of -1 images")
	other, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 6})
	require.NoError(t, err)
	assert.NotEqual(t, few.Pixels(), other.Pixels())
	alone, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 5, NoMCMC: true})
	require.NoError(t, err)
	assert.NotEqual(t, few.Pixels(), alone.Pixels())

	joint, energy, cosine, err := m.Scores(t.Context(), bars(t), 0.5)
	require.NoError(t, err)
	for i := range joint {
		assert.Equal(t, energy[i]+0.5*cosine[i], joint[i], "Eq. 15")
		assert.LessOrEqual(t, energy[i], 0.0, "F = −½‖f‖²")
		assert.LessOrEqual(t, cosine[i], 1.0001)
	}
	m.Close()
	assert.Equal(t, before, torch.Live())
}

func TestAFinishedRunGoesOnWithMoreSteps(t *testing.T) {
	dir, h, cfg := filepath.Join(t.TempDir(), "run"), encoder(t), tiny()
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: dir}))
	var log bytes.Buffer
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: dir, Resume: true, Log: &log}))
	assert.Contains(t, log.String(), "the run is finished: use a larger number of steps to go on")
	assert.NotContains(t, log.String(), "finished step", "nothing was done")
	err := Run(t.Context(), cfg, bars(t), h, Options{Out: dir, Resume: true, Steps: 7})
	assert.ErrorContains(t, err, "made 12 steps already: use a number of steps above that, not 7")
	log.Reset()
	require.NoError(t, Run(t.Context(), cfg, bars(t), h, Options{Out: dir, Resume: true, Steps: 16, Log: &log}))
	assert.Contains(t, log.String(), "steps: from 12 to 16, in batches of 4; the learning rates are constant until step 8, then fall linearly to 0.05 times their value at step 16")
	assert.NotEmpty(t, checkpointBytes(t, dir, 16))
	saved, err := ReadConfig(dir)
	require.NoError(t, err)
	assert.Equal(t, 16, saved.Steps)
	kept, err := os.ReadFile(filepath.Join(dir, logFile))
	require.NoError(t, err)
	assert.Regexp(t, `^data: bars: \d+ images of 8×8×1\nparameters: energy \d+, generator \d+, encoder \d+\n`, string(kept))
	assert.Contains(t, string(kept), log.String(), "the log has all that was said")
}

func TestANonFiniteLossStopsAndNamesItself(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.Chain.Delta2, cfg.Chain.Clamp = 1e30, "never"
	err := Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir})
	require.Error(t, err)
	assert.Regexp(t, `step \d+: loss_g is (NaN|\+Inf)`, err.Error())
	_, err = LoadModel(dir, torch.Device{})
	assert.ErrorContains(t, err, "no checkpoint yet")
}

func TestADivergenceGoesBackToTheLastCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.OptE.LR = 3 // E's weights fly apart at once
	cfg.Log.Checkpoint = 1
	var log bytes.Buffer
	err := Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir, Log: &log})
	var diverged *Diverged
	require.ErrorAs(t, err, &diverged)
	assert.Contains(t, log.String(), "chain.delta2 17.5 and opt_e.lr 2.1 (1 of 3)")
	assert.Contains(t, log.String(), "(3 of 3)")
	saved, err := ReadConfig(dir)
	require.NoError(t, err)
	assert.InDelta(t, 3*0.343, saved.OptE.LR, 1e-9, "the config tells the rate in force")
	steps, first, err := Divergences(dir)
	require.NoError(t, err)
	require.Len(t, steps, 4, "each divergence leaves files of its own")
	assert.Equal(t, 3.0, first.OptE.LR)
	n := 0
	for _, step := range steps {
		if step == diverged.Step {
			n++
		}
	}
	last := fmt.Sprintf("divergence-%08d", diverged.Step)
	if n > 1 {
		last += fmt.Sprintf("-%d", n)
	}
	lines, err := ReadMetrics(filepath.Join(dir, last+".jsonl"))
	require.NoError(t, err, "the numbers that led to it")
	require.NotEmpty(t, lines)
	assert.Equal(t, diverged.Step, lines[len(lines)-1].Step)
	assert.Contains(t, lines[len(lines)-1].Values, diverged.Name)
	assert.FileExists(t, filepath.Join(dir, "samples", last+".png"))
	cfg, err = Sources{File: filepath.Join(dir, last+".yaml")}.Resolve()
	require.NoError(t, err)
	assert.Equal(t, saved, cfg, "the config that diverged")
}

func TestAStateThatIsNotFiniteIsADivergence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.OptE.WeightDecay, cfg.Log.Checkpoint = 1e30, 2 // the mean squared gradient is infinite, the losses and weights are finite
	err := Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir})
	var diverged *Diverged
	require.ErrorAs(t, err, &diverged)
	assert.Equal(t, 2, diverged.Step)
	assert.Contains(t, diverged.Name, "exp_avg_sq")
	assert.FileExists(t, filepath.Join(dir, "divergence-00000002.yaml"))
}

func TestWeightsThatAreNotFiniteAreNotSaved(t *testing.T) {
	h, err := LoadEncoder(encoder(t), tiny().Data.Range)
	require.NoError(t, err)
	trainer, err := NewTrainer(tiny(), h, torch.Device{})
	require.NoError(t, err)
	defer trainer.Close()
	require.NoError(t, trainer.Save(io.Discard))
	require.NoError(t, torch.Do(func() error {
		torch.NoGrad(func() { trainer.G.In.Bias.CopyFrom(torch.Scalar(0).DivScalar(0)) })
		return nil
	}))
	assert.ErrorContains(t, trainer.Save(io.Discard), "generator.in.bias is not finite")
}

func TestADamagedCheckpointFallsBack(t *testing.T) {
	dir, h := filepath.Join(t.TempDir(), "run"), encoder(t)
	require.NoError(t, Run(t.Context(), tiny(), bars(t), h, Options{Out: dir}))
	last := filepath.Join(dir, "checkpoint-00000012.safetensors")
	whole, err := os.ReadFile(last)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(last, whole[:len(whole)/2], 0o666))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, 8, m.Step)
	require.Len(t, m.Warnings, 1)
	assert.Contains(t, m.Warnings[0], "skipped a checkpoint: "+last)
	var log bytes.Buffer
	require.NoError(t, Run(t.Context(), tiny(), bars(t), h, Options{Out: dir, Resume: true, Log: &log}))
	assert.Contains(t, log.String(), "skipped a checkpoint: "+last)
	assert.Contains(t, log.String(), "resuming from step 8")
	assert.True(t, bytes.Equal(whole, checkpointBytes(t, dir, 12)), "the lost steps are made again, bit for bit")
}

// A study measures the data on the features of the encoder before training starts.
func TestAnEncoderThatDoesNotFitIsNotOpened(t *testing.T) {
	wide, before := tiny(), torch.Live()
	wide.Energy.LatentDim = 5
	_, err := wide.FixedEncoder(encoder(t), nil)
	assert.ErrorContains(t, err, "latent has 4 dimensions, and energy.latent_dim is 5")
	assert.Equal(t, before, torch.Live())
}

func TestRunRefuses(t *testing.T) {
	h := encoder(t)
	wide := tiny()
	wide.Energy.LatentDim = 5
	for name, c := range map[string]struct {
		cfg     Config
		encoder string
		set     *data.Set
		want    string
	}{
		"an encoder of another width": {wide, h, bars(t), "latent has 4 dimensions, and energy.latent_dim is 5"},
		"no encoder":                  {tiny(), "/nowhere", bars(t), "read the encoder"},
		"another file as encoder":     {tiny(), "run_test.go", bars(t), "not a whole safetensors file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			err := Run(t.Context(), c.cfg, c.set, c.encoder, Options{Out: dir})
			assert.ErrorContains(t, err, c.want)
		})
	}
	t.Run("other data than the run began with", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "run")
		require.NoError(t, Run(t.Context(), tiny(), bars(t), h, Options{Out: dir}))
		other := data.Inverted(bars(t))
		other.Name = "bars"
		assert.ErrorContains(t, Run(t.Context(), tiny(), other, h, Options{Out: dir, Resume: true}), "the data changed")
	})
}

func TestATrainingStepLeavesItsNetworksMomentsAndNothingElse(t *testing.T) {
	slow(t)
	for _, target := range []string{EM, EJM, ERM} {
		t.Run(target, func(t *testing.T) {
			before, cfg := torch.Live(), tiny()
			cfg.Target = target
			trainer, err := loadTrainer(cfg, encoder(t), nil, torch.Device{})
			require.NoError(t, err)
			batches := newBatches(bars(t), 1, cfg.Batch, false, nil)
			alive, frozen := torch.Live(), (*models.FrozenEncoder)(nil)
			require.NoError(t, torch.Do(func() error { frozen = trainer.H.Frozen().Keep(); return nil }))
			frozenTensors := torch.Live() - alive
			frozen.Close()
			for step := range 100 {
				require.NoError(t, torch.Do(func() error {
					_, err := trainer.Step(batches.at(step))
					return err
				}))
				held := len(entriesOf(trainer.trained())) + len(nn.State(trainer.H)) + frozenTensors
				require.Equal(t, before+held, torch.Live(), "step %d", step+1)
			}
			trainer.Close()
			assert.Equal(t, before, torch.Live())
		})
	}
}

func TestLiveTensorsAreFlatOverTraining(t *testing.T) {
	cfg := tiny()
	cfg.Steps, cfg.Log.Checkpoint = 20, 1000
	var counts []int
	watch := func(Progress) { counts = append(counts, torch.Live()) }
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: filepath.Join(t.TempDir(), "run"), Watch: watch}))
	require.Len(t, counts, 20)
	for i, n := range counts {
		require.Equal(t, counts[0], n, "step %d", i+1)
	}
}

func TestAResumedRunGoesOnWithTheRestOfItsMinutes(t *testing.T) {
	slow(t)
	dir, h, cfg := filepath.Join(t.TempDir(), "run"), encoder(t), tiny()
	ctx, watch := stopAfter(t, 2)
	require.ErrorIs(t, Run(ctx, cfg, bars(t), h, Options{Out: dir, Watch: watch, Minutes: 1000}), context.Canceled)
	run, err := openRun(dir)
	require.NoError(t, err)
	info, err := run.Info()
	require.NoError(t, err)
	assert.Equal(t, 1000.0, info.Minutes)
	assert.Positive(t, info.MinutesUsed)
	info.Minutes, info.MinutesUsed = 1, 59.5/60
	require.NoError(t, run.WriteInfo(info))
	short, err := ReadConfig(dir)
	require.NoError(t, err)
	short.Steps = 1 // the number of steps is open, whatever the config says
	require.NoError(t, run.WriteConfig(short))
	var log bytes.Buffer
	require.NoError(t, Run(t.Context(), cfg, bars(t), "", Options{Out: dir, Resume: true, Log: &log}))
	assert.Contains(t, log.String(), "resuming from step 2")
	assert.Contains(t, log.String(), "as many as fit into 1 minutes")
	saved, err := ReadConfig(dir)
	require.NoError(t, err)
	assert.NotEmpty(t, checkpointBytes(t, dir, saved.Steps))
	info, err = run.Info()
	require.NoError(t, err)
	assert.Zero(t, info.Minutes, "they have become a number of steps")
	assert.Zero(t, info.MinutesUsed)
}

func TestABudgetCountsTheMinutesBeforeAResume(t *testing.T) {
	cfg := tiny()
	cfg.Schedule.Hold = 0.5
	b := &budget{minutes: 600, used: 100, first: 50, began: time.Now().Add(-100 * time.Minute)}
	b.plan(150, &cfg)
	assert.Equal(t, 600.0, b.minutes, "a third of the time is over, and half of it holds the rate")
	assert.InDelta(t, 550, cfg.Steps, 50, "100 steps took 100 minutes, and 500 were left at step 50")
	b.used = 500
	b.plan(150, &cfg)
	assert.Zero(t, b.minutes, "the number of steps is final")
	assert.InDelta(t, 151, cfg.Steps, 10, "no time is left")
}

func TestMinutesSettleTheStepsWhileTheRateIsHeld(t *testing.T) {
	slow(t)
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.Log.Checkpoint = 1000
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir, Minutes: 1.0 / 60}))
	saved, err := ReadConfig(dir)
	require.NoError(t, err)
	assert.NotEqual(t, cfg.Steps, saved.Steps)
	assert.NotEmpty(t, checkpointBytes(t, dir, saved.Steps), "it ends at the step that its config names")
}

func TestTrainingTeachesEnergyAndGenerator(t *testing.T) {
	slow(t)
	set, dir := bars(t), filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	cfg.Energy.Widths, cfg.Generator.Widths = []int{16, 16}, []int{16, 16}
	cfg.OptE.LR, cfg.OptG.LR, cfg.Chain.Delta2 = 1e-4, 5e-3, 10
	cfg.Batch, cfg.Steps, cfg.Chain.Steps, cfg.Log.Checkpoint = 16, 200, 5, 1000
	require.NoError(t, Run(t.Context(), cfg, set, encoder(t), Options{Out: dir}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()

	noise, err := data.Noise(set.Shape, data.OutlierOptions{Seed: 1})
	require.NoError(t, err)
	_, real, _, err := m.Scores(t.Context(), set, 0)
	require.NoError(t, err)
	_, outliers, _, err := m.Scores(t.Context(), noise, 0)
	require.NoError(t, err)
	assert.Greater(t, slices.Min(real), slices.Max(outliers), "every image is likelier than any noise")

	samples, err := m.Sample(t.Context(), 40, SampleOptions{})
	require.NoError(t, err)
	mean := func(s *data.Set) (sum float64) {
		for _, v := range s.Pixels() {
			sum += float64(v) / float64(len(s.Pixels()))
		}
		return sum
	}
	assert.InDelta(t, mean(set), mean(samples), 30, "an untrained G paints grey: 127")
}

func TestModelHasTheAveragedWeights(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, Run(t.Context(), tiny(), bars(t), encoder(t), Options{Out: dir}))
	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	saved, _, err := torch.ReadSafetensors(filepath.Join(dir, "checkpoint-00000012.safetensors"))
	require.NoError(t, err)
	defer closeAll(saved)
	for _, e := range append(nn.Entries("energy_ema.", m.E), nn.Entries("generator_ema.", m.G)...) {
		if !strings.Contains(e.Name, "running") {
			assert.Equal(t, torch.ToSlice[float32](saved[e.Name]), torch.ToSlice[float32](e.Tensor), e.Name)
		}
	}
}

func TestAModelKeepsItsStatisticsBesideTheCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cfg := tiny()
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir}))
	kept := filepath.Join(dir, generatorFile(cfg.Steps, ""))
	load := func() []byte {
		before := torch.Live()
		m, err := LoadModel(dir, torch.Device{})
		require.NoError(t, err)
		samples, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 5})
		require.NoError(t, err)
		m.Close()
		assert.Equal(t, before, torch.Live(), "the memory is given back")
		return samples.Pixels()
	}
	require.NoError(t, os.Mkdir(kept, 0o777)) // so that nothing can be written there
	first := load()
	require.NoError(t, os.Remove(kept))
	assert.Equal(t, first, load())
	text, err := os.ReadFile(kept)
	require.NoError(t, err)
	long := time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(kept, long, long))
	assert.Equal(t, first, load())
	info, err := os.Stat(kept)
	require.NoError(t, err)
	assert.Equal(t, long, info.ModTime(), "the second call computes nothing")

	foreign := bytes.Clone(text)
	foreign[bytes.Index(text, []byte(checkpointKey))+len(checkpointKey+`":"`)] ^= 1
	require.NoError(t, os.WriteFile(kept, foreign, 0o666))
	assert.Equal(t, first, load())
	again, err := os.ReadFile(kept)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(text, again), "statistics of another checkpoint are replaced")

	run, err := openRun(dir)
	require.NoError(t, err)
	run.Keep = 1
	require.NoError(t, run.SaveCheckpoint(cfg.Steps+1, func(io.Writer) error { return nil }))
	assert.NoFileExists(t, kept, "it is deleted with its checkpoint")
}

func TestAnotherAverageIsThatOfARunWithItsDecay(t *testing.T) {
	folder := t.TempDir()
	both, other := filepath.Join(folder, "both"), filepath.Join(folder, "other")
	cfg := tiny()
	cfg.EMA, cfg.EMAs, cfg.Schedule = 0.9, []float64{0.5}, Schedule{Hold: 1, Floor: 1}
	halfway := cfg
	halfway.Steps = cfg.Steps / 2
	require.NoError(t, Run(t.Context(), halfway, bars(t), encoder(t), Options{Out: both}))
	require.NoError(t, Run(t.Context(), cfg, bars(t), "", Options{Out: both, Resume: true, Steps: cfg.Steps}))
	cfg.EMA, cfg.EMAs = 0.5, nil
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: other}))

	samples := func(dir, which string) []byte {
		m, err := LoadCheckpoint(dir, which, torch.Device{}, true)
		require.NoError(t, err)
		defer m.Close()
		set, err := m.Sample(t.Context(), 3, SampleOptions{Seed: 5})
		require.NoError(t, err)
		return set.Pixels()
	}
	want := samples(other, "last")
	assert.Equal(t, want, samples(both, "last@0.5"))
	assert.Equal(t, want, samples(both, "last@0.5"), "by the statistics that the first call kept")
	assert.NotEqual(t, want, samples(both, "last"))
	assert.Equal(t, samples(both, "last"), samples(both, "last@0.9"))
	_, err := LoadCheckpoint(both, "last@0.7", torch.Device{}, true)
	assert.ErrorContains(t, err, "checkpoint last@0.7: the run has averages of the weights with the decays [0.9 0.5]")

	chosen, err := LoadCheckpoint(both, "last@0.5", torch.Device{}, false)
	require.NoError(t, err)
	chosen.Close()
	assert.Equal(t, []any{0.5, []float64{0.9}}, []any{chosen.Config.EMA, chosen.Config.EMAs})
	assert.NoError(t, chosen.Config.Validate())

	packed := filepath.Join(folder, "packed")
	_, err = Pack(t.Context(), both, "last@0.5", packed)
	require.NoError(t, err)
	m, err := LoadModel(packed, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, 0.5, m.Config.EMA)
	assert.Empty(t, m.Config.EMAs)

	run, err := openRun(both)
	require.NoError(t, err)
	run.Keep = 1
	require.NoError(t, run.SaveCheckpoint(cfg.Steps+1, func(io.Writer) error { return nil }))
	assert.NoFileExists(t, filepath.Join(both, generatorFile(cfg.Steps, "@0.5")), "it is deleted with its checkpoint")
}

func TestAScorerHasNoGenerator(t *testing.T) {
	dir, before := filepath.Join(t.TempDir(), "run"), torch.Live()
	require.NoError(t, Run(t.Context(), tiny(), bars(t), encoder(t), Options{Out: dir}))
	scorer, err := LoadScorer(dir, torch.Device{})
	require.NoError(t, err)
	assert.Nil(t, scorer.G)
	assert.NoFileExists(t, filepath.Join(dir, generatorFile(scorer.Step, "")))
	_, err = scorer.Sample(t.Context(), 1, SampleOptions{})
	assert.ErrorContains(t, err, "use LoadModel")
	got, _, _, err := scorer.Scores(t.Context(), bars(t), 0.5)
	require.NoError(t, err)
	scorer.Close()
	assert.Equal(t, before, torch.Live())

	m, err := LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	defer m.Close()
	want, _, _, err := m.Scores(t.Context(), bars(t), 0.5)
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestASignalMakesARunSaveAndGoOn(t *testing.T) {
	cfg, save := tiny(), make(chan os.Signal, 1)
	cfg.Steps, cfg.Log.Checkpoint, cfg.Log.Keep = 4, 100, 9
	out := filepath.Join(t.TempDir(), "run")
	watch := func(now Progress) {
		if now.Step == 2 {
			save <- os.Interrupt
		}
	}
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: out, Watch: watch, Save: save}))
	for _, step := range []int{2, 4} {
		assert.FileExists(t, filepath.Join(out, checkpointFile(step)))
	}
}

func TestTheDistanceInTrainingIsOfAsManySamplesAsTheConfigSays(t *testing.T) {
	slow(t)
	drawn := map[int][]byte{}
	for measured, want := range map[int]int{0: 2000, 260: 260} {
		cfg := tiny()
		cfg.Steps, cfg.Log.Samples, cfg.Log.Measured = 2, 2, measured
		require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: filepath.Join(t.TempDir(), "run"),
			Evaluate: func(_ context.Context, set *data.Set) ([]Metric, error) {
				assert.Equal(t, want, set.N)
				drawn[measured] = slices.Clone(set.Pixels())
				return nil, nil
			}}))
	}
	assert.Equal(t, drawn[0][:len(drawn[260])], drawn[260], "the first images are the same")
	cfg := tiny()
	cfg.Log.Measured = 1
	assert.ErrorContains(t, cfg.Validate(), "log.measured is 1")
}

func TestTheBestCheckpointAndMilestonesAreKept(t *testing.T) {
	dir, cfg := filepath.Join(t.TempDir(), "run"), tiny()
	cfg.Log = LogConfig{Metrics: 4, Samples: 2, Checkpoint: 2, Keep: 1, Milestones: 6}
	distances := []float64{5, 4, math.NaN(), 1, 3, 2} // at steps 2 to 12
	err := Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: dir, Evaluate: func(context.Context, *data.Set) ([]Metric, error) {
		d := distances[0]
		distances = distances[1:]
		return []Metric{{Name: "fd_h", Value: d}}, nil
	}})
	require.NoError(t, err)
	for which, step := range map[string]int{"best": 8, "last": 12, "6": 6} {
		m, err := LoadCheckpoint(dir, which, torch.Device{}, false)
		require.NoError(t, err, which)
		assert.Equal(t, step, m.Step, which)
		m.Close()
	}
	_, err = LoadCheckpoint(dir, "4", torch.Device{}, false)
	assert.ErrorContains(t, err, "no checkpoint 4: use last, best, 6, 12")

	run, err := openRun(dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(run.Path(metricsFile), nil, 0o666)) // as if the run had gone back before its best step
	saved := 0
	save := func(io.Writer, map[string]string) error { saved++; return errors.New("not in this test") }
	assert.NoError(t, run.keepBest(Metric{"fd_h", 1.5}, save))
	assert.Zero(t, saved, "the best one has a distance of 1")
	assert.Error(t, run.keepBest(Metric{"fd_h", 0.5}, save))
	assert.Equal(t, 1, saved)
}

// The folder of an encoder that is not read says nothing about a run, nor does the present folder if no file is named.
func TestARunWithoutAnEncoderWarnsOfNone(t *testing.T) {
	t.Chdir(filepath.Dir(encoder(t)))
	cfg := tiny()
	cfg.Energy.Posterior, cfg.Data.LeaveOut, cfg.Steps = models.NoLatent, []int{3}, 1
	for name, file := range map[string]string{"none": "", "one that is not read": encoder(t)} {
		var log bytes.Buffer
		require.NoError(t, Run(t.Context(), cfg, bars(t), file, Options{Out: filepath.Join(t.TempDir(), "run"), Log: &log}), name)
		assert.NotContains(t, log.String(), "the encoder was trained", name)
	}
	var log bytes.Buffer
	cfg.Energy.Posterior = models.Cosine
	require.NoError(t, Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: filepath.Join(t.TempDir(), "run"), Log: &log}))
	assert.Contains(t, log.String(), "the encoder was trained on images of the classes [3]")
}

func TestABatchThatTheDataCannotFillIsAnError(t *testing.T) {
	cfg := tiny()
	cfg.Batch = 50
	err := Run(t.Context(), cfg, bars(t), encoder(t), Options{Out: filepath.Join(t.TempDir(), "run")})
	assert.ErrorContains(t, err, "batch is 50, and there are 40 training images")
}

func TestFlippedTrainingImagesDependOnTheStepOnly(t *testing.T) {
	set := bars(t)
	require.NoError(t, torch.Do(func() error {
		plain, flipped, again := newBatches(set, 1, 20, false, nil).at(3), newBatches(set, 1, 20, true, nil).at(3), newBatches(set, 1, 20, true, nil).at(3)
		assert.Equal(t, torch.ToSlice[float32](flipped), torch.ToSlice[float32](again))
		same, mirrored := 0, 0
		for i := range 20 {
			x, y := plain.Select(0, i), flipped.Select(0, i)
			if x.Sub(y).Abs().Sum().Item() == 0 {
				same++
			}
			if x.Flip(2).Sub(y).Abs().Sum().Item() == 0 {
				mirrored++
			}
		}
		assert.Less(t, same, 20)
		assert.Less(t, mirrored, 20)
		return nil
	}))
}
