package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models/modelstest"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// tinyScale is mini's, with networks and budgets of seconds.
func tinyScale(t *testing.T, c *cli.Context) scale {
	t.Helper()
	sc, err := scaleOf(c)
	require.NoError(t, err)
	sc.set = append(sc.set, "steps=4", "log.samples=2", "log.checkpoint=2", "batch=4", "energy.widths=[4,4]", "energy.downs=[true,true]",
		"generator.widths=[4,4,4,4]", "energy.head_dim=16", "inference.stem=0", "inference.widths=[4,4,4]")
	sc.setSSL = append(sc.setSSL, "steps=2", "batch=8", "encoder.widths=[4]", "encoder.blocks=[1]", "encoder.head_dim=8")
	sc.samples = 300
	return sc
}

// tinyReproduction is liebm reproduce with flags, of some cells, at a tiny scale that change changes further.
type tinyReproduction struct {
	flags  []string
	cells  []string
	seeds  []uint64
	change func(sc *scale)
}

func (r tinyReproduction) run(t *testing.T, names ...string) error {
	t.Helper()
	app := &cli.App{Flags: reproduceCommand().Flags, Action: func(c *cli.Context) error {
		var chosen []study
		for _, name := range names {
			s, err := studyNamed(name)
			require.NoError(t, err)
			chosen = append(chosen, s)
		}
		sc := tinyScale(t, c)
		if r.change != nil {
			r.change(&sc)
		}
		p, err := makePlan(c, sc, chosen, r.cells, r.seeds)
		if err != nil {
			return err
		}
		return p.execute(c)
	}}
	return app.RunContext(t.Context(), append([]string{"liebm"}, r.flags...))
}

