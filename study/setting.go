package study

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/train"
)

// setting says how the models of a study were trained and measured, and what their figures can be compared with. The text is made of
// the configs of the models, and of those of this version, which are in f.
func (s Study) setting(f *folder, cells map[string][]Cell) string {
	if f.scale.paper {
		changed := ""
		for _, setting := range f.scale.settings() {
			if !strings.HasPrefix(setting, "data.path=") { // a place on this machine
				changed += ", with " + setting
			}
		}
		presets := "The presets of these data sets, which differ from Table 12 (see train.CIFAR10)"
		if f.scale.Published {
			presets = "The presets with the settings of Table 12, such as cifar10-em-published"
		}
		return strings.Join(append([]string{presets + changed + "."}, s.older(f, cells)...), "\n")
	}
	cfg, known := typical(f, cells)
	networks, preset := "small networks", ""
	if cost, err := train.CountCost(cfg, train.EncoderFor(cfg)); known && err == nil {
		millions := func(network string) float64 { return float64(cost.Params[network]) / 1e6 }
		networks += fmt.Sprintf(" (E has %.2g million parameters, G %.2g, q %.2g)", millions("E"), millions("G"), millions("q"))
		preset = "\nThe preset differs from the paper's settings for CIFAR-10, mainly in these: " + strings.Join(differences(cfg), ", ") + "."
	}
	length := fmt.Sprintf("%d steps of %d images", cfg.Steps, cfg.Batch)
	switch {
	case s.timed():
		length = "trainings of equal time"
	case !known:
		length = fmt.Sprintf("%d steps", cfg.Steps)
	}
	features := "a small classifier (FD; lower is better"
	if !Classified(f.data) {
		features = "the encoder h (FD on h; lower is better"
	}
	text := fmt.Sprintf("A miniature: %s, %s, %s, and distances on the features of %s; %d samples against the test split).\n"+
		"Look at the order of rows. Do not compare the figures with published ones.%s", images(cfg), networks, length, features, f.scale.Samples, preset)
	return strings.Join(append([]string{text}, s.older(f, cells)...), "\n")
}

// images describes the training images of a config.
func images(cfg train.Config) string {
	title := "images"
	if known, err := data.Lookup(cfg.Data.Name); err == nil {
		title = known.Title
	}
	colour := "gray"
	if cfg.Energy.Channels == 3 {
		colour = "RGB"
	}
	return fmt.Sprintf("%s (%s, %d×%d pixels)", title, colour, cfg.Data.Size, cfg.Data.Size)
}

// typical is the config that the text of a setting is made of: that of EM, or of the first model with a config. If no model is
// trained, it is that of EM in this version. known is false if models of an earlier version left no config.
func typical(f *folder, cells map[string][]Cell) (cfg train.Config, known bool) {
	cfg, known = f.cell("em").config, len(cells) == 0
	for _, v := range variants {
		for _, c := range cells[v.name] {
			if own, ok := c.trained(); ok && (c.Name == "em" || !known) {
				cfg, known = own, true
			}
		}
	}
	return cfg, known
}

// trained is the config that a model was trained with. Results of early versions lack it.
func (c Cell) trained() (cfg train.Config, ok bool) {
	if len(c.Config) == 0 || string(c.Config) == "null" {
		return cfg, false
	}
	cfg, err := train.ParseConfig(c.Config)
	return cfg, err == nil
}

// differences are the settings in which a config differs most from Table 12's first column.
func differences(cfg train.Config) (all []string) {
	paper, err := train.Preset("cifar10-em-published")
	if err != nil {
		return nil
	}
	add := func(differs bool, format string, args ...any) {
		if differs {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(cfg.Energy.Gamma != paper.Energy.Gamma, "γ is %v in place of %v", cfg.Energy.Gamma, paper.Energy.Gamma)
	add(cfg.Chain.Steps != paper.Chain.Steps, "T is %d in place of %d", cfg.Chain.Steps, paper.Chain.Steps)
	add(cfg.Batch != paper.Batch, "a batch has %d images in place of %d", cfg.Batch, paper.Batch)
	add(!cfg.Energy.SpectralNorm, "E has no spectral norm")
	add(cfg.Margin > 0, "the training of E has a margin of %v (margin)", cfg.Margin)
	add(cfg.OptE.MaxUpdate > 0, "the steps of E are limited (opt_e.max_update)")
	add(cfg.Chain.Clip > 0, "the drift of a chain is clipped at %v (chain.clip)", cfg.Chain.Clip)
	return all
}

// recorded are the settings of models over their preset, without those of their variants.
func recorded(cells []Cell) []string {
	for _, c := range cells {
		for _, v := range variants {
			if v.name == c.Name && len(c.Settings) > 0 { // rivals have none
				return slices.DeleteFunc(slices.Clone(c.Settings), func(setting string) bool { return slices.Contains(v.set, setting) })
			}
		}
	}
	return nil
}

// older says in which models a study differs from the models that this version would train.
func (s Study) older(f *folder, cells map[string][]Cell) (remarks []string) {
	var unknown, order []string
	changed := map[string][]string{} // labels of variants by what has changed
	add := func(change, label string) {
		if !slices.Contains(order, change) {
			order = append(order, change)
		}
		if !slices.Contains(changed[change], label) {
			changed[change] = append(changed[change], label)
		}
	}
	for _, name := range s.variants() {
		c, label := f.cell(name), variantNamed(name).label
		for _, model := range cells[name] {
			if c.rival != "" {
				continue // its config is none of train
			}
			cfg, known := model.trained()
			switch {
			case !known && !slices.Contains(unknown, label):
				unknown = append(unknown, label)
			case known && c.err == nil:
				for _, change := range c.changes(cfg, model) {
					add(change, label)
				}
			}
			if model.Encoder != "" && c.hasEncoder() && model.Encoder != c.encoderName() {
				add(fmt.Sprintf("the encoder %s (today: %s)", model.Encoder, c.encoderName()), label)
			}
		}
	}
	if len(unknown) > 0 {
		remarks = append(remarks, fmt.Sprintf("These models are of an early version, and their configs are not on record: %s. Their settings may differ from those of today.", strings.Join(unknown, "; ")))
	}
	for _, change := range order {
		remarks = append(remarks, fmt.Sprintf("These models were trained with %s: %s.", change, strings.Join(changed[change], "; ")))
	}
	return remarks
}

// changes are the settings in which the training of a model differs from the cell's, as in "lr_q=0.001 (today: 0.0001)".
func (c *cell) changes(cfg train.Config, model Cell) (all []string) {
	same := c.likely(cfg, model.Seed)
	same.Log = cfg.Log
	if model.WentBack {
		same.OptE.LR, same.Chain.Delta2 = cfg.OptE.LR, cfg.Chain.Delta2
	}
	if c.over != "" {
		cfg.LRQ = cmp.Or(cfg.LRQ, cfg.OptQ.LR)
	}
	theirs, err := config.Changes(same, cfg)
	if err != nil {
		return nil
	}
	ours, err := config.Changes(cfg, same)
	if err != nil {
		return nil
	}
	for i, setting := range theirs {
		_, value, _ := strings.Cut(ours[i], "=")
		all = append(all, fmt.Sprintf("%s (today: %s)", setting, value))
	}
	return all
}
