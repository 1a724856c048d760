package study

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

func TestNamedKnowsEveryStudyAndGuesses(t *testing.T) {
	for _, name := range Names() {
		s, err := Named(name)
		require.NoError(t, err)
		assert.Equal(t, name, s.Name)
		for _, r := range s.rows {
			if r.published != nil {
				assert.Len(t, r.published, len(s.published), "%s, %s", name, r.label)
			}
		}
	}
	_, err := Named("tabel9")
	assert.ErrorContains(t, err, "did you mean table9?")
}

func TestPresetsHaveTable12sHyperparameters(t *testing.T) {
	for i, name := range []string{"cifar10-em-published", "imagenet32-em-published", "celeba64-em-published", "celebahq256-em-published"} {
		cfg, err := train.Preset(name)
		require.NoError(t, err)
		for _, h := range hyperparameters {
			if strings.HasSuffix(h.name, "parameters") {
				continue // counted in package train
			}
			if ours := h.ours(cfg, nil); ours != h.published[i] {
				assert.Contains(t, []string{"training epochs: 499", "training epochs: 299"}, h.name+": "+ours, "%s: whole batches alone are counted", name)
			}
		}
	}
}

func TestAClaimNeedsPairedSeedsAndAnInterval(t *testing.T) {
	cells := func(name string, values ...eval.Values) (all []Cell) {
		for i, v := range values {
			all = append(all, Cell{Name: name, Seed: uint64(i + 1), Values: v})
		}
		return all
	}
	fds := func(name string, values ...float64) (all []Cell) {
		for i, v := range values {
			all = append(all, Cell{Name: name, Seed: uint64(i + 1), Values: eval.Values{"fd": v, "mse": 1, "auroc/noise": 0.9, "auroc/noise/low": 0.8}})
		}
		return all
	}
	over := func(h string, cells []Cell) []Cell {
		for i := range cells {
			cells[i].Encoder, cells[i].H = "pretrained:fmnist", h
		}
		return cells
	}
	diverged := fds("b", 20, 21, 22)
	diverged[1].Diverged = "step 3"
	for name, c := range map[string]struct {
		a, b  []Cell
		slack float64
		want  Verdict
	}{
		"clearly better":              {a: fds("a", 10, 11, 12), b: fds("b", 20, 22, 21), want: Shows},
		"clearly worse":               {a: fds("a", 20, 22, 21), b: fds("b", 10, 11, 12), want: Contradicts},
		"seeds disagree":              {a: fds("a", 10, 30, 12), b: fds("b", 20, 22, 21), want: Undecided},
		"two seeds":                   {a: fds("a", 10, 11), b: fds("b", 20, 22), want: Undecided},
		"seed 3 has no partner":       {a: fds("a", 10, 11, 12), b: fds("b", 20, 22), want: Undecided},
		"surely better, by a trifle":  {a: fds("a", 19.9, 20.9, 21.9), b: fds("b", 20, 21, 22), want: Tie},
		"worse by less than slack":    {a: fds("a", 20.9, 22.1, 23), b: fds("b", 20, 21, 22), slack: 0.1, want: Shows},
		"worse by more than slack":    {a: fds("a", 30, 31, 32), b: fds("b", 20, 21, 22), slack: 0.1, want: Contradicts},
		"a model diverged":            {a: fds("a", 10, 11, 12), b: diverged, want: Undecided},
		"the number was not measured": {a: cells("a", eval.Values{}), b: fds("b", 20), want: NotMeasured},
		"two encoders of one name":    {a: over("first", fds("a", 10, 11, 12)), b: over("second", fds("b", 20, 21, 22)), want: NotMeasured},
		"the same encoder":            {a: over("first", fds("a", 10, 11, 12)), b: over("first", fds("b", 20, 21, 22)), want: Shows},
	} {
		got := claim{better: reading{"a", "fd"}, worse: reading{"b", "fd"}, slack: c.slack}.judge(Mini(), map[string][]Cell{"a": c.a, "b": c.b})
		assert.Equal(t, c.want, got.Verdict, name)
	}
	got := claim{better: reading{"a", "fd"}, worse: reading{"b", "fd"}}.judge(Mini(), map[string][]Cell{"a": fds("a", 10, 11, 12), "b": fds("b", 20, 22, 21)})
	assert.InDelta(t, 10, got.Gain, 1e-12)
	assert.InDelta(t, 10-4.302653*math.Sqrt(1./3), got.Interval[0], 1e-5, "t with 2 degrees of freedom; the gains are 10, 11, 9")
	assert.InDelta(t, 0.05*21, got.Tie, 1e-12)
	a, b := "em", "none"
	s := Study{claims: []claim{{better: reading{a, "fd"}, worse: reading{b, "fd"}}, {better: reading{b, "mse"}, worse: reading{a, "mse"}}, {better: reading{a, "fd"}, worse: reading{a, "mse"}}}}
	pairs := s.pairs(map[string][]Cell{a: fds("a", 10, 11, 12), b: fds("b", 20, 22, 21)})
	require.Len(t, pairs, 1, "two models once, and no model with itself")
	assert.Equal(t, [2]string{"EM", "EBM without latents"}, [2]string{pairs[0].First, pairs[0].Second})
	var names []string
	for _, n := range pairs[0].Numbers {
		names = append(names, n.Name)
	}
	assert.Equal(t, []string{"auroc/noise", "fd", "mse"}, names, "everything that was measured of both, without ends of intervals")
	onH := eval.Values{"fd_h": 3}
	with, without := Cell{Encoder: "stacked-simclr", Values: onH}, Cell{Values: onH}
	pairs = s.pairs(map[string][]Cell{a: {with}, b: {without}})
	assert.Empty(t, pairs[0].Numbers, "distances on different networks")
	pairs = s.pairs(map[string][]Cell{a: {with}, b: {with}})
	assert.Len(t, pairs[0].Numbers, 1)
	area := claim{better: reading{"a", "auroc/noise"}, worse: reading{"b", "auroc/noise"}}.judge(Mini(), map[string][]Cell{
		"a": cells("a", eval.Values{"auroc/noise": 0.95}), "b": cells("b", eval.Values{"auroc/noise": 0.9})})
	assert.InDelta(t, 0.05, area.Gain, 1e-12, "the larger area is the better one")
}