func TestReproduceTrainsEveryCellOnceAndLaysItBesideThePublished(t *testing.T) {
	before := torch.Live()
	out, few := t.TempDir(), fewImages(t, 300, 95)
	reproduce := func(only []string, seeds []uint64, names ...string) error {
		return tinyReproduction{flags: []string{"--out", out}, cells: only, seeds: seeds, change: func(sc *scale) {
			sc.set, sc.setSSL = append(sc.set, "data.name="+few), append(sc.setSSL, "data.name="+few)
		}}.run(t, names...)
	}
	cells := []string{"em", "none"}
	require.NoError(t, reproduce(cells, []uint64{1, 2}, "table9", "fig6"))

	dir := filepath.Join(out, "mini")
	text, err := os.ReadFile(filepath.Join(dir, "table9.md"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "| EM | 0.95 | 0.97 | 0.82 | 0.77 | ", "the published row, and ours after it")
	assert.Contains(t, string(text), "| EJM | 0.95 | 0.94 | 0.81 | 0.73 |  |  |  |", "what was not trained stays empty")
	assert.Contains(t, string(text), "of 2 |", "trends are judged by seed")
	assert.Contains(t, string(text), "Fashion-MNIST")

	var r studyResult
	text, err = os.ReadFile(filepath.Join(dir, "fig6.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Len(t, r.Cells, 4)
	for _, line := range r.Rows {
		if line.Label == "EM w/o MCMC" {
			assert.Len(t, line.Ours["FD"], 2)
		}
	}
	checkpoint := filepath.Join(dir, "fmnist", "em-seed1", "checkpoint-00000004.safetensors")
	first, err := os.Stat(checkpoint)
	require.NoError(t, err)
	require.NoError(t, reproduce(cells, []uint64{1}, "table10"))
	again, err := os.Stat(checkpoint)
	require.NoError(t, err)
	assert.Equal(t, first.ModTime(), again.ModTime(), "another table reads the model that is there")
	require.NoError(t, reproduce([]string{"em-q"}, []uint64{1}, "table11"))
	text, err = os.ReadFile(filepath.Join(dir, "table11.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	for _, line := range r.Rows {
		if line.Label == "LIEBM-EM, q by Eq. 26" {
			assert.Len(t, line.Ours["MSE"], 1, "a q over the model that is there")
		}
	}
	assert.Equal(t, before, torch.Live())

	path := filepath.Join(dir, "fmnist", "em-seed1", "cell.json")
	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(string(text[:len(text)-2])+`,"preset":"other"}`), 0o666))
	assert.ErrorContains(t, reproduce(cells, []uint64{1}, "table10"), "was made with other")
}

func TestReproduceDrawsTheCurvesOfFashionMNIST(t *testing.T) {
	out := t.TempDir()
	require.NoError(t, tinyReproduction{flags: []string{"--out", out}, cells: []string{"em"}, seeds: []uint64{1}}.run(t, "fig6"))
	assert.FileExists(t, filepath.Join(out, "mini", "fig6.svg"))
}

func TestThePapersScaleMeasuresFIDAndIS(t *testing.T) {
	pixels := make([]byte, 12*32*32*3)
	for i := range pixels {
		pixels[i] = byte(i * i / 7)
	}
	set, err := data.New(data.Shape{N: 12, H: 32, W: 32, C: 3}, pixels, nil)
	require.NoError(t, err)
	npz := filepath.Join(t.TempDir(), "images.npz")
	require.NoError(t, data.WriteNPZ(npz, set))
	out := t.TempDir()
	tiny := tinyReproduction{flags: []string{"--out", out, "--scale", "paper", "--weights", modelstest.InceptionFile(t)}, cells: []string{"em"}, seeds: []uint64{1},
		change: func(sc *scale) {
			sc.set = append(sc.set, "data.name="+npz, "batch=2", "steps=2")
			sc.setSSL, sc.samples = append(sc.setSSL, "data.name="+npz), 12
		}}
	require.NoError(t, tiny.run(t, "table1"))
	text, err := os.ReadFile(filepath.Join(out, "paper", "table1.json"))
	require.NoError(t, err)
	var r studyResult
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Equal(t, []string{"NFE", "FID", "IS"}, r.Columns)
	values := r.Cells[0].Values
	for _, key := range []string{"fid", "fid_no_mcmc", "is", "is_no_mcmc", "seconds", "auroc/constant", "auroc_energy/constant"} {
		assert.Contains(t, values, key)
	}
	assert.NotContains(t, values, "auroc/svhn", "what is not on this machine is left out")
	assert.Equal(t, 16.0, values["nfe"])
	assert.GreaterOrEqual(t, values["is"], 1.0)
}

func TestReproduceRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "name what to reproduce"},
		{[]string{"tabel9"}, "did you mean table9?"},
		{[]string{"table9", "--scale", "huge"}, "--scale huge: give mini or paper"},
		{[]string{"table9", "--seeds", "1,x"}, "--seeds 1,x: give numbers"},
		{[]string{"table9", "--cells", "em,er"}, "--cells er: there is no cell"},
		{[]string{"table9", "--weights", "w.pth"}, "--weights is for --scale paper"},
		{[]string{"table9", "--steps", "0"}, "--steps 0: give at least 1"},
		{[]string{"table1", "--scale", "paper", "--device", "cpu"}, "trains on a GPU"},
	} {
		_, err := run(t, append([]string{"reproduce", "--out", t.TempDir()}, c.args...)...)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestReproducePlansThePaper(t *testing.T) {
	text, err := run(t, "reproduce", "table1", "table6", "--scale", "paper", "--dry-run", "--json", "--out", t.TempDir())
	require.NoError(t, err)
	var lines []plannedCell
	require.NoError(t, json.Unmarshal([]byte(text), &lines))
	require.Len(t, lines, 2, "both tables read EM and ERM")
	for _, l := range lines {
		assert.Positive(t, l.Plan.FLOPsPerIteration, l.Cell)
		assert.Positive(t, l.Plan.DiskBytes, l.Cell)
	}
}

func TestPresetsHaveTable12sHyperparameters(t *testing.T) {
	for i, name := range []string{"cifar10-em", "imagenet32-em", "celeba64-em", "celebahq256-em"} {
		cfg, err := train.Preset(name)
		require.NoError(t, err)
		for _, h := range hyperparameters {
			if strings.HasSuffix(h.name, "parameters") {
				continue // counted in package train
			}
			if ours := h.ours(cfg, nil); ours != h.published[i] {
				assert.Equal(t, "training epochs: 499", h.name+": "+ours, "%s: whole batches alone are counted", name)
			}
		}
	}
}

func TestATrendIsJudgedSeedBySeed(t *testing.T) {
	results := map[string][]cellResult{
		"a": {{Seed: 1, Values: map[string]float64{"fd": 10}}, {Seed: 2, Values: map[string]float64{"fd": 30}}, {Seed: 3, Values: map[string]float64{"fd": 1}}},
		"b": {{Seed: 1, Values: map[string]float64{"fd": 20}}, {Seed: 2, Values: map[string]float64{"fd": 20}}},
		"c": {{Seed: 1, Diverged: "step 3"}},
	}
	sc := scale{quality: quality{"fd", "FD"}}
	judged := claim{Better: reading{"a", "fd"}, Worse: reading{"b", "fd"}}.judge(sc, results)
	assert.Equal(t, trend{Shown: 1, Seeds: 2, Better: 20, Worse: 20}, judged, "seed 3 has no partner")
	assert.Equal(t, "mixed", judged.verdict())
	judged = claim{Better: reading{"a", "fd"}, Worse: reading{"b", "fd"}, Slack: 0.6}.judge(sc, results)
	assert.Equal(t, "shows", judged.verdict(), "within the slack is similar")
	judged = claim{Better: reading{"b", "fd"}, Worse: reading{"c", "fd"}}.judge(sc, results)
	assert.Equal(t, "shows", judged.verdict(), "what diverged is worse than anything")
	text, err := json.Marshal(judged)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"worse":"Infinity"`)
	assert.Equal(t, "not measured", claim{Better: reading{"a", "x"}, Worse: reading{"b", "x"}}.judge(sc, results).verdict())
}
