package study

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/data/datatest"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// tinyRun is a run folder, the same for all tests: h, E, G and q after two steps.
func tinyRun(t *testing.T) string {
	t.Helper()
	if runOfTests != "" {
		return runOfTests
	}
	dir, err := os.MkdirTemp("", "liebm-study")
	require.NoError(t, err)
	foldersOfTests = append(foldersOfTests, dir)
	ssl, err := train.Sources{Preset: "fmnist-simclr", Set: []string{"steps=2", "batch=8", "encoder.widths=[4]", "encoder.blocks=[1]", "encoder.head_dim=8"}}.ResolveSSL()
	require.NoError(t, err)
	cfg, err := train.Sources{Preset: "fmnist-erm", Set: []string{"steps=2", "batch=4", "energy.widths=[4,4]", "energy.downs=[true,true]",
		"generator.widths=[4,4,4,4]", "energy.head_dim=16", "inference.stem=0", "inference.widths=[4,4,4]", "log.samples=4", "log.checkpoint=2"}}.Resolve()
	require.NoError(t, err)
	set, err := cfg.Open(data.Train)
	require.NoError(t, err)
	defer set.Close()
	encoder, out := filepath.Join(dir, "encoder"), filepath.Join(dir, "run")
	require.NoError(t, train.Pretrain(t.Context(), ssl, set, train.Options{Out: encoder}))
	require.NoError(t, train.Run(t.Context(), cfg, set, train.EncoderPath(encoder), train.Options{Out: out}))
	runOfTests = out
	return out
}

var (
	runOfTests     string
	foldersOfTests []string
)

func TestMain(m *testing.M) {
	torch.SetThreads(1) // tests of other packages run beside these
	code := m.Run()
	for _, dir := range foldersOfTests {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// open loads a run. When the test ends nothing may be left of it.
func open(t *testing.T, dir string) *train.Model {
	t.Helper()
	before := torch.Live()
	m, err := train.LoadModel(dir, torch.Device{})
	require.NoError(t, err)
	t.Cleanup(func() {
		m.Close()
		assert.Equal(t, before, torch.Live(), "measuring keeps nothing")
	})
	return m
}

// someImages are the last test images of Fashion-MNIST, with the padding of training.
func someImages(t *testing.T, n int) *data.Set {
	t.Helper()
	set, err := data.Open("fmnist", data.Options{Split: data.Test, Size: 32})
	require.NoError(t, err)
	defer set.Close()
	var last []int
	for i := range n {
		last = append(last, set.N-n+i)
	}
	return set.Subset(last)
}

func TestARunIsMeasuredOnFashionMNIST(t *testing.T) {
	if testing.Short() {
		t.Skip("measures 300 samples, 20 seconds")
	}
	dir := tinyRun(t)
	m := open(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("---\nlicense: mit\n---\n"), 0o666))
	records, err := AssessRun(t.Context(), dir, RunOptions{Samples: SampleOptions{N: 300, Seed: 3, Seconds: map[string]float64{"train": 7}}, Outliers: OutlierOptions{}}, Setup{})
	require.NoError(t, err)
	kept, err := eval.ReadRecords(filepath.Join(dir, ResultsFile))
	require.NoError(t, err)
	require.Len(t, kept, len(records))
	var s Summary
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &s))
	v := s.Values
	assert.Greater(t, v["fd"], v["fd_floor"])
	assert.Contains(t, v, "fd_no_mcmc")
	assert.Equal(t, 6.0, v["nfe"])
	assert.Equal(t, 1.0, v["nfe_no_mcmc"])
	assert.Equal(t, 7.0, v["seconds_to_train"])
	assert.Positive(t, v["seconds"])
	assert.Positive(t, v["energy_std"])
	assert.Positive(t, v["mse"])
	assert.Positive(t, v["mse_prior_stats"])
	assert.NotEqual(t, v["mse"], v["mse_prior_stats"], "G normalises by other statistics")
	for _, name := range MadeOutliers {
		for _, key := range []string{"auroc/", "auroc_energy/", "auroc_cosine/", "fpr95_in/"} {
			require.Contains(t, v, key+name)
			assert.True(t, v[key+name] >= 0 && v[key+name] <= 1, "%s%s is %v", key, name, v[key+name])
		}
	}
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(card), "license: mit\n", "a packed run keeps its licence")
	assert.Contains(t, string(card), "AUROC against", "and gets the new figures")
	fd := s.Of("fd")
	assert.Equal(t, "Fréchet distance", fd.Metric)
	assert.Contains(t, fd.Network, "fashion-cnn")
	assert.Equal(t, m.SHA256, fd.WeightsSHA256)
	assert.Equal(t, []int{300, 10000}, []int{fd.Inputs[0].N, fd.Inputs[1].N})
	assert.Equal(t, []int{28, 28, 1}, fd.Inputs[1].Size, "without the padding of training")
	assert.Len(t, s.Of("auroc/noise").Histogram.Counts, 4)
	assert.NoError(t, s.Of("auroc/noise").Histogram.Check())
	for _, file := range []string{"samples.png", "samples_no_mcmc.png", "data.png"} {
		assert.FileExists(t, filepath.Join(dir, file))
	}
}

