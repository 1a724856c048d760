package study

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/data/datatest"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// tiny is a scale with networks and budgets of seconds.
func tiny(sc Scale, data string) Scale {
	sc.Steps = 4
	sc.Set = []string{"data.name=" + data, "log.samples=4", "log.checkpoint=2", "batch=4", "chain.steps=1", "energy.widths=[4,4]", "energy.downs=[true,true]",
		"generator.widths=[4,4,4,4]", "energy.head_dim=16", "inference.stem=0", "inference.widths=[4,4,4]"}
	sc.SetEncoder = []string{"data.name=" + data, "steps=2", "batch=8", "encoder.widths=[4]", "encoder.blocks=[1]", "encoder.head_dim=8"}
	sc.Samples, sc.Along, sc.Restored, sc.Chains = 300, 50, 4, 4
	return sc
}

// reproduce runs studies with the models named.
func reproduce(ctx context.Context, t *testing.T, sc Scale, out string, s Setup, only []string, seeds []uint64, names ...string) (map[string]*Result, error) {
	t.Helper()
	var studies []Study
	for _, name := range names {
		s, err := Named(name)
		require.NoError(t, err)
		studies = append(studies, s)
	}
	p, err := NewPlan(sc, studies, PlanOptions{Out: out, Seeds: seeds, Variants: only})
	if err != nil {
		return nil, err
	}
	results, err := p.run(ctx, s)
	named := map[string]*Result{}
	for _, r := range results {
		named[r.Name] = r
	}
	return named, err
}

func (r *Result) labelled(t *testing.T, label string) Row {
	t.Helper()
	for _, row := range r.Rows {
		if row.Label == label {
			return row
		}
	}
	t.Fatalf("%s has no row %s", r.Name, label)
	return Row{}
}

func pictureSize(t *testing.T, path string) image.Point {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	c, err := png.DecodeConfig(f)
	require.NoError(t, err)
	return image.Pt(c.Width, c.Height)
}

