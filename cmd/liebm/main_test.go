package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data/datatest"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/train"
)

// run is liebm with these arguments: what it prints, and its error.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stdout
	os.Stdout = w
	printed := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, r)
		printed <- b.String()
	}()
	err = runApp(t.Context(), append([]string{"liebm"}, args...))
	os.Stdout = old
	w.Close()
	return <-printed, err
}

// small shrinks Fashion-MNIST's networks and schedules to seconds.
var small = []string{"--set", "energy.widths=[4,4]", "--set", "energy.downs=[true,true]", "--set", "generator.widths=[4,4,4,4]",
	"--set", "energy.head_dim=16", "--set", "log.samples=4", "--set", "log.checkpoint=2", "--set", "batch=4"}

// sharedFolder is where shared keeps runs; TestMain removes it.
var sharedFolder string

// shared returns the folder of a run that liebm makes with these arguments when a test first asks for it. The
// data are the first images of Fashion-MNIST. They have a name of their own, so nobody knows that they are padded.
func shared(t *testing.T, name string, args ...string) string {
	t.Helper()
	if sharedFolder == "" {
		var err error
		sharedFolder, err = os.MkdirTemp("", "liebm-cmd")
		require.NoError(t, err)
	}
	dir, set := filepath.Join(sharedFolder, name), filepath.Join(sharedFolder, "data")
	if _, err := os.Stat(set); err != nil {
		require.NoError(t, os.Rename(datatest.FashionMNIST(t, 300, 120), set))
	}
	if _, err := os.Stat(dir); err != nil {
		_, err := run(t, append(args, "--out", dir, "--set", "data.name="+set)...)
		require.NoError(t, err)
	}
	return dir
}

// pretrained is an encoder that two steps have trained.
func pretrained(t *testing.T) string {
	t.Helper()
	return shared(t, "encoder", "pretrain", "--preset", "fmnist-simclr", "--steps", "2", "--set", "batch=8",
		"--set", "encoder.widths=[4]", "--set", "encoder.blocks=[1]", "--set", "encoder.head_dim=8")
}

// trained is a run of a few steps, with q.
func trained(t *testing.T) string {
	t.Helper()
	return shared(t, "run", append([]string{"train", "--preset", "fmnist-erm", "--encoder", pretrained(t), "--steps", "4",
		"--set", "inference.stem=4", "--set", "inference.widths=[4,4,4]"}, small...)...)
}