func TestInferenceIsMeasuredByLatentsAndClasses(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the classifier on 100 images")
	}
	m, set := open(t, tinyRun(t)), someImages(t, 20)
	r, err := AssessInference(t.Context(), m, set, 1, Setup{})
	require.NoError(t, err)
	for _, key := range []string{"cosine", "cosine_sampled", "class_agreement", "class_agreement_sampled"} {
		require.Contains(t, r.Values, key)
		assert.True(t, r.Values[key] >= -1 && r.Values[key] <= 1, "%s is %v", key, r.Values[key])
	}
	same, err := meanCosine(t.Context(), latents(m), set, set)
	require.NoError(t, err)
	assert.InDelta(t, 1, same, 1e-5)
	same, err = classAgreement(t.Context(), set, set)
	require.NoError(t, err)
	assert.Equal(t, 1.0, same)
}

func TestSamplesOfAStudyAreMeasuredByTheirClasses(t *testing.T) {
	if testing.Short() {
		t.Skip("draws samples, 20 seconds")
	}
	m, sc := open(t, tinyRun(t)), Mini()
	sc.Samples = 50
	records, err := new(work).assessSamples(t.Context(), newFolder(t.TempDir(), "fmnist", sc).cell("erm"), m)
	require.NoError(t, err)
	v := Summarize(records).Values
	for _, end := range []string{"", "_no_mcmc"} {
		for _, key := range []string{"precision", "recall"} {
			require.Contains(t, v, key+end)
			assert.True(t, v[key+end] >= 0 && v[key+end] <= 1, "%s is %v", key+end, v[key+end])
		}
		assert.Positive(t, v["class_kl"+end], "G has learned nothing")
	}

	set := someImages(t, 20)
	r := eval.NewRecord("x", nil)
	r.Settings = map[string]string{}
	f, err := OpenFeatures(m.Config, FeatureOptions{})
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.diversity(t.Context(), m.Config, r, map[string]*data.Set{"": set}, set))
	assert.Equal(t, eval.Values{"precision": 1, "recall": 1, "class_kl": 0}, r.Values, "of the images themselves")
	assert.Equal(t, "3", r.Settings["k"])
}

func TestNearOutliersAreMade(t *testing.T) {
	m := open(t, tinyRun(t))
	test, err := m.Config.Open(data.HeldOut)
	require.NoError(t, err)
	defer test.Close()
	some := test.Head(30)
	for _, name := range append(MadeOutliers, NearOutliers...) {
		set, err := openOutliers(t.Context(), m, name, some, OutlierOptions{Seed: 1}, nil)
		require.NoError(t, err, name)
		assert.Equal(t, some.Shape, set.Shape, name)
		assert.NotEqual(t, some.Pixels(), set.Pixels(), name)
		if name == "samples" { // G draws what is padding in the data
			continue
		}
		for i := range some.N {
			assert.Equal(t, make([]byte, 2*set.W), set.Image(i)[:2*set.W], "%s: the padding of the inliers", name)
		}
	}
}

