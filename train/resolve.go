package train

import (
	"fmt"
	"os"

	"github.com/liebm/liebm/internal/config"
)

// Sources are the parts of a config. A preset fills every field. A YAML file, which may name the preset, changes
// some. Settings such as "chain.steps=60" come last.
type Sources struct {
	Preset string
	File   string
	Set    []string
}

// Resolve returns a valid training config.
func (s Sources) Resolve() (Config, error) {
	return resolve(s, Preset, func(c *Config) *string { return &c.Preset }, Config.Validate)
}

// ResolveSSL returns a valid pretraining config.
func (s Sources) ResolveSSL() (SSLConfig, error) {
	return resolve(s, SSLPreset, func(c *SSLConfig) *string { return &c.Preset }, SSLConfig.Validate)
}

func resolve[C any](s Sources, preset func(string) (C, error), name func(*C) *string, validate func(C) error) (cfg C, err error) {
	var file []byte
	if s.File != "" {
		if file, err = os.ReadFile(s.File); err != nil {
			return cfg, err
		}
		var only C
		if err := config.Decode(file, &only); err != nil {
			return cfg, fmt.Errorf("%s: %w", s.File, err)
		}
		if s.Preset == "" {
			s.Preset = *name(&only)
		}
	}
	if cfg, err = preset(s.Preset); err != nil {
		return cfg, err
	}
	if err := config.Decode(file, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", s.File, err)
	}
	*name(&cfg) = s.Preset
	for _, assignment := range s.Set {
		if err := config.Set(&cfg, assignment); err != nil {
			return cfg, err
		}
	}
	return cfg, validate(cfg)
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
