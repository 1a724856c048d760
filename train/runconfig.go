package train

import (
	"bytes"
	"fmt"
	"os"

	"github.com/liebm/liebm/internal/config"
)

// WriteConfig writes config.yaml. A folder that has it can be resumed.
func (r *runDir) WriteConfig(cfg any) error { return r.writeConfig(configFile, cfg) }

func (r *runDir) writeConfig(file string, cfg any) error {
	text, err := config.YAML(cfg)
	if err != nil {
		return err
	}
	if id := r.note()[runKey]; id != "" {
		text = append(text, runMark+id+"\n"...)
	}
	return r.write(file, seal(append(text, configMark+unsealed+"\n"...), configMark))
}

// ReadConfig reads the config of the training run in dir.
func ReadConfig(dir string) (Config, error) {
	c, err := readTraining(dir, configFile)
	if err != nil {
		if _, other := ReadSSLConfig(dir); other == nil {
			return c, fmt.Errorf("%s is an encoder of liebm pretrain: name a run of liebm train", dir)
		}
	}
	return c, err
}

// readTraining reads the config in a file of dir.
func readTraining(dir, file string) (Config, error) { return readConfig(dir, file, earlier()) }

// earlier has the values of keys that configs of earlier versions lack.
func earlier() Config { return Config{BatchSplit: 1, ScoreGamma: 0.1} }

// ParseConfig reads the config of a training from YAML or JSON. It may be of an earlier version.
func ParseConfig(text []byte) (Config, error) {
	c := earlier()
	err := config.Decode(text, &c)
	return c, err
}

// ReadSSLConfig reads the config of the pretraining run in dir.
func ReadSSLConfig(dir string) (SSLConfig, error) { return readConfig(dir, configFile, SSLConfig{}) }

// keepPretraining writes the config of the pretraining whose encoder is in dir to encoder.yaml, so that it stays with the encoder. dir
// is the folder of the pretraining, or of a run that has such a file. An encoder of another origin has no config.
func (r *runDir) keepPretraining(dir string) error {
	cfg, err := ReadSSLConfig(dir)
	if err != nil {
		cfg, err = readConfig(dir, encoderConfig, SSLConfig{})
	}
	if err != nil {
		return nil
	}
	return r.writeConfig(encoderConfig, cfg)
}

// readConfig reads a config over cfg, which has the values of keys that runs of earlier versions did not write.
func readConfig[C interface{ Validate() error }](dir, file string, cfg C) (C, error) {
	run, err := openRun(dir)
	if err != nil {
		return cfg, err
	}
	path := run.Path(file)
	text, err := os.ReadFile(path)
	if err == nil {
		err = checkSeal(path, configMark, text, len(text))
	}
	if id := run.note()[runKey]; err == nil && id != "" && bytes.Contains(text, []byte(runMark)) && !bytes.Contains(text, []byte(runMark+id)) {
		err = fmt.Errorf("%s belongs to another run: put this run's own file back", path)
	}
	if err != nil {
		return cfg, err
	}
	if err := config.Decode(text, &cfg); err != nil {
		return cfg, fmt.Errorf("%s: %w", path, err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%s: not the config of this kind of run: %w", path, err)
	}
	return cfg, nil
}