func TestClassesThatTrainingLeftOutAreOutliers(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	m := open(t, tinyRun(t))
	_, err := AssessOutliers(t.Context(), m, OutlierOptions{Sets: []string{"constant", "nosie"}}, Setup{})
	assert.ErrorContains(t, err, "no outliers are called nosie: use one of constant, noise, ")
	_, err = AssessOutliers(t.Context(), m, OutlierOptions{Sets: []string{LeftOut}}, Setup{})
	assert.ErrorContains(t, err, "train one with data.leave_out")
	m.Config.Data.LeaveOut = []int{8}
	r, err := AssessOutliers(t.Context(), m, OutlierOptions{Sets: []string{LeftOut}}, Setup{})
	require.NoError(t, err)
	require.Len(t, r.Inputs, 2)
	assert.Equal(t, []int{9000, 1000}, []int{r.Inputs[0].N, r.Inputs[1].N})
	assert.Contains(t, r.Values, "auroc/left-out")
}

func TestStandardizedTermsWeighTheSame(t *testing.T) {
	m := open(t, tinyRun(t))
	weigh, err := standardize(t.Context(), m, OutlierOptions{Standardize: true}, Setup{})
	require.NoError(t, err)
	training, err := m.Config.Open(data.Train)
	require.NoError(t, err)
	defer training.Close()
	_, energies, cosines, err := m.Scores(t.Context(), training.Head(standardized), 0)
	require.NoError(t, err)
	sums := weigh(energies, cosines)[0]
	assert.InDelta(t, 0, stat.Mean(sums, nil), 1e-6)
	r := stat.Correlation(energies, cosines, nil)
	assert.InDelta(t, 2+2*r, stat.PopVariance(sums, nil), 1e-6, "two terms of variance 1 and their correlation")
	assert.Equal(t, [][]float64{{-1, 1}}, standardizedSum([]float64{5, 5}, []float64{2, 4})([]float64{5, 5}, []float64{2, 4}), "a flat E tells nothing apart")
}

func TestReconstructionAndRestorationAreMeasuredWithoutPadding(t *testing.T) {
	if testing.Short() {
		t.Skip("restores images for ten seconds")
	}
	m, set := open(t, tinyRun(t)), someImages(t, 6)
	out, r, err := AssessReconstruction(t.Context(), m, set, train.ReconstructOptions{}, Setup{})
	require.NoError(t, err)
	inside, err := m.Config.Crop(set)
	require.NoError(t, err)
	require.Equal(t, 28, inside.H)
	images, err := m.Config.Crop(out.Images)
	require.NoError(t, err)
	_, mse, err := eval.PSNR(t.Context(), images, inside)
	require.NoError(t, err)
	mean := 0.0
	for _, e := range mse {
		mean += e / float64(len(mse))
	}
	assert.InDelta(t, mean, r.Values["mse_unit"], 2e-3, "but for rounding to bytes")
	assert.InDelta(t, r.Values["mse"]/4, r.Values["mse_unit"], 1e-12)

	a, err := Task(SR8, m.Config, nil)
	require.NoError(t, err)
	o := train.RestoreDefaults(m.Config)
	o.Latent.Steps, o.Image.Steps = 2, 2
	restored, r, err := AssessRestoration(t.Context(), m, set, SR8, a, o, Setup{})
	require.NoError(t, err)
	for _, stage := range Stages {
		images, err := m.Config.Crop(stage.Images(restored))
		require.NoError(t, err)
		psnr, _, err := eval.PSNR(t.Context(), images, inside)
		require.NoError(t, err)
		mean := 0.0
		for _, v := range psnr {
			mean += v / float64(len(psnr))
		}
		assert.InDelta(t, mean, r.Values["psnr/sr8/"+stage.Name], 1e-9)
		assert.Contains(t, r.Values, "ssim/sr8/"+stage.Name)
	}
	assert.Empty(t, r.Warnings)
	m.NoPosterior = errors.New("the images are gone")
	_, r, err = AssessRestoration(t.Context(), m, set, SR8, a, o, Setup{})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(r.Warnings, "\n"), "statistics of the prior's latents, not those of q's, so its images are further from the originals: the images are gone")
	_, err = Task("sr3", m.Config, nil)
	assert.ErrorContains(t, err, "use colorize, sr8, sr4 or inpaint")
}