func TestFromPretrainingToReport(t *testing.T) {
	if testing.Short() {
		t.Skip("pretrains, trains and measures")
	}
	h, out := pretrained(t), trained(t)
	records, err := train.ReadMetrics(filepath.Join(h, "metrics.jsonl"))
	require.NoError(t, err)
	for _, probe := range []string{"knn5", "linear"} {
		assert.Greater(t, records[len(records)-1].Values[probe], 0.1, "better than chance")
	}

	_, err = run(t, "train", "--preset", "fmnist-em", "--encoder", h, "--out", out)
	assert.ErrorContains(t, err, "already holds a run")
	_, err = run(t, "train", "--out", out, "--resume", "--seed", "9")
	assert.ErrorContains(t, err, "--seed cannot change")
	_, err = run(t, "train", "--out", out, "--resume")
	assert.NoError(t, err, "resuming a finished run does nothing")

	npz := filepath.Join(t.TempDir(), "x.npz")
	text, err := run(t, "sample", "--run", out, "--n", "10", "--out", npz)
	require.NoError(t, err)
	assert.Contains(t, text, "10 images of 32×32×1")
	folder := filepath.Join(t.TempDir(), "pictures") + "/"
	_, err = run(t, "sample", "--run", out, "--n", "3", "--out", folder, "--no-mcmc")
	require.NoError(t, err)
	files, err := filepath.Glob(folder + "*.png")
	require.NoError(t, err)
	assert.Len(t, files, 3)

	text, err = run(t, "eval", "--run", out, "--n", "300", "--json")
	require.NoError(t, err)
	var printed, kept study.Summary
	require.NoError(t, json.Unmarshal([]byte(text), &printed))
	file, err := os.ReadFile(filepath.Join(out, "summary.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(file, &kept))
	assert.Equal(t, printed.Values, kept.Values)
	assert.Greater(t, kept.Values["fd_h"], kept.Values["fd_h_floor"])
	assert.Len(t, kept.Outliers(), 3)

	text, err = run(t, "report", "--run", out)
	require.NoError(t, err)
	assert.Contains(t, text, "report.html")
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	require.NoError(t, err)
	for _, want := range []string{"Fréchet", "after MCMC, NFE 6", "s(x) of Eq. 15", "share of the set"} {
		assert.Contains(t, string(page), want)
	}
}

func TestPlanCountsThePapersParameters(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a step at the published widths")
	}
	text, err := run(t, "plan", "--preset", "cifar10-em-published", "--set", "batch=2", "--set", "chain.steps=1", "--json")
	require.NoError(t, err)
	var plan struct {
		Params map[string]int
		Hours  float64
		Flops  float64 `json:"flops_per_iteration"`
		Memory float64 `json:"memory_bytes"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &plan))
	assert.Greater(t, plan.Memory, 4.0*(2*4923968+2*4276739), "the weights and their averages")
	assert.Equal(t, 4923968, plan.Params["E"])
	assert.Equal(t, 4276739, plan.Params["G"])
	assert.Equal(t, 15208064, plan.Params["q"])
	assert.Greater(t, plan.Hours, 0.0)
	assert.Greater(t, plan.Flops, 1e9)
}

func TestBenchStepTimesEveryPrecision(t *testing.T) {
	text, err := run(t, append([]string{"bench", "step", "--preset", "fmnist-em", "--iters", "1", "--json"}, small...)...)
	require.NoError(t, err)
	var seconds map[string]float64
	require.NoError(t, json.Unmarshal([]byte(text), &seconds))
	assert.Greater(t, seconds["float32"], 0.0)
	assert.Greater(t, seconds["bfloat16"], 0.0)
}

func TestBenchProfileSaysWhereTheTimeGoes(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the speed of the machine")
	}
	args := append([]string{"bench", "--profile", "--preset", "fmnist-em", "--batch", "2", "--iters", "1"}, small[:len(small)-2]...)
	text, err := run(t, append(args, "--json")...)
	require.NoError(t, err)
	var p train.Profile
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	assert.Equal(t, []int{2, 1, 5}, []int{p.Batch, p.Iterations, p.ChainSteps})
	for _, speed := range []float64{p.Roofline.Conv["float32"], p.Roofline.Conv["bfloat16"], p.Roofline.Memory} {
		assert.Positive(t, speed)
	}
	share := 0.0
	for _, part := range p.Parts {
		share += part.Share
		assert.Positive(t, part.OfRoofline, part.Part)
	}
	assert.InDelta(t, 1, share, 1e-6)
	var b bytes.Buffer
	require.NoError(t, p.Print(&b))
	for _, want := range []string{"fmnist-em, batch 2, T 5", "roofline: 3×3 convolution", "of roofline", p.Operators[0].Operator} {
		assert.Contains(t, b.String(), want)
	}

	_, err = run(t, "bench")
	assert.ErrorContains(t, err, "liebm bench --profile")
	_, err = run(t, append(args, "--iters", "0")...)
	assert.ErrorContains(t, err, "--iters 0")
}

func TestDryRunPrintsTheWholeConfig(t *testing.T) {
	text, err := run(t, "train", "--preset", "cifar10-em", "--out", "unused", "--dry-run", "--set", "chain.steps=60")
	require.NoError(t, err)
	assert.Contains(t, text, "steps: 60")
	assert.Contains(t, text, "widths: [256, 256, 256, 256]")
	_, err = os.Stat("unused")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestMistakesGetOneLineWithARemedy(t *testing.T) {
	h := pretrained(t)
	for name, c := range map[string]struct {
		args string
		want string
	}{
		"no config":             {"train --out x", "--preset NAME or --config FILE"},
		"no out":                {"train --preset fmnist-em", "--out is missing"},
		"no encoder":            {"train --preset fmnist-em --out x", "liebm pretrain --preset fmnist-simclr"},
		"unknown preset":        {"train --preset fmnist-me --out x", "did you mean fmnist-em"},
		"far from any preset":   {"train --preset zzzzzzzzzzzzzzzz --out x", "there are"},
		"unknown key":           {"train --preset fmnist-em --out x --set chain.step=3", "did you mean chain.steps"},
		"wrong type":            {"train --preset fmnist-em --out x --set chain.steps=many", "chain.steps"},
		"a γ of NaN":            {"train --preset fmnist-em --out x --set energy.gamma=NaN", "energy.gamma"},
		"a ρ of NaN":            {"train --preset fmnist-erm --out x --set rho=NaN", "rho needs a finite number"},
		"an ω₂ below 0":         {"train --preset fmnist-erm --out x --set omega2=-1", "omega2 is -1: target=erm needs a weight above 0"},
		"ERM without q":         {"train --preset fmnist-erm --out x --set inference.widths=[]", "inference.widths is empty: give q's channels"},
		"linear F frozen":       {"train --preset fmnist-em --out x --set energy.linear_f=true --set opt_e.lr=0", "set opt_e.lr=1e-4, or energy.linear_f=false"},
		"no latents, but h":     {"train --preset fmnist-em --out x --encoder h --set energy.posterior=none", "--encoder h: this training reads no encoder (energy.posterior=none): leave it out"},
		"no latents, joint h":   {"train --preset fmnist-em --out x --set encoder=joint --set energy.posterior=none", "set encoder=pretrained"},
		"h by a target's name":  {"train --preset fmnist-em --out x --set encoder=byol", "this key takes no target of pretraining: give pretrained or joint"},
		"a pretraining preset":  {"train --preset fmnist-byol --out x", "fmnist-byol is a preset of pretraining"},
		"sizes that clash":      {"train --preset fmnist-em --out x --set data.size=64", "generator.widths"},
		"steps and minutes":     {"train --preset fmnist-em --out x --encoder y --steps 3 --minutes 1", "are both given: leave one out"},
		"no such encoder":       {"train --preset fmnist-em --out DIR/a --encoder DIR/nowhere", "nowhere"},
		"another width":         {"train --preset fmnist-em --out DIR/b --encoder ENC --set energy.latent_dim=32", "energy.latent_dim"},
		"data that are missing": {"train --preset cifar10-em --out DIR/c --encoder ENC --data DIR/nothing", "DIR/nothing"},
		"no run":                {"sample --run DIR/none --out x.npz", "holds no run"},
		"odd output":            {"sample --run DIR --out x.jpg", ".npz"},
		"bad device":            {"eval --run DIR --device gpu", "use cpu, cuda"},
		"one sample":            {"eval --run DIR --n 1", "--n 1: use 2 to"},
		"resume of nothing":     {"train --out DIR/none --resume", "leave out --resume to start a run there"},
		"a word too many":       {"pretrain --data DIR/a DIR/b --out DIR/x", "\"DIR/b\" is not a flag of liebm pretrain, which takes flags only"},
		"a misspelt command":    {"trian", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := strings.NewReplacer("DIR", dir, "ENC", h).Replace(c.args)
			_, err := run(t, strings.Fields(args)...)
			if c.want == "" {
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), strings.ReplaceAll(c.want, "DIR", dir))
			assert.Less(t, strings.Count(err.Error(), "\n"), 2)
		})
	}
}

func TestDataCommands(t *testing.T) {
	text, err := run(t, "data", "list")
	require.NoError(t, err)
	assert.Contains(t, text, "fmnist")
	text, err = run(t, "data", "info", "--json", "fmnist")
	require.NoError(t, err)
	assert.Contains(t, text, `"n": 60000`)
	_, err = run(t, "data", "verify", "fmnist")
	assert.NoError(t, err)
	_, err = run(t, "data", "verify", "fashion")
	assert.ErrorContains(t, err, "fmnist")

	grid := filepath.Join(t.TempDir(), "grid")
	_, err = run(t, "data", "grid", "--out", grid+".png", "fmnist")
	require.NoError(t, err)
	start, err := os.ReadFile(grid + ".png")
	require.NoError(t, err)
	assert.Equal(t, "\x89PNG", string(start[:4]))
	for flag, args := range map[string][]string{"--out": {"data", "grid", "fmnist"}, "--plot": {"metrics", "tsne", "--run", "none"}} {
		_, err = run(t, append(args, flag, grid+".txt")...)
		assert.ErrorContains(t, err, flag+" "+grid+".txt: the ending decides the format: name a file that ends in .png")
	}
}

func TestDataPrepare(t *testing.T) {
	t.Setenv("LIEBM_DATA", t.TempDir())
	dir := t.TempDir()
	out := filepath.Join(dir, "set.liebm")
	text, err := run(t, "data", "prepare", "--split", "test", "--size", "32", "--scale", "--out", out, "fmnist")
	require.NoError(t, err)
	assert.Contains(t, text, "10000 images of 32×32×1, resize to 32")
	text, err = run(t, "data", "prepare", "--split", "test", "--size", "32", "--scale", "--out", out, "fmnist")
	require.NoError(t, err)
	assert.Contains(t, text, "is complete already")
	text, err = run(t, "data", "verify", out)
	require.NoError(t, err)
	assert.Contains(t, text, "a prepared set, all checksums match")
	text, err = run(t, "data", "info", "--json", out)
	require.NoError(t, err)
	assert.Contains(t, text, `"fit": "resize"`)
	text, err = run(t, "data", "info", "--path", out, "--split", "test", "fmnist")
	require.NoError(t, err)
	assert.Contains(t, text, "fmnist test: 10000 images of 32×32×1")

	_, err = run(t, "data", "prepare", "--out", out, "svhn")
	require.ErrorContains(t, err, "curl -fL -C - --create-dirs -o '")
	require.ErrorContains(t, err, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8")
	_, err = run(t, "data", "prepare", "svhn")
	require.ErrorContains(t, err, "--out is missing")
	_, err = run(t, "data", "prepare", "--download", "--out", out, dir)
	require.ErrorContains(t, err, "unknown data set")
}

func TestDoctorSaysWhatIsInForce(t *testing.T) {
	text, err := run(t, "doctor", "--json")
	require.NoError(t, err)
	var facts map[string]string
	require.NoError(t, json.Unmarshal([]byte(text), &facts))
	for _, key := range []string{"libtorch", "library", "threads", "blas", "onednn", "bfloat16", "cuda"} {
		assert.NotEmpty(t, facts[key], key)
	}
}

func TestADeniedPermissionNamesTheUserAndTheRemedy(t *testing.T) {
	err := explainPermission(fmt.Errorf("make the run folder: %w", &fs.PathError{Op: "mkdir", Path: "/runs/em", Err: fs.ErrPermission}))
	assert.ErrorContains(t, err, "/runs/em")
	assert.ErrorContains(t, err, fmt.Sprintf("user %d", os.Getuid()))
	assert.ErrorContains(t, err, "--user")
	assert.Equal(t, io.EOF, explainPermission(io.EOF), "other errors stay as they are")
}

func TestCommandOfSkipsFlags(t *testing.T) {
	for line, want := range map[string]string{"liebm": "", "liebm train --out x": "train", "liebm --threads 2 train": "train", "liebm --threads=2 sample --split train": "sample"} {
		assert.Equal(t, want, commandOf(strings.Fields(line)), line)
	}
}
