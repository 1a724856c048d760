package study

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/train"
)

// modelOf is a model of a variant as it was trained, with some changes of its config.
func modelOf(t *testing.T, data, name string, change func(cfg *train.Config)) Cell {
	t.Helper()
	c := newFolder("", data, Mini()).cell(name)
	cfg := c.seeded(1)
	change(&cfg)
	text, err := config.JSON(cfg)
	require.NoError(t, err)
	model := Cell{Name: c.name, Seed: 1, Settings: c.settings, Values: eval.Values{}, Config: text}
	if c.hasEncoder() {
		model.Encoder = c.encoderName()
	}
	return model
}

func TestTheSettingIsThatOfTheModels(t *testing.T) {
	same := func(*train.Config) {}
	bare := func(name, encoder string) Cell {
		return Cell{Name: name, Seed: 1, Settings: []string{"steps=300"}, Encoder: encoder, Config: json.RawMessage("null")}
	}
	for name, c := range map[string]struct {
		study string
		cells map[string][]Cell
		want  []string
		not   []string
	}{
		"models of this version": {"table9", map[string][]Cell{"em": {modelOf(t, "fmnist", "em", same)}},
			[]string{"Fashion-MNIST (gray, 32×32 pixels)", "E has 0.96 million parameters, G 0.25, q 1.7", "2000 steps of 16 images", "FD; ", "10000 samples", "γ is 0.1 in place of 0.01", "a margin of 0.25"},
			[]string{"These models", "clipped"}},
		"other data": {"modes", map[string][]Cell{"em": {modelOf(t, "stacked", "em", same)}},
			[]string{"Stacked Fashion-MNIST (RGB, 32×32 pixels)", "FD on h; ", "a margin of 1 ", "clipped at 0.02"}, nil},
		"EM stands for all": {"gamma", map[string][]Cell{"none": {modelOf(t, "fmnist", "none", same)}, "em-gamma-0.1": {modelOf(t, "fmnist", "em", same)}},
			[]string{"E has 0.96 million"}, []string{"These models"}},
		"other settings": {"table9", map[string][]Cell{"em": {modelOf(t, "fmnist", "em", func(cfg *train.Config) { cfg.Margin, cfg.Batch, cfg.LRQ, cfg.Log.Keep = 3, 8, 1, 9 })}},
			[]string{"2000 steps of 8 images", "These models were trained with margin=3 (today: 0.25): EM.", "with batch=8 (today: 16): EM."}, []string{"lr_q", "log.keep"}},
		"the rate of q": {"rho", map[string][]Cell{"em-q": {modelOf(t, "fmnist", "em-q", func(cfg *train.Config) { cfg.LRQ = 0 })}},
			[]string{"with lr_q=0.001 (today: 0.0001): EM, q by Eq. 26."}, nil},
		"no config": {"fig7", map[string][]Cell{"em": {bare("em", "fmnist-simclr")}, "none": {bare("none", "")}},
			[]string{"small networks, 300 steps,", "configs are not on record: EM; EBM without latents.", "with the encoder fmnist-simclr (today: pretrained:fmnist): EM."}, []string{"million", "of 16 images"}},
		"rivals": {"time", map[string][]Cell{"dcgan-100s": {{Name: "dcgan-100s", Config: json.RawMessage(`{"method":"dcgan"}`)}}, "em-100s": {modelOf(t, "fmnist", "em-100s", same)}},
			[]string{"trainings of equal time", "E has 0.96 million"}, []string{"These models"}},
		"none is trained": {"fig7", nil, []string{"2000 steps of 16 images", "γ is 0.1"}, []string{"on record"}},
	} {
		s, err := Named(c.study)
		require.NoError(t, err)
		sc := Mini()
		for _, cells := range c.cells {
			if set := recorded(cells); set != nil {
				sc.Set = set
			}
		}
		got := s.lay(sc, c.cells).Setting
		for _, want := range c.want {
			assert.Contains(t, got, want, name)
		}
		for _, not := range c.not {
			assert.NotContains(t, got, not, name)
		}
	}
}

func TestPagesDropATypedSetting(t *testing.T) {
	dir := t.TempDir()
	s, err := Named("table9")
	require.NoError(t, err)
	sc := Mini()
	sc.Steps, sc.Samples = 7, 55
	model := modelOf(t, "fmnist", "em", func(cfg *train.Config) { cfg.Steps = 7 })
	model.Settings = append(sc.settings(), "steps=7")
	r := s.lay(sc, map[string][]Cell{"em": {model}})
	want := r.Setting
	r.Setting += " Typed by hand."
	require.NoError(t, r.write(dir))
	require.NoError(t, WritePages(dir))
	all, err := ReadResults(dir)
	require.NoError(t, err)
	assert.Equal(t, want, all[0].Setting)
	assert.Contains(t, want, "7 steps of 16 images")
	assert.Contains(t, want, "55 samples")
	text, err := os.ReadFile(filepath.Join(dir, "table9.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "Typed by hand")
}

func TestAPageNamesItsEncoders(t *testing.T) {
	for name, c := range map[string]struct {
		cell Cell
		want string
	}{
		"with a checksum":              {Cell{Encoder: "pretrained:fmnist", H: "0123456789abcdef"}, "pretrained:fmnist 0123456789ab"},
		"from before checksums":        {Cell{Encoder: "pretrained:fmnist"}, "an earlier version of pretrained:fmnist (no checksum is on record)"},
		"of a study, before checksums": {Cell{Encoder: "stacked-simclr"}, "stacked-simclr (no checksum is on record)"},
		"without an encoder":           {Cell{}, ""},
	} {
		assert.Equal(t, c.want, c.cell.encoder(), name)
	}
	r := &Result{Cells: []Cell{{Encoder: "pretrained:fmnist"}}}
	assert.Contains(t, r.Markdown(), "of their files: an earlier version")
}