func TestProbesAndTSNE(t *testing.T) {
	m := open(t, tinyRun(t))
	m.Config.Data.Name = datatest.FashionMNIST(t, 300, 120)
	for _, on := range []string{"f", "h"} {
		r, err := AssessProbe(t.Context(), m, ProbeOptions{On: on, N: 300, Epochs: 2}, Setup{})
		require.NoError(t, err)
		assert.Greater(t, r.Values["knn5_"+on], 0.1, "better than chance")
		assert.Contains(t, r.Values, "linear_"+on)
		assert.Equal(t, []int{300, 120}, []int{r.Inputs[0].N, r.Inputs[1].N})
	}
	_, err := AssessProbe(t.Context(), m, ProbeOptions{On: "g"}, Setup{})
	assert.ErrorContains(t, err, "use f or h")

	panels, r, err := TSNE(t.Context(), m, TSNEOptions{On: []string{"h", "f"}, N: 100, Perplexity: 5}, Setup{})
	require.NoError(t, err)
	require.Len(t, panels, 2)
	assert.Len(t, panels[1].Points, 100)
	assert.Contains(t, r.Values, "divergence_h")
	assert.Contains(t, r.Values, "divergence_f")
	assert.Len(t, r.Inputs, 1)
	for _, format := range []string{"png", "svg", "pdf"} {
		path := filepath.Join(t.TempDir(), "x."+format)
		require.NoError(t, WritePanels(path, panels))
		assert.FileExists(t, path)
	}
}

func TestFeaturesFollowTheData(t *testing.T) {
	if testing.Short() {
		t.Skip("opens Inception")
	}
	fashion, err := train.Preset("fmnist-em")
	require.NoError(t, err)
	photos, err := train.Preset("cifar10-em")
	require.NoError(t, err)
	f, err := OpenFeatures(fashion, FeatureOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"fd", "Fréchet distance", "held out"}, []string{f.Key, f.Metric, string(f.Split)})
	f.Close()
	_, err = OpenFeatures(photos, FeatureOptions{})
	assert.ErrorIs(t, err, ErrNoFeatures)

	f, err = OpenFeatures(photos, FeatureOptions{Inception: modelstest.InceptionFile(t)})
	require.NoError(t, err)
	assert.Equal(t, "fid", f.Key)
	assert.Equal(t, "Fréchet distance", f.Metric, "the weights are not the published ones, so this is no FID")
	assert.Equal(t, data.Train, f.Split)
	f.Close()

	m := open(t, tinyRun(t))
	f, err = OpenFeatures(photos, FeatureOptions{Encoder: m.H})
	require.NoError(t, err)
	assert.Equal(t, "Fréchet distance on h", f.Metric)
	f.Close()

	m.Config.Data.Name = "photos"
	before := torch.Live()
	f, err = Setup{}.featuresOf(m, "")
	require.NoError(t, err)
	assert.Equal(t, before, torch.Live(), "h is the model's")
	f.Close()
	assert.Equal(t, before, torch.Live(), "the model keeps h")
	m.Config.Encoder = train.Joint
	f, err = Setup{}.featuresOf(m, "")
	require.NoError(t, err)
	assert.Greater(t, torch.Live(), before, "an encoder that learns along is another one at each step")
	f.Close()
	assert.Equal(t, before, torch.Live())
}

func TestAnotherSplitThanThatOfTrainingIsWarnedOf(t *testing.T) {
	test, err := data.New(data.Shape{N: 2, H: 1, W: 1, C: 1}, []byte{1, 2}, nil)
	require.NoError(t, err)
	test.Division = &data.Division{Share: 0.1, N: 2, SHA256: test.SHA256()}
	same, other := *test.Division, data.Division{Share: 0.1, Seed: 1, N: 3}
	assert.Empty(t, splitChanged(&train.RunInfo{HeldOut: &same}, test))
	assert.Empty(t, splitChanged(&train.RunInfo{}, test), "a run whose data have splits of their own")
	assert.Contains(t, splitChanged(&train.RunInfo{HeldOut: &other}, test), "training may have read some of the 2")
	test.Division = nil
	assert.Contains(t, splitChanged(&train.RunInfo{HeldOut: &same}, test), "the data changed since training")
}

func TestSetsHaveShortNamesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{"a/photos.v2", "b/photos.v2", "inliers"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o777))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "svhn.npz"), nil, 0o666))
	t.Chdir(dir)
	assert.Equal(t, []string{"photos.v2", "photos.v2-2", "inliers-2", "svhn", "noise", "cifar10:test"},
		SetNames([]string{"a/photos.v2/", filepath.Join(dir, "b/photos.v2"), "inliers", "svhn.npz", "noise", "cifar10:test"}))
	assert.Equal(t, []string{"svhn-2"}, setNames([]string{"svhn.npz"}, setsOfStudies()), "Table 6 has this name")
}