func TestAPlanStopsGoesOnAndTrainsEveryModelOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	out, before := t.TempDir(), torch.Live()
	sc := tiny(Mini(), datatest.FashionMNIST(t, 300, 95))
	dir := filepath.Join(out, "mini")
	em := filepath.Join(dir, "fmnist", "em-seed1")

	ctx, cancel := context.WithCancel(t.Context())
	stopping := Setup{Training: func(task string) (train.Watch, io.Writer) {
		return func(now train.Progress) {
			if task == "training" && now.Step == 3 {
				cancel()
			}
		}, nil
	}}
	_, err := reproduce(ctx, t, sc, out, stopping, []string{"em"}, nil, "fig6")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "em, seed 1: ")
	assert.FileExists(t, filepath.Join(em, "checkpoint-00000003.safetensors"))
	other := sc
	other.Steps = 5
	_, err = reproduce(t.Context(), t, other, out, Setup{}, []string{"em"}, nil, "fig6")
	assert.ErrorContains(t, err, "em-seed1 holds a run with other settings")

	results, err := reproduce(t.Context(), t, sc, out, Setup{}, []string{"em"}, []uint64{1, 2}, "fig6", "table5")
	require.NoError(t, err)
	var info train.RunInfo
	text, err := os.ReadFile(filepath.Join(em, "run.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &info))
	require.NotEmpty(t, info.Resumed)
	assert.Equal(t, 3, info.Resumed[len(info.Resumed)-1].Step, "it went on where it stopped")

	assert.Len(t, results["fig6"].Cells, 2)
	assert.Positive(t, results["fig6"].Cells[1].Values["memory_mb"])
	assert.Len(t, results["table5"].labelled(t, "LIEBM w/o MCMC").values("seconds"), 2)
	assert.Empty(t, results["fig6"].labelled(t, "EJM").Ours, "it was not trained")
	lines, err := train.ReadMetrics(filepath.Join(em, metricsFile))
	require.NoError(t, err)
	assert.Positive(t, lines[len(lines)-1].Values["fd_h"], "the folder is not known to be Fashion-MNIST")
	assert.Equal(t, 50.0, lines[len(lines)-1].Values["fd_h_n"])

	results, err = reproduce(t.Context(), t, sc, out, Setup{}, []string{"em", "em-q", "erm"}, nil, "fig7", "fig9", "table8", "chains")
	require.NoError(t, err)
	chains := results["chains"]
	for _, label := range []string{"EM, from samples", "EM, from data"} {
		for _, column := range chains.Columns {
			if strings.HasPrefix(column, "E, ") || strings.HasPrefix(column, "move") { // the folder is not known to be Fashion-MNIST
				assert.Len(t, chains.labelled(t, label).values(column), 1, "%s, %s", label, column)
			}
		}
	}
	picture := pictureSize(t, filepath.Join(dir, "chains.png"))
	assert.Equal(t, 2*3*34+2, picture.Y, "three chains from each start of the one model that is trained")
	for _, row := range results["table8"].Rows {
		for _, column := range results["table8"].Columns {
			require.Len(t, row.values(column), 1, "%s, %s", row.Label, column)
			assert.NotZero(t, row.values(column)[0])
		}
	}
	assert.NotEqual(t, results["table8"].Rows[0].values("8× SR PSNR"), results["table8"].Rows[1].values("8× SR PSNR"), "the chain on m does something")
	for _, label := range []string{"h, pretrained", "f, EM"} {
		row := results["fig7"].labelled(t, label)
		require.Len(t, row.values("linear probe"), 1, label)
		assert.Greater(t, row.values("5-NN")[0], 0.1, "%s: better than chance", label)
	}
	assert.Empty(t, results["fig7"].labelled(t, "h, learnt together with E").Ours)
	clouds := pictureSize(t, filepath.Join(dir, "fig7.png"))
	assert.Equal(t, 2*clouds.Y, clouds.X, "a square for each of the two that are there")
	assert.Contains(t, results["fig7"].Markdown(), "](fig7.png)")
	reconstructions := pictureSize(t, filepath.Join(dir, "fig9.png"))
	assert.Equal(t, 3*34+2, reconstructions.Y, "images, Eq. 26, ELBO")
	assert.Greater(t, reconstructions.X, 16*34+2, "labels stand left of the pictures")
	for _, row := range results["fig9"].Rows {
		require.Len(t, row.values("MSE"), 1, row.Label)
		assert.InDelta(t, row.values("MSE")[0]/4, row.values("MSE in [0, 1]")[0], 1e-9, "pixels in [−1, 1] and in [0, 1]")
	}

	checkpoint := filepath.Join(em, "checkpoint-00000004.safetensors")
	first, err := os.Stat(checkpoint)
	require.NoError(t, err)
	measured, err := os.ReadFile(filepath.Join(em, ResultsFile))
	require.NoError(t, err)
	results, err = reproduce(t.Context(), t, sc, out, Setup{}, []string{"em"}, nil, "table10")
	require.NoError(t, err)
	again, err := os.Stat(checkpoint)
	require.NoError(t, err)
	assert.Equal(t, first.ModTime(), again.ModTime(), "another table reads the model that is there")
	remeasured, err := os.ReadFile(filepath.Join(em, ResultsFile))
	require.NoError(t, err)
	assert.Equal(t, string(measured), string(remeasured), "and its records")
	assert.Len(t, results["table10"].labelled(t, "SimCLR").values("constant"), 1)
	for _, ending := range []string{"md", "json"} {
		assert.FileExists(t, filepath.Join(dir, "table10."+ending))
	}
	assert.Equal(t, before, torch.Live())
}

func TestAMonitorIsNamedByItsFeatures(t *testing.T) {
	if testing.Short() {
		t.Skip("measures with ten networks")
	}
	before := torch.Live()
	encoder := filepath.Join(tinyRun(t), "encoder.safetensors")
	cfg, err := train.ReadConfig(tinyRun(t))
	require.NoError(t, err)
	folder := datatest.FashionMNIST(t, 60, 40)
	set, err := data.Open(folder, data.Options{Size: 32})
	require.NoError(t, err)
	defer set.Close()
	for want, change := range map[string]func(cfg *train.Config){
		"fd":   func(*train.Config) {},
		"fd_h": func(cfg *train.Config) { cfg.Data.Name = folder },
	} {
		cfg := cfg
		change(&cfg)
		m, err := NewMonitor(t.Context(), cfg, MonitorOptions{Encoder: encoder, Samples: 50}, Setup{})
		require.NoError(t, err)
		metrics, err := m.Evaluate(t.Context(), set)
		require.NoError(t, err)
		assert.Equal(t, want, metrics[0].Name)
		assert.Positive(t, metrics[0].Value)
		assert.Equal(t, train.Metric{Name: want + "_n", Value: 50}, metrics[1])
		m.Close()
	}
	cfg.Data.Name = folder
	_, err = NewMonitor(t.Context(), cfg, MonitorOptions{Encoder: filepath.Join(t.TempDir(), "none")}, Setup{})
	assert.ErrorContains(t, err, "read the encoder")
	for name, c := range map[string]struct {
		change          func(cfg *train.Config)
		encoder, metric string
		warned          bool
	}{
		"no encoder":                       {func(cfg *train.Config) { cfg.Energy.Posterior, cfg.Rho = "none", 0 }, "", "Fréchet distance on an untrained network", true},
		"an encoder that learns":           {func(cfg *train.Config) { cfg.Encoder = train.Joint }, encoder, "Fréchet distance on the first h", false},
		"an encoder that learns from zero": {func(cfg *train.Config) { cfg.Encoder = train.Joint }, "", "Fréchet distance on the first h", true},
	} {
		cfg := cfg
		c.change(&cfg)
		var log bytes.Buffer
		var distances []float64
		for range 2 {
			m, err := NewMonitor(t.Context(), cfg, MonitorOptions{Encoder: c.encoder}, Setup{Log: &log})
			require.NoError(t, err, name)
			assert.Equal(t, c.metric, m.features.Metric)
			metrics, err := m.Evaluate(t.Context(), set.Head(30))
			require.NoError(t, err)
			assert.Equal(t, "fd_h", metrics[0].Name)
			distances = append(distances, metrics[0].Value)
			m.Close()
		}
		assert.Equal(t, distances[0], distances[1], "the network is the same each time")
		assert.Equal(t, c.warned, strings.Contains(log.String(), "liebm data fetch inception"), name)
	}
	assert.Equal(t, before, torch.Live())
}

// Both models need the same encoder: the second process has nothing else to do while the first one trains it.
func TestProcessesWithTheSameFolderShareTheModels(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	out, sc := t.TempDir(), tiny(Mini(), datatest.FashionMNIST(t, 300, 96))
	var pretrained, trained atomic.Int32
	counting := Setup{Training: func(task string) (train.Watch, io.Writer) {
		return func(now train.Progress) {
			switch {
			case task == "pretraining" && now.Step == 2:
				pretrained.Add(1)
			case task == "training" && now.Step == 4:
				trained.Add(1)
			}
		}, nil
	}}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			results, err := reproduce(t.Context(), t, sc, out, counting, []string{"em-byol"}, []uint64{1, 2}, "table10")
			if assert.NoError(t, err) {
				assert.Len(t, results["table10"].Cells, 2, "each of them returns when all models are done")
			}
		})
	}
	both.Wait()
	assert.EqualValues(t, 1, pretrained.Load())
	assert.EqualValues(t, 2, trained.Load(), "each model once")
	locks, err := filepath.Glob(filepath.Join(out, "mini", "fmnist", "*.lock"))
	require.NoError(t, err)
	assert.Empty(t, locks)
	text, err := os.ReadFile(filepath.Join(out, "mini", "fmnist", "em-byol-seed1", ResultsFile))
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(text), `"metric":"outlier detection"`), "each measurement once: of far and of near outliers")
}

