package study

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

func TestAClaimThatIsNotShownHasAReason(t *testing.T) {
	r := &Result{Name: "fig6", Trends: []Trend{
		{Text: "gained", Verdict: Undecided, Why: "no", Contrast: Contrast{Seeds: 2, Gain: 1}},
		{Text: "lost", Verdict: Undecided, Why: "A cause.", Contrast: Contrast{Seeds: 2, Gain: -7.31}},
		{Text: "lost, and nobody knows why", Verdict: Contradicts, Contrast: Contrast{Seeds: 3, Gain: -7}},
	}}
	lines := strings.Join(notShown([]*Result{r}), "\n")
	assert.Contains(t, lines, "**lost** ([fig6](fig6.md): undecided, gain -7.31, number of seeds 2). A cause.")
	assert.Contains(t, lines, "number of seeds 3). We know no reason.")
	assert.NotContains(t, lines, "gained")
	assert.Empty(t, notShown(nil))
}

func TestClaimsThatAreLeftOpenAreListed(t *testing.T) {
	r := &Result{Name: "fig6", Trends: []Trend{
		{Text: "gained", Verdict: Undecided, Contrast: Contrast{Seeds: 3, Gain: 1, Interval: &[2]float64{-0.5, 2.5}}},
		{Text: "equal", Verdict: Tie, Contrast: Contrast{Seeds: 3, Gain: -0.1, Interval: &[2]float64{-0.2, 0}}},
		{Text: "inside the limit", Verdict: Undecided, Limit: 1, Contrast: Contrast{Seeds: 2, Gain: -0.5}},
		{Text: "lost", Verdict: Undecided, Contrast: Contrast{Seeds: 2, Gain: -7}},
		{Text: "shown", Verdict: Shows, Contrast: Contrast{Seeds: 3, Gain: 1}},
		{Text: "not measured", Verdict: NotMeasured},
	}}
	assert.Equal(t, []string{
		"**gained** ([fig6](fig6.md): undecided, gain +1, interval -0.5 to +2.5, number of seeds 3)",
		"**equal** ([fig6](fig6.md): tie, gain -0.1, interval -0.2 to +0, number of seeds 3)",
		"**inside the limit** ([fig6](fig6.md): undecided, gain -0.5, number of seeds 2)",
	}, leftOpen([]*Result{r}))
}

func TestModelsThatAPageLacksAreListed(t *testing.T) {
	seeds := func(n uint64) map[uint64]eval.Values {
		all := map[uint64]eval.Values{}
		for seed := range n {
			all[seed] = eval.Values{"modes": 1}
		}
		return all
	}
	r := &Result{Name: "modes", Trends: []Trend{{Text: "the latent term helps"}},
		Rows: []Row{{Label: "EM", Ours: seeds(MinSeeds)}, {Label: "ERM"}, {Label: "EBM without latents", Ours: seeds(1)}}}
	assert.Equal(t, []string{
		"[modes](modes.md): fewer than 3 seeds of ERM (none), EBM without latents (1)",
		"[modes](modes.md): the latent term helps",
	}, gaps([]*Result{r, {Name: "stability"}}))
}

func TestAimsAreJudgedByTheResults(t *testing.T) {
	dir := t.TempDir()
	modes := func(covered ...float64) *Result {
		r := &Result{Name: "modes", Variants: map[string]string{"em": "em"}, Cells: []Cell{{Name: "none", Values: eval.Values{"modes": 1}}}}
		for _, n := range covered {
			r.Cells = append(r.Cells, Cell{Name: "em", Values: eval.Values{"modes": n}})
		}
		return r
	}
	const text = "modes of stacked Fashion-MNIST, of 1,000, in samples of EM: at least 990"
	for name, c := range map[string]struct {
		results         []*Result
		missed, unknown bool
	}{
		"missed":       {[]*Result{modes(950, 1000)}, true, false},
		"reached":      {[]*Result{modes(985, 1000)}, false, false},
		"not measured": {nil, false, true},
	} {
		missed, unknown, err := judgeAims(dir, c.results)
		require.NoError(t, err)
		assert.Equal(t, c.missed, strings.Contains(strings.Join(missed, "\n"), text), name)
		assert.Equal(t, c.unknown, strings.Contains(strings.Join(unknown, "\n"), text), name)
		if c.missed {
			assert.Contains(t, missed[0], "It is 975 (mean of 2 models, [modes](modes.md)).")
		}
	}
	_, unknown, err := judgeAims(dir, nil)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(unknown, "\n"), "handwritten digits")
	for _, area := range []float64{0.9, 0.92} {
		r := eval.NewRecord("outlier detection", nil)
		r.Values["auroc/digits"], r.Values["auroc_energy/digits"] = area, 0.93
		require.NoError(t, r.Append(filepath.Join(dir, "digits.jsonl")))
	}
	missed, _, err := judgeAims(dir, nil)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(missed, "\n"), "less that of F(f(x)) alone: at least 0**. It is -0.02 ")
	assert.Contains(t, strings.Join(missed, "\n"), "handwritten digits: at least 0.95**. It is 0.91 (mean of 2 records in [digits.jsonl](digits.jsonl)).")
	for _, distance := range []float64{12, 15} {
		r := eval.NewRecord("Fréchet distance", nil)
		r.Values["fd"] = distance
		require.NoError(t, r.Append(filepath.Join(dir, "demo.jsonl")))
	}
	missed, _, err = judgeAims(dir, nil)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(missed, "\n"), "distance after make demo: at most 13**. It is 13.5 (mean of 2 records in [demo.jsonl](demo.jsonl)).")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "digits.jsonl"), []byte("no record\n{}\n"), 0o666))
	_, _, err = judgeAims(dir, nil)
	assert.Error(t, err)
}

func TestTheCardHasTheFiguresOfAims(t *testing.T) {
	for _, run := range train.PretrainedRuns() {
		card, err := train.PretrainedCard(run)
		require.NoError(t, err)
		figures := figuresOf(string(card))
		assert.InDelta(t, 0.85, figures["5-NN"], 0.1)
		assert.InDelta(t, 0.87, figures["linear probe"], 0.1)
	}
}

func TestAPageIsMissingUntilItIsThere(t *testing.T) {
	dir := t.TempDir()
	lines := strings.Join(notRun(dir, []*Result{{Name: "time"}}), "\n")
	assert.NotContains(t, lines, "equal time")
	assert.Contains(t, lines, "rho: ")
	assert.Contains(t, lines, "two modes by target=em for 10,000 steps")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stability-two-modes-long.json"), nil, 0o666))
	assert.NotContains(t, strings.Join(notRun(dir, nil), "\n"), "two modes")
}

func TestOurVAEIsNoClaimOfThePaper(t *testing.T) {
	s, err := Named("table11")
	require.NoError(t, err)
	r := s.lay(Mini(), nil)
	page := r.Markdown()
	assert.Contains(t, page, "| VAE, published | 0.037 | 0.039 |  |")
	assert.Contains(t, page, "| VAE with the networks of ERM | – | – |")
	readme := contents([]*Result{r})
	assert.Contains(t, readme, "| tables and figures of the paper | 2 | ")
	assert.Contains(t, readme, "| comparisons that are not in the paper | 1 | ")
}
