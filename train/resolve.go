package train

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
)

// Sources are the parts of a config. A preset fills every field. A YAML file, which may name the preset, changes
// some. Data and Size come after them. Settings such as "chain.steps=60" come last.
type Sources struct {
	Preset string // if this is empty and the file names none, the preset is small, medium or large, by the size of the images, as in small-em
	File   string
	Data   string // a known data set, or the path of any; empty: the preset's
	Size   int    // height and width of the images in the networks; 0: the preset's or, without a preset, a size near that of the images
	Set    []string
}

// Resolve returns a valid training config.
func (s Sources) Resolve() (Config, error) {
	return resolve(s, EM, Preset, func(c *Config) (*string, *DataConfig) { return &c.Preset, &c.Data }, (*Config).take)
}

// ResolveSSL returns a valid pretraining config.
func (s Sources) ResolveSSL() (SSLConfig, error) {
	return resolve(s, SimCLR, SSLPreset, func(c *SSLConfig) (*string, *DataConfig) { return &c.Preset, &c.Data }, (*SSLConfig).take)
}

// resolve makes a config of type C. fields are its preset and data, and take fits the rest to the data.
func resolve[C interface{ Validate() error }](s Sources, target string, preset func(string) (C, error), fields func(*C) (*string, *DataConfig), take func(*C, data.Info)) (cfg C, err error) {
	var file []byte
	if s.File != "" {
		if file, err = os.ReadFile(s.File); err != nil {
			return cfg, err
		}
		var only C
		if err := config.Decode(file, &only); err != nil {
			return cfg, fmt.Errorf("%s: %w", s.File, err)
		}
		name, _ := fields(&only)
		s.Preset = cmp.Or(s.Preset, *name)
	}
	if s.Preset == "" {
		info, err := data.Inspect(s.Data, "")
		if err != nil {
			return cfg, err
		}
		s.Size = cmp.Or(s.Size, rungSize(min(info.H, info.W)))
		s.Preset = rung(s.Size) + "-" + target
	}
	if cfg, err = preset(s.Preset); err != nil {
		return cfg, err
	}
	if err := config.Decode(file, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", s.File, err)
	}
	name, from := fields(&cfg)
	*name = s.Preset
	if s.Data != "" {
		info, err := from.use(s)
		if err != nil {
			return cfg, err
		}
		take(&cfg, info)
	} else if s.Size != 0 {
		from.Size = s.Size
	}
	for _, assignment := range s.Set {
		if err := config.Set(&cfg, assignment); err != nil {
			return cfg, err
		}
	}
	if err := from.absolute(); err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

// absolute makes the path of the data independent of the present folder, so that a run can be resumed from another one.
func (d *DataConfig) absolute() (err error) {
	if d.Path != "" {
		d.Path, err = filepath.Abs(d.Path)
	} else if _, unknown := data.Lookup(d.Name); unknown != nil && d.Name != "" { // then it is a path
		if _, missing := os.Stat(d.Name); missing == nil {
			d.Name, err = filepath.Abs(d.Name)
		}
	}
	return err
}

// use makes the data of s those of the config.
func (d *DataConfig) use(s Sources) (data.Info, error) {
	info, err := data.Inspect(s.Data, d.Name)
	if err != nil {
		return info, err
	}
	bySize := presetOf(s.Preset).bySize
	switch {
	case s.Size != 0 && s.Size != d.Size && !bySize:
		return info, fmt.Errorf("size %d: the networks of %s read %d×%d pixels: give size %d, or no preset", s.Size, s.Preset, d.Size, d.Size, d.Size)
	case s.Size != 0:
		d.Size = s.Size
	case !info.Known && (info.H != d.Size || info.W != d.Size):
		return info, fmt.Errorf("%s has images of %d×%d pixels, and the networks of %s read %d×%d: give size %d to resize them, or no preset",
			s.Data, info.H, info.W, s.Preset, d.Size, d.Size, d.Size)
	}
	d.Name, d.Path, d.Crop, d.Scale = info.Name, "", "", !info.Known
	if info.Pictures && !info.Known {
		d.Crop = "center"
	}
	if s.Data != info.Name || !info.Known {
		d.Path = s.Data
	}
	return info, nil
}

// take fits the networks, the batch and the views to the images.
func (c *Config) take(info data.Info) {
	c.channels(info.C)
	if presetOf(c.Preset).bySize {
		if c.Generator.Size() != c.Data.Size {
			c.fit(c.Data.Size)
		}
		c.Batch = min(c.Batch, most(info, c.Data))
	}
	if info.Glyphs {
		c.Views.FlipProb = 0
	}
}

// take fits the encoder, the batch and the views to the images.
func (c *SSLConfig) take(info data.Info) {
	c.Encoder.Channels = info.C
	if presetOf(c.Preset).bySize {
		c.Encoder.Stem = stem(c.Data.Size)
		c.Batch = min(c.Batch, most(info, c.Data))
	}
	if info.Glyphs {
		c.Views.FlipProb = 0
	}
}

// most is a number of images that training surely has, for a batch.
func most(info data.Info, d DataConfig) int {
	if info.Measured {
		return max(2, info.N)
	}
	return max(2, int(float64(info.N)*(1-2*d.HoldOut)))
}

// YAML returns all settings of a config, as a run folder has them.
func YAML(cfg any) (string, error) {
	text, err := config.YAML(cfg)
	return string(text), err
}

// Change returns the config with settings such as "steps=2000" changed.
func (c Config) Change(settings []string) (Config, error) {
	for _, assignment := range settings {
		if err := config.Set(&c, assignment); err != nil {
			return c, err
		}
	}
	return c, c.Validate()
}
