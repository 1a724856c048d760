package study

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/train"
)

// trained writes a run folder with two lines of metrics, and returns its path.
func trained(t *testing.T, cfg train.Config, name string, distance float64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprintf("%s-seed%d", name, cfg.Seed))
	require.NoError(t, os.Mkdir(dir, 0o777))
	text, err := train.YAML(cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o666))
	lines := fmt.Sprintf("{\"step\":10,\"move_rms\":0.5,\"energy_real\":9,\"energy_fake\":9}\n"+
		"{\"step\":100,\"move_rms\":0.05,\"energy_real\":-1,\"energy_fake\":-3,\"fd\":%g}\n", distance)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(lines), 0o666))
	return dir
}

func TestRunsAreComparedByTheDistanceThatTheyHave(t *testing.T) {
	compare := func(keys, encoders [2]string) *Comparison {
		var dirs []string
		for i := range 6 {
			cfg := train.FashionMNIST()
			cfg.Seed = uint64(i % 3)
			dir := trained(t, cfg, "ab"[i/3:i/3+1], float64(20-10*(i/3)))
			lines, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), bytes.ReplaceAll(lines, []byte(`"fd"`), []byte(keys[i/3])), 0o666))
			if encoders[i/3] != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "encoder.safetensors"), []byte(encoders[i/3]), 0o666))
			}
			dirs = append(dirs, dir)
		}
		c, err := CompareRuns("Folders", "", dirs)
		require.NoError(t, err)
		return c
	}
	for _, key := range []string{"fid", "fd_h"} {
		c := compare([2]string{`"` + key + `"`, `"` + key + `"`}, [2]string{"h", "h"})
		require.Len(t, c.Trends, 1, key)
		assert.Equal(t, []any{key, key, Shows}, []any{c.Distance, c.Trends[0].Name, c.Trends[0].Verdict})
		assert.Contains(t, c.Markdown("x"), "| gap | "+key+" |")
		assert.Contains(t, c.Markdown("x"), "| 10 ± 0 |")
	}
	assert.Equal(t, "fid", compare([2]string{`"fid"`, `"fid"`}, [2]string{"h", "other"}).Distance, "which does not read h")
	for _, c := range []*Comparison{compare([2]string{`"fid"`, `"fd_h"`}, [2]string{"h", "h"}), compare([2]string{`"fd_h"`, `"fd_h"`}, [2]string{"h", "other"}),
		compare([2]string{`"fd_h"`, `"fd_h"`}, [2]string{"", ""})} {
		assert.Empty(t, c.Trends)
		assert.NotContains(t, c.Markdown("x"), "| b | fd_h |", "distances on different encoders")
		assert.Contains(t, c.Markdown("x"), "No distance was measured for all runs")
	}
}

func TestIsIsKnownByBothOfItsNames(t *testing.T) {
	for _, name := range []string{"is", "eval/is", "eval/IS/mean"} {
		assert.True(t, largerIsBetter(name), name)
	}
	assert.False(t, largerIsBetter("eval/FID/value"))
	for name, tells := range map[string]bool{"IS/mean": true, "IS/std": false, "KID/std": false, "is_std": false, "FID/value": true} {
		assert.Equal(t, tells, tellsQuality(name), name)
	}
}

func TestRunsAreComparedSeedBySeed(t *testing.T) {
	var dirs []string
	for seed := range uint64(3) {
		cfg := train.FashionMNIST()
		cfg.Seed, cfg.Steps, cfg.Chain.Clip = seed, 100, 0
		dirs = append(dirs, trained(t, cfg, "unclipped", 20+float64(seed)))
	}
	for seed := range uint64(3) {
		cfg := train.FashionMNIST()
		cfg.Seed, cfg.Steps, cfg.Chain.Clip = seed, 100, 0.5
		dirs = append(dirs, trained(t, cfg, "clipped", 10+float64(seed)))
	}
	before := train.FashionMNIST()
	before.Seed, before.Steps, before.Chain.Clip = 0, 100, 0
	text, err := train.YAML(before)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dirs[0], "divergence-00000042.yaml"), []byte(text), 0o666))

	for i, dir := range dirs {
		for _, fd := range []float64{99, float64(8 - i/3)} {
			require.NoError(t, recordOf("FD", nil, eval.Values{"fd": fd, "seconds": 1}).Append(filepath.Join(dir, ResultsFile)))
		}
	}

	c, err := CompareRuns("Clips", "liebm compare …", dirs)
	require.NoError(t, err)
	require.Len(t, c.Groups, 2)
	assert.Equal(t, []string{"chain.clip=0.5"}, c.Groups[1].Settings, "seeds are no difference")
	run := c.Groups[0].Runs[0]
	assert.Equal(t, []int{42}, run.Divergences)
	assert.Equal(t, 100, run.Steps)
	assert.Equal(t, 2.0, run.Last["gap"], "of the last fifth of the steps alone")
	assert.Equal(t, []CurvePoint{{Step: 10, Move: 0.5}, {Step: 100, Move: 0.05, Gap: 2}}, run.Curve, "the metrics have no cosine")
	require.Len(t, c.Trends, 1)
	assert.Equal(t, Shows, c.Trends[0].Verdict)
	assert.InDelta(t, 10, c.Trends[0].Gain, 1e-9)

	assert.Equal(t, eval.Values{"fd": 8, "seconds": 1}, run.Results, "a later record replaces an earlier one")
	for _, line := range []string{"| unclipped |  | 3 | 100 | 1 (42) |", "| clipped | fd | 3 | 11 | 21 | -10 | -10 to -10 |", "| clipped | gap | 3 | 2 | 2 | +0 | +0 to +0 |",
		"| clipped | eval/fd | 3 | 7 | 8 | -1 | -1 to -1 |"} {
		assert.Contains(t, c.Markdown("clips"), line)
	}
	assert.NotContains(t, c.Markdown("clips"), "eval/seconds", "it does not tell how good a model is")

	out := t.TempDir()
	require.NoError(t, c.Write(out, "clips"))
	for _, file := range []string{"clips.md", "clips.json", "clips-move.svg", "clips-gap.svg"} {
		assert.FileExists(t, filepath.Join(out, file))
	}
	assert.Contains(t, c.Markdown("clips"), "| clipped | chain.clip=0.5 | 3 | 100 | 0 | 0.05 ± 0 | 2 ± 0 | 11 ± 1 |")
	assert.NoFileExists(t, filepath.Join(out, "clips-latent.svg"))
	assert.NotContains(t, c.Markdown("clips"), "latent")
}