func TestNearMeasuresGivenOutliersToo(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	folder, out, sc := t.TempDir(), t.TempDir(), tiny(Mini(), datatest.FashionMNIST(t, 300, 98))
	for i, name := range []string{"mnist", "squares"} { // the first has the name of a set of the study
		set, err := data.New(data.Shape{N: 20, H: 28, W: 28, C: 1}, bytes.Repeat([]byte{byte(50 + i)}, 20*28*28), nil)
		require.NoError(t, err)
		require.NoError(t, data.WriteNPZ(filepath.Join(folder, name+".npz"), set))
		sc.Outliers = append(sc.Outliers, filepath.Join(folder, name+".npz"))
	}
	both := sc.Outliers
	records := func() []string {
		text, err := os.ReadFile(filepath.Join(out, "mini", "fmnist", "em-seed1", ResultsFile))
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for i, given := range [][]string{nil, both[:1], both, both} {
		sc.Outliers = given
		results, err := reproduce(t.Context(), t, sc, out, Setup{}, []string{"em"}, nil, "near", "fig6")
		require.NoError(t, err)
		near := results["near"]
		assert.Equal(t, []string{"mnist-2", "squares"}[:len(given)], append([]string{}, near.Outliers...))
		for _, row := range []string{"s(x), EM", "both terms, standardized"} {
			for _, name := range near.Outliers {
				assert.Len(t, near.labelled(t, row).values(name), 1, "%s, %s", row, name)
			}
			assert.Len(t, near.labelled(t, row).values("blurred"), 1)
		}
		assert.Equal(t, len(given), strings.Count(near.Command, " --outliers "))
		assert.NotContains(t, results["fig6"].Command, "--outliers")
		again, err := ReadResults(filepath.Join(out, "mini"))
		require.NoError(t, err)
		assert.Equal(t, near.Columns, again[1].Columns, "of a page that is written again")
		detections := strings.Count(strings.Join(records(), "\n"), `"metric":"outlier detection"`)
		assert.Equal(t, []int{2, 3, 4, 4}[i], detections, "of samples, near, and each list of given outliers: %v", given)
	}
	sc.Outliers = []string{filepath.Join(folder, "none.npz")}
	_, err := reproduce(t.Context(), t, sc, out, Setup{}, nil, nil, "near")
	assert.ErrorContains(t, err, "none.npz")
}

func TestAQOverAModelThatDivergedIsNotTrained(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	out, sc := t.TempDir(), tiny(Mini(), datatest.FashionMNIST(t, 300, 97))
	_, err := reproduce(t.Context(), t, sc, out, Setup{}, []string{"em"}, nil, "fig6")
	require.NoError(t, err)
	r := eval.NewRecord(divergence, nil)
	r.Settings, r.Values = map[string]string{"measurement": "energy_real"}, eval.Values{"step": 3, "value": 1e9}
	require.NoError(t, Keep(filepath.Join(out, "mini", "fmnist", "em-seed1"), r))
	results, err := reproduce(t.Context(), t, sc, out, Setup{}, []string{"em-q"}, nil, "fig9")
	require.NoError(t, err)
	require.Len(t, results["fig9"].Cells, 1)
	assert.Equal(t, "step 3: energy_real is 1e+09", results["fig9"].Cells[0].Diverged)
	assert.NoDirExists(t, filepath.Join(out, "mini", "fmnist", "em-q-seed1"))
}

func TestASetupIsPatient(t *testing.T) {
	for after, want := range map[time.Duration][]string{0: {"measuring 1/2", "measuring 2/2"}, time.Hour: nil} {
		var shown []string
		s := Setup{Progress: func(task string) func(done, total int) {
			return func(done, total int) { shown = append(shown, fmt.Sprintf("%s %d/%d", task, done, total)) }
		}}
		report := s.patient(after).watch("measuring", 2)
		report(1)
		report(2)
		assert.Equal(t, want, shown)
	}
}