func TestPagesAreWrittenFromJSON(t *testing.T) {
	dir := t.TempDir()
	assert.ErrorContains(t, WritePages(dir), "no results")
	s, err := Named("table9")
	require.NoError(t, err)
	r := s.lay(Mini(), map[string][]Cell{"em": {{Name: "em", Seed: 1, Values: eval.Values{"auroc/constant": 0.9}}}})
	r.Command = "liebm reproduce table9"
	require.NoError(t, r.write(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stability.md"), []byte("# Long runs\n"), 0o666))
	gamma, err := Named("gamma")
	require.NoError(t, err)
	trained := func(name string, fd float64) (all []Cell) {
		for seed := range uint64(3) {
			all = append(all, Cell{Name: name, Seed: seed, Values: eval.Values{"fd": fd}})
		}
		return all
	}
	require.NoError(t, gamma.lay(Mini(), map[string][]Cell{"em-gamma-0.1": trained("em", 10), "em-gamma-1": trained("em-gamma-1", 20)}).write(dir))
	curve := []CurvePoint{{Step: 10, Move: 0.5}, {Step: 100, Move: 0.05, Gap: 2}}
	compared := Comparison{Title: "Clips", Groups: []RunGroup{{Name: "clipped", Runs: []ComparedRun{{Steps: 100, Curve: curve, Config: []byte("{}")}}}}}
	require.NoError(t, compared.Write(dir, "clips"))
	require.NoError(t, os.Remove(filepath.Join(dir, "clips.md")))
	page, err := os.ReadFile(filepath.Join(dir, "table9.md"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "table9.md")))
	require.NoError(t, WritePages(dir))
	again, err := os.ReadFile(filepath.Join(dir, "table9.md"))
	require.NoError(t, err)
	assert.Equal(t, string(page), string(again), "the JSON holds the whole result")
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	for _, want := range []string{"    liebm reproduce table9\n", "| [table9](table9.md) | augmentation of negative samples", "| not measured |", "[Long runs](stability.md)", "[Clips](clips.md)",
		"| EM, γ = 0.1, generates better than EM, γ = 1 | shows |", "| tables and figures of the paper | 4 | 0 | 0 | 0 | 0 | 4 |", "| comparisons that are not in the paper | 8 | 1 | 0 | 0 | 0 | 7 |", "[Not reproduced](not-reproduced.md)"} {
		assert.Contains(t, string(readme), want)
	}
	assert.NotContains(t, string(readme), "[Not reproduced](not-reproduced.md)\n", "it is no page of others")
	missing, err := os.ReadFile(filepath.Join(dir, "not-reproduced.md"))
	require.NoError(t, err)
	assert.Contains(t, string(missing), "\n- table1: Generative performance on CIFAR-10 (Table 1)\n")
	assert.NotContains(t, string(missing), "\n- table9: ")
}

func TestATableShowsOursBesideThePublished(t *testing.T) {
	s, err := Named("table9")
	require.NoError(t, err)
	em := func(seed uint64, constant float64) Cell {
		return Cell{Name: "em", Seed: seed, Values: eval.Values{"auroc/constant": constant, "auroc/noise": 1, "auroc/inverted": 0.5, "psnr": 3}}
	}
	noAug := Cell{Name: "em-no-aug", Seed: 2, Diverged: "step 7: loss_e is NaN", Values: eval.Values{"auroc/constant": 0.7}}
	r := s.lay(Mini(), map[string][]Cell{"em": {em(1, 0.9), em(2, 0.8)}, "em-no-aug": {noAug}})
	r.Command = "liebm reproduce table9"
	page := r.Markdown()
	assert.Contains(t, page, "|  | published SVHN | published Constant | published CIFAR-100 | published CelebA | ours constant | ours noise | ours inverted |")
	assert.Contains(t, page, "| EM | 0.95 | 0.97 | 0.82 | 0.77 | 0.85 ± 0.071 | 1 ± 0 | 0.5 ± 0 |", "the published row, and ours after it")
	assert.Contains(t, page, "| EJM | 0.95 | 0.94 | 0.81 | 0.73 |  |  |  |", "a model that was not trained stays empty")
	assert.Contains(t, page, "EM w/o Aug: seed 2 diverged at step 7: loss_e is NaN.")
	assert.Contains(t, page, "| not measured (1 diverged) |")
	assert.Contains(t, page, "Fashion-MNIST")
	assert.Contains(t, page, "Mean ± standard deviation over up to 2 seeds")

	text, err := json.Marshal(r)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"psnr":3`, "JSON has every number of a model")
	assert.NotContains(t, page, "psnr", "a page has the numbers that it shows, and no others")
	var again Result
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, page, again.Markdown(), "JSON holds the whole result")
}

func TestColumnsDependOnTheScale(t *testing.T) {
	titles := func(name string, sc Scale) (all []string) {
		s, err := Named(name)
		require.NoError(t, err)
		for _, c := range s.columns(sc) {
			all = append(all, c.title)
		}
		return all
	}
	assert.Equal(t, []string{"NFE", "FID", "IS"}, titles("table1", Paper("")))
	assert.Equal(t, []string{"NFE", "FD", "KL of classes"}, titles("table1", Mini()))
	assert.Equal(t, []string{"modes", "reverse KL", "FD on h"}, titles("modes", Mini()), "the classifier knows no classes of the other miniature")
	assert.Equal(t, []string{"svhn", "constant", "fmnist", "celeba"}, titles("table7", Paper("")))
	assert.Equal(t, []string{"4× SR PSNR", "4× SR SSIM", "8× SR PSNR", "8× SR SSIM"}, titles("table8", Mini()), "gray images have no colours to restore")
	assert.Equal(t, []string{"colorization PSNR", "colorization SSIM", "8× SR PSNR", "8× SR SSIM"}, titles("table8", Paper("")))
}

func TestAPageSaysWhichStatisticsGHasForLatentsOfQ(t *testing.T) {
	for study, values := range map[string]eval.Values{"fig9": {"mse": 0.2}, "table11": {"mse": 0.2}, "table8": {"psnr/sr8/start": 12}} {
		s, err := Named(study)
		require.NoError(t, err)
		for statistics, want := range map[string]string{"": noteOfPrior, "q": noteOfQ} {
			erm := Cell{Name: "erm", Seed: 1, Values: values, Statistics: statistics}
			assert.Contains(t, s.lay(Mini(), map[string][]Cell{"erm": {erm}}).Note, want, study)
		}
	}
	s, err := Named("fig9")
	require.NoError(t, err)
	over := Cell{Name: "em-q", Seed: 1, Values: eval.Values{"mse": 0.2}}
	assert.Contains(t, s.lay(Mini(), map[string][]Cell{"em-q": {over}}).Note, noteOfQ, "Eq. 26 has the statistics of the prior in both")
}

func TestNumbersThatEarlierVersionsLackHaveNoEmptyColumn(t *testing.T) {
	for study, metric := range map[string]string{"fig6": "class_kl", "fig9": "mse_prior_stats"} {
		s, err := Named(study)
		require.NoError(t, err)
		old := Cell{Name: "erm", Seed: 1, Values: eval.Values{"fd": 20, "mse": 0.2, "mse_unit": 0.05, "cosine": 0.3}}
		newer := Cell{Name: "erm", Seed: 2, Values: eval.Values{"fd": 20, "mse": 0.2, metric: 0.125}}
		before, after := s.lay(Mini(), map[string][]Cell{"erm": {old}}), s.lay(Mini(), map[string][]Cell{"erm": {old, newer}})
		assert.Len(t, after.Columns, len(before.Columns)+1, study)
		assert.NotContains(t, before.Markdown(), "KL of classes")
		assert.NotContains(t, before.Markdown(), "MSE, G's statistics")
		assert.Contains(t, after.Markdown(), " 0.125 ", study)
	}
}

func TestCurvesAreMeansOverSeedsAndDrawn(t *testing.T) {
	s, err := Named("fig8")
	require.NoError(t, err)
	r := s.lay(Mini(), map[string][]Cell{"em": {
		{Seed: 1, Values: eval.Values{}, Curve: []Point{{2, 30}, {4, 20}, {6, 10}}},
		{Seed: 2, Values: eval.Values{}, Curve: []Point{{2, 50}, {4, 40}}},
	}})
	deviation := math.Sqrt(200)
	assert.Equal(t, []Curve{{"EM", []Point{{2, 40}, {4, 30}}, []float64{deviation, deviation}}}, r.Curves, "as far as all seeds reach")
	svg, err := r.SVG()
	require.NoError(t, err)
	assert.Contains(t, string(svg), "FD of G alone")
	assert.Contains(t, string(svg), "fill-opacity:0.176", "a band over seeds")
	for _, tick := range []string{">20<", ">50<"} {
		assert.Contains(t, string(svg), tick, "the logarithmic axis has labels within a decade")
	}
	assert.Contains(t, r.Markdown(), "](fig8.svg)")
	r.Curves = nil
	svg, err = r.SVG()
	require.NoError(t, err)
	assert.Nil(t, svg)
}

func TestAPlanTrainsAModelOnceForAllStudies(t *testing.T) {
	plan := func(sc Scale, only []string, names ...string) ([]PlannedModel, error) {
		var studies []Study
		for _, name := range names {
			s, err := Named(name)
			require.NoError(t, err)
			studies = append(studies, s)
		}
		p, err := NewPlan(sc, studies, PlanOptions{Out: t.TempDir(), Variants: only})
		if err != nil {
			return nil, err
		}
		return p.Models()
	}
	names := func(models []PlannedModel, err error) (all []string) {
		require.NoError(t, err)
		for _, m := range models {
			assert.Positive(t, m.Cost.FLOPsPerIteration, m.Name)
			assert.Positive(t, m.Cost.DiskBytes, m.Name)
			all = append(all, m.Data+" "+m.Name)
		}
		return all
	}
	assert.Equal(t, []string{"cifar10 encoder-simclr", "cifar10 em", "cifar10 erm"}, names(plan(Paper(""), nil, "table1", "table6")), "both tables read EM and ERM")
	assert.Equal(t, []string{"celebahq256 encoder-simclr", "celebahq256 em", "celebahq256 erm"}, names(plan(Paper(""), nil, "table3", "table8")))
	assert.Equal(t, []string{"cifar10 encoder-simclr", "cifar10 em", "cifar10 none", "cifar10 em-gamma-0.1", "cifar10 em-gamma-1"}, names(plan(Paper(""), nil, "gamma")), "the preset has γ = 0.01, so that em-gamma-0.01 is em")
	assert.Equal(t, []string{"fmnist em", "fmnist none", "fmnist em-gamma-0.01", "fmnist em-gamma-1"}, names(plan(Mini(), nil, "gamma")), "here the preset has 0.1")
	assert.Equal(t, []string{"fmnist em"}, names(plan(Mini(), []string{"em-gamma-0.1"}, "gamma")), "by either name")
	assert.Empty(t, names(plan(Mini(), nil, "table12")))
	assert.Equal(t, []string{"fmnist em", "fmnist erm", "fmnist em-q"}, names(plan(Mini(), nil, "fig9")), "q needs the model that it is over")
	assert.Equal(t, []string{"fmnist em", "fmnist em-q-1"}, names(plan(Mini(), []string{"em-q-1"}, "rho")), "also if only q is asked for")
	assert.Equal(t, []string{"fmnist encoder-wmse", "fmnist encoder-byol", "fmnist encoder-simclr", "fmnist em-wmse", "fmnist em-byol", "fmnist em-simclr"}, names(plan(Mini(), nil, "table10")))
	assert.Equal(t, []string{"stacked encoder-simclr", "stacked em", "stacked none", "stacked erm"}, names(plan(Mini(), nil, "modes")))
	assert.Equal(t, []string{"stacked none"}, names(plan(Mini(), []string{"none"}, "modes")), "it reads no encoder")
	rivals, err := plan(Paper(""), []string{"dcgan-100s", "vae-100s"}, "time")
	require.NoError(t, err)
	assert.Len(t, rivals, 2, "a rival reads no encoder")
	timed, err := plan(Mini(), []string{"dcgan-350s", "em-100s"}, "time")
	require.NoError(t, err)
	require.Len(t, timed, 2)
	for i, want := range []float64{100, 350} {
		assert.Equal(t, want, timed[i].Seconds, timed[i].Name)
		assert.Nil(t, timed[i].Cost, "its steps are not known before")
	}

	for want, sc := range map[string]Scale{
		"start from Mini or Paper":   {},
		"steps is -1":                {Samples: 2, Along: 2, Restored: 1, Chains: 2, Steps: -1},
		"use the scale paper":        {Samples: 2, Along: 2, Restored: 1, Chains: 2, Published: true},
		"the scale mini measures on": {Samples: 2, Along: 2, Restored: 1, Chains: 2, Weights: "w.pth"},
		"on fmnist: batch is 1: use": {Samples: 2, Along: 2, Restored: 1, Chains: 2, Set: []string{"batch=1"}},
	} {
		_, err := plan(sc, nil, "table9")
		assert.ErrorContains(t, err, want)
	}
	_, err = plan(Mini(), []string{"em", "er"}, "table9")
	assert.ErrorContains(t, err, `no model is called "er"`)
}

func TestAPlanEstimatesEachTrainingByItsOwnOperations(t *testing.T) {
	out := t.TempDir()
	models := func(tflops float64, studies ...string) map[string]PlannedModel {
		var named []Study
		for _, name := range studies {
			s, err := Named(name)
			require.NoError(t, err)
			named = append(named, s)
		}
		p, err := NewPlan(Mini(), named, PlanOptions{Out: out, Seeds: []uint64{1, 2, 3}, TFLOPS: tflops})
		require.NoError(t, err)
		all, err := p.Models()
		require.NoError(t, err)
		byName := map[string]PlannedModel{}
		for _, m := range all {
			byName[m.Name] = m
		}
		return byName
	}
	all := models(0, "fig9", "table10")
	em, q, byol, simclr := all["em"], all["em-q"], all["encoder-byol"], all["encoder-simclr"]
	assert.Less(t, q.Seconds, em.Seconds, "q runs no chains")
	assert.Less(t, q.Cost.DiskBytes, all["erm"].Cost.DiskBytes, "its checkpoints have q alone")
	assert.Greater(t, byol.Seconds, simclr.Seconds, "BYOL has an averaged encoder too")
	assert.Equal(t, [][2]int{{3, 0}, {1, 0}}, [][2]int{{em.Seeds, em.Done}, {simclr.Seeds, simclr.Done}}, "all seeds share an encoder")
	assert.Equal(t, "fmnist-simclr", simclr.Cost.Preset)
	assert.Equal(t, 0.16, em.TFLOPS)
	fast := models(0.32, "fig9", "table10")
	assert.InEpsilon(t, em.Seconds/2, fast["em"].Seconds, 1e-9)
	assert.InEpsilon(t, simclr.Seconds/2, fast["encoder-simclr"].Seconds, 1e-9)

	f := newFolder(filepath.Join(out, "mini", "fmnist"), "fmnist", Mini())
	write(t, f.cell("em-simclr"), 1, nil, true, "") // and the file of its encoder
	all = models(0, "table10")
	assert.Equal(t, []int{1, 1, 0}, []int{all["em-simclr"].Done, all["encoder-simclr"].Done, all["encoder-byol"].Done})
}

func TestAPlanSaysWhichSpeedItAssumes(t *testing.T) {
	fig9, err := Named("fig9")
	require.NoError(t, err)
	for want, c := range map[string]struct {
		scale  Scale
		tflops float64
	}{
		"minutes are left, without measurements. The speed is 0.16 TFLOP/s, as of two AVX-512 cores.": {Mini(), 0},
		"GPU-hours are left, without measurements. The speed is an assumption, 30 TFLOP/s of a GPU.":  {Paper(""), 0},
		"minutes are left, without measurements. The speed is 0.5 TFLOP/s.\n":                         {Mini(), 0.5},
		"about 0 GPU-hours are left, without measurements. The speed is 300000 TFLOP/s.\n":            {Paper(""), 3e5},
	} {
		p, err := NewPlan(c.scale, []Study{fig9}, PlanOptions{Out: t.TempDir(), TFLOPS: c.tflops})
		require.NoError(t, err)
		var text strings.Builder
		require.NoError(t, p.Print(&text))
		assert.Contains(t, text.String(), want)
		assert.NotContains(t, text.String(), "e+", "no exponents")
	}
}

func TestPublishedSettingsHaveResultsOfTheirOwn(t *testing.T) {
	sc := Paper("")
	sc.Published = true
	for _, s := range studies {
		p, err := NewPlan(sc, []Study{s}, PlanOptions{Out: "runs"})
		if s.data == "stacked" {
			assert.ErrorContains(t, err, `no preset is called "stacked-em-published"`)
			continue
		}
		require.NoError(t, err, s.Name)
		assert.Equal(t, filepath.Join("runs", "paper-published"), p.out)
		for _, f := range p.folders {
			for _, c := range f.planned() {
				assert.Equal(t, s.data+"-em-published", c.config.Preset, s.Name)
			}
		}
	}
	sc.Steps = 9
	table2, err := Named("table2")
	require.NoError(t, err)
	out := t.TempDir()
	p, err := NewPlan(sc, []Study{table2}, PlanOptions{Out: out})
	require.NoError(t, err)
	assert.Equal(t, "liebm reproduce table2 --scale paper --published --steps 9", p.command(table2))
	em := p.folder("celeba64").cell("em")
	assert.True(t, em.config.Energy.LinearF)
	write(t, em, 1, nil, true, "", recordOf("FID", map[string]string{studyKey: "samples"}, eval.Values{"fid": 3}))
	r, err := (&work{plan: p}).result(t.Context(), table2)
	require.NoError(t, err)
	require.NoError(t, r.write(p.out))
	again, err := ReadResults(p.out)
	require.NoError(t, err)
	for _, r := range append(again, r) {
		assert.Equal(t, "Generative performance on CelebA 64 (Table 2), with the settings of Table 12", r.Title)
		assert.Contains(t, r.Setting, "The presets with the settings of Table 12")
		assert.NotContains(t, r.Note, "Ours have the quadratic F")
		assert.Equal(t, "celeba64-em-published", r.Cells[0].Preset)
	}
}

// write makes the run folder of a cell as training and measuring leave it.
func write(t *testing.T, c *cell, seed uint64, change func(cfg *train.Config), finished bool, metrics string, records ...*eval.Record) {
	t.Helper()
	cfg := c.seeded(seed)
	if change != nil {
		change(&cfg)
	}
	text, err := train.YAML(cfg)
	require.NoError(t, err)
	info := train.RunInfo{}
	if finished {
		info.Finished = time.Now()
	}
	run, err := json.Marshal(info)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(c.dir(seed), 0o777))
	require.NoError(t, os.MkdirAll(c.encoderDir(), 0o777))
	require.NoError(t, os.WriteFile(train.EncoderPath(c.encoderDir()), nil, 0o666))
	for name, text := range map[string]string{"config.yaml": text, "run.json": string(run), "metrics.jsonl": metrics} {
		require.NoError(t, os.WriteFile(filepath.Join(c.dir(seed), name), []byte(text), 0o666))
	}
	for _, r := range records {
		require.NoError(t, r.Append(filepath.Join(c.dir(seed), ResultsFile)))
	}
}

func recordOf(metric string, settings map[string]string, values eval.Values) *eval.Record {
	r := eval.NewRecord(metric, nil)
	r.Settings, r.Values = settings, values
	return r
}

func TestACellIsReadFromItsRunFolder(t *testing.T) {
	f := newFolder(t.TempDir(), "fmnist", Mini())
	em, none, ejm := f.cell("em"), f.cell("none"), f.cell("ejm")
	_, trained, err := em.read(1)
	require.NoError(t, err)
	assert.False(t, trained, "there is none yet")

	curve := `{"step":250,"fd":90,"fd_n":2000}
{"step":500,"fd":"Infinity"}
{"step":1000,"fd":40}
{"step":2000,"fd":30}
`
	write(t, em, 1, nil, false, curve)
	_, trained, err = em.read(1)
	require.NoError(t, err)
	assert.False(t, trained, "training was interrupted")

	write(t, em, 1, nil, true, curve, recordOf("FD", map[string]string{studyKey: "samples"}, eval.Values{"fd": 31, "psnr": math.Inf(1)}),
		recordOf("FD", nil, eval.Values{"fd": 99}), recordOf("FD", map[string]string{studyKey: "samples"}, eval.Values{"fd": 30}))
	r, trained, err := em.read(1)
	require.NoError(t, err)
	assert.True(t, trained)
	assert.Equal(t, eval.Values{"fd": 30, "psnr": math.Inf(1), "fd_early": 40}, r.Values, "the latest record of a study, and the curve at a quarter")
	assert.Equal(t, []Point{{250, 90}, {1000, 40}, {2000, 30}}, r.Curve)
	assert.False(t, r.WentBack)

	assert.Nil(t, r.HConfig, "the config of the encoder that comes with liebm is not known")

	byol := f.cell("em-byol")
	write(t, byol, 1, nil, true, "")
	ssl, err := train.Sources{Preset: byol.encoderName()}.ResolveSSL()
	require.NoError(t, err)
	text, err := train.YAML(ssl)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(byol.encoderDir(), configFile), []byte(text), 0o666))
	r, _, err = byol.read(1)
	require.NoError(t, err)
	assert.Contains(t, string(r.HConfig), `"target":"byol"`)

	write(t, none, 1, nil, false, "", recordOf(divergence, map[string]string{"measurement": "loss_e"}, eval.Values{"step": 7, "value": math.NaN()}))
	r, trained, err = none.read(1)
	require.NoError(t, err)
	assert.True(t, trained, "a divergence for good is a result")
	assert.Equal(t, "step 7: loss_e is NaN", r.Diverged)

	write(t, ejm, 1, func(cfg *train.Config) { cfg.OptE.LR *= 0.7; cfg.Chain.Delta2 *= 0.7 }, true, "")
	r, _, err = ejm.read(1)
	require.NoError(t, err)
	assert.True(t, r.WentBack)
	write(t, ejm, 2, func(cfg *train.Config) { cfg.Batch = 3 }, true, "")
	_, _, err = ejm.read(2)
	assert.ErrorContains(t, err, "holds a run with other settings")

	require.NoError(t, os.RemoveAll(em.encoderDir()))
	_, _, err = em.read(1)
	assert.ErrorContains(t, err, "holds a run with another encoder than pretrained:fmnist")
	_, _, err = none.read(1)
	assert.NoError(t, err, "it has no encoder")
}

func TestGivenOutliersOfTheSameNameAreToldApart(t *testing.T) {
	for given, want := range map[string]eval.Values{"a/cats": {"auroc/cats": 0.9}, "b/cats": {"auroc/cats": 0.1}, "": {}} {
		sc := Mini()
		if given != "" {
			sc.Outliers = []string{given}
		}
		c := newFolder(t.TempDir(), "fmnist", sc).cell("em")
		of := func(path string, auroc float64) *eval.Record {
			return recordOf("outlier detection", map[string]string{studyKey: "given outliers: " + path}, eval.Values{"auroc/cats": auroc})
		}
		write(t, c, 1, nil, true, "", of("a/cats", 0.9), of("b/cats", 0.1))
		r, _, err := c.read(1)
		require.NoError(t, err)
		assert.Equal(t, want, r.Values, given)
	}
}

func TestTheConfigOfARivalIsComplete(t *testing.T) {
	f := newFolder(t.TempDir(), "fmnist", Mini())
	for name, want := range map[string][]string{
		"dcgan-100s": {`"method":"dcgan"`, `"seconds":100`, `"batch":64`, `"width":32`, `"latent_dim":64`, `"lr":0.0002`, `"beta1":0.5`, `"name":"fmnist"`},
		"vae-350s":   {`"method":"vae"`, `"seconds":350`, `"seed":7`, `"generator":{`, `"inference":{`, `"widths":[`, `"tau2":`, `"lr":0.001`, `"beta1":0.9`},
	} {
		c := f.cell(name)
		require.NoError(t, os.MkdirAll(c.dir(7), 0o777))
		require.NoError(t, Keep(c.dir(7), recordOf(equalTimeMetric, c.rivalSettings(), eval.Values{"fd": 9})))
		r, trained, err := c.read(7)
		require.NoError(t, err)
		assert.True(t, trained)
		for _, text := range want {
			assert.Contains(t, string(r.Config), text, name)
		}
	}
}

func TestTheMemoryOfATrainingIsKeptBesideItsMeasurements(t *testing.T) {
	w, c := new(work), newFolder(t.TempDir(), "fmnist", Mini()).cell("none-100s")
	var told []int
	o := train.Options{Watch: func(now train.Progress) { told = append(told, now.Step) }}
	memory := w.watchMemory(&o)
	o.Watch(train.Progress{Step: 1})
	assert.Zero(t, memory(), "the first step may still have memory of what came before")
	o.Watch(train.Progress{Step: 2})
	assert.Greater(t, memory(), 1e6)
	assert.Equal(t, []int{1, 2}, told)

	write(t, c, 1, nil, true, "")
	require.NoError(t, w.keepMemory(c, 1, 3e6))
	require.NoError(t, w.keepMemory(c, 1, 0), "it is not known")
	r, _, err := c.read(1)
	require.NoError(t, err)
	assert.Equal(t, eval.Values{"memory_mb": 3}, r.Values)
	assert.Empty(t, r.Encoder, "it needs no encoder")
}

func TestAStudyOfFashionMNISTTakesTheEncoderThatComesWithLiebm(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c := newFolder(filepath.Join(t.TempDir(), "a folder that does not exist yet"), "fmnist", Mini()).cell("em")
	for range 2 { // then from the folder
		file, err := new(work).pretrain(t.Context(), c)
		require.NoError(t, err)
		run, err := train.RunFolder("pretrained:fmnist")
		require.NoError(t, err)
		want, err := os.ReadFile(train.EncoderPath(run))
		require.NoError(t, err)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestGainsAboveZeroAreImprovements(t *testing.T) {
	for name, larger := range map[string]bool{"auroc/noise": true, "aupr_in/noise": true, "fpr95_in/noise": false, "fd": false, "mse": false,
		"psnr/sr8/start": true, "linear_h": true, "reverse_kl": false, "class_kl": false, "modes": true, "is": true} {
		c := contrast([][2]eval.Values{{{name: 2}, {name: 1}}}, name, name)
		assert.Equal(t, larger, c.Gain > 0, name)
	}
}
