package study

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/train"
)

// comesWithLiebm reports whether the encoder is that of a run which comes with liebm.
func (c *cell) comesWithLiebm() bool { return slices.Contains(train.PretrainedRuns(), c.encoder) }

// hasEncoder reports whether the cell begins with an encoder that is trained before it.
func (c *cell) hasEncoder() bool { return c.config.NeedsEncoder() && c.config.Encoder != train.Joint }

// encoderDir holds the encoder of a cell.
func (c *cell) encoderDir() string {
	return filepath.Join(c.folder.path, "encoder-"+strings.ReplaceAll(c.encoder, ":", "-"))
}

// encoderName is the preset that pretrains the encoder, or the run that it is from.
func (c *cell) encoderName() string {
	if c.comesWithLiebm() {
		return c.encoder
	}
	return c.folder.data + "-" + c.encoder
}

// pretrains reports whether training the cell begins with the training of an encoder.
func (c *cell) pretrains() bool { return c.hasEncoder() && !c.comesWithLiebm() && c.rival == "" }

// encoderConfig is the config that pretrains the encoder.
func (c *cell) encoderConfig() (train.SSLConfig, error) {
	return train.Sources{Preset: c.encoderName(), Set: c.folder.scale.encoderSettings()}.ResolveSSL()
}

// pretrain makes the encoder of a cell and returns its file; empty where the cell needs none. All seeds
// share one encoder: the spread over seeds is that of Algorithm 1 given h.
func (w *work) pretrain(ctx context.Context, c *cell) (file string, err error) {
	if !c.hasEncoder() {
		return "", nil
	}
	dir := c.encoderDir()
	release, err := reserve(dir)
	if err != nil {
		return "", err
	}
	defer release()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	if file = train.EncoderPath(dir); exists(file) {
		return file, nil // pretraining writes it last
	}
	if c.comesWithLiebm() {
		run, err := train.RunFolder(c.encoder)
		if err != nil {
			return "", err
		}
		h, err := os.ReadFile(train.EncoderPath(run))
		if err != nil {
			return "", err
		}
		return file, data.WriteBytes(file, h)
	}
	cfg, err := c.encoderConfig()
	if err != nil {
		return "", err
	}
	return file, Pretrain(ctx, cfg, w.Options("pretraining", dir, IsRun(dir)))
}

// encoderSHA256 is the SHA-256 of the encoder in the folder of a training or pretraining run; empty if it has none.
func encoderSHA256(dir string) string {
	sum, _ := data.FileSHA256(train.EncoderPath(dir))
	return sum
}

// pretrainingConfig is the config of the pretraining run in dir as JSON, or nil if dir has an encoder without a config.
func pretrainingConfig(dir string) (json.RawMessage, error) {
	if !IsRun(dir) {
		return nil, nil
	}
	cfg, err := train.ReadSSLConfig(dir)
	if err != nil {
		return nil, err
	}
	return config.JSON(cfg)
}