func TestRunsThatDivergedOrMadeFewerStepsAreNotJudged(t *testing.T) {
	c := &Comparison{Groups: []RunGroup{{Name: "first"}, {Name: "second"}}}
	for i := range c.Groups {
		for seed := range uint64(4) {
			c.Groups[i].Runs = append(c.Groups[i].Runs, ComparedRun{Seed: seed, Steps: 100, Config: json.RawMessage(`{"log": {"metrics": 10}}`), Last: eval.Values{"fd": float64(20 - 10*i)}})
		}
	}
	c.judge()
	require.Len(t, c.Trends, 1)
	assert.Equal(t, Shows, c.Trends[0].Verdict)

	c.Groups[1].Runs[0].Steps, c.Groups[1].Runs[1].Divergences = 50, []int{42}
	c.judge()
	assert.Equal(t, 3, c.Trends[0].Seeds, "a run of other length is left out, and one that went back and came to its end is not")
	assert.Equal(t, Shows, c.Trends[0].Verdict)

	c.Groups[0].Runs[0].Steps, c.Groups[0].Runs[0].Divergences = 50, []int{45, 60}
	c.judge()
	assert.Equal(t, []any{Undecided, 1}, []any{c.Trends[0].Verdict, c.Trends[0].Diverged})

	c.Groups[0].Runs[0].Steps = 40
	c.judge()
	assert.Equal(t, []any{Shows, 0}, []any{c.Trends[0].Verdict, c.Trends[0].Diverged}, "it went back and was interrupted")
}

func TestAStudySaysThatLongChainsDiverged(t *testing.T) {
	metric := "fd/100/samples"
	cells := map[string][]Cell{}
	for seed := range uint64(4) {
		cells["a"] = append(cells["a"], Cell{Seed: seed, Values: eval.Values{metric: 10}})
		cells["b"] = append(cells["b"], Cell{Seed: seed, Values: eval.Values{metric: 20}})
	}
	c := claim{better: reading{"a", metric}, worse: reading{"b", metric}}
	assert.Equal(t, Shows, c.judge(Mini(), cells).Verdict)
	cells["b"][3].Values = eval.Values{chainsDiverged: 1}
	got := c.judge(Mini(), cells)
	assert.Equal(t, []any{Undecided, 1, 3}, []any{got.Verdict, got.Diverged, got.Seeds})
}

func TestTheShareOfTheLatentTermIsComparedWhereRunsHaveACosine(t *testing.T) {
	assert.Equal(t, []float64{0, 1, 0.25, 0.25}, []float64{latentShare(0.1, 0, 0), latentShare(0.1, 0.5, 0), latentShare(1, -1, 3), latentShare(1, 1, -3)})
	var dirs []string
	for name, change := range map[string]func(cfg *train.Config){
		"cosine": func(cfg *train.Config) { cfg.Energy.Gamma = 0.5 }, "gaussian": func(cfg *train.Config) { cfg.Energy.Posterior = models.Gaussian },
	} {
		cfg := train.FashionMNIST()
		change(&cfg)
		dir := trained(t, cfg, name, 10)
		lines, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), bytes.ReplaceAll(lines, []byte(`"energy_real"`), []byte(`"cosine":0.5,"energy_real"`)), 0o666))
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	c, err := CompareRuns("Shares", "", dirs)
	require.NoError(t, err)
	for _, g := range c.Groups {
		var shares []float64
		for _, at := range g.Runs[0].Curve {
			shares = append(shares, at.Share)
		}
		assert.Equal(t, map[string][]float64{"cosine": {1, 0.25 / 2.25}, "gaussian": {0, 0}}[g.Name], shares, g.Name)
	}
	out := t.TempDir()
	require.NoError(t, c.Write(out, "shares"))
	svg, err := os.ReadFile(filepath.Join(out, "shares-latent.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(svg), ">cosine<")
	assert.NotContains(t, string(svg), ">gaussian<", "its latent term is not in the metrics")
	page := c.Markdown("shares")
	assert.Contains(t, page, "| move | gap | latent share | fd |\n|---|---|---|---|---|---|---|---|---|\n")
	assert.Contains(t, page, "| 0.05 | 2 | 0.1111 | 10 |")
	assert.Contains(t, page, "](shares-latent.svg)")
}
