package study

import (
	"context"
	"errors"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/train"
)

// A Monitor measures G in the course of training: the Fréchet distance between its samples and real images
// on the features of [OpenFeatures], as the metric fid, fd or fd_h. Its Evaluate is for [train.Options].
type Monitor struct {
	features *Features
	encoder  *models.Encoder // nil if the features are others
	cfg      train.Config
	real     *eval.Stats
	samples  int
}

// MonitorOptions are the options of [NewMonitor].
type MonitorOptions struct {
	Encoder   string // the run's encoder: a file, or a folder that holds one; empty where it has none
	Inception string // pytorch-fid's file of weights; empty: no FID
	Reference string // file that keeps Inception's statistics of the training split; empty: none
	Samples   int    // samples to measure each time; 0: all 2,000 that training draws
}

// NewMonitor makes a monitor for a training with cfg. The error is [ErrNoFeatures] if there are no
// features to measure distances on, or no real images to compare with. The caller closes the
// monitor.
func NewMonitor(ctx context.Context, cfg train.Config, o MonitorOptions, s Setup) (*Monitor, error) {
	s.Group = nil // rank 0 alone measures
	m := &Monitor{cfg: cfg, samples: o.Samples}
	var err error
	if o.Encoder != "" || !cfg.NeedsEncoder() || cfg.Encoder == train.Joint {
		if m.encoder, err = cfg.FixedEncoder(train.EncoderPath(o.Encoder)); err != nil {
			return nil, fmt.Errorf("read the encoder: %w", err)
		}
	}
	if m.features, err = OpenFeatures(cfg, FeatureOptions{Inception: o.Inception, Encoder: m.encoder, Device: s.Device}); err != nil {
		m.Close()
		return nil, err
	}
	if m.encoder != nil {
		err = torch.Do(func() error {
			nn.To(m.encoder, s.Device, torch.Float32)
			return nil
		})
	}
	if err == nil {
		m.real, _, err = m.features.reference(ctx, cfg, o.Reference, s)
	}
	if err != nil {
		m.Close()
		if errors.Is(err, errNoReference) { // one can learn from a data set without a test split
			s.logf("warning: no distance in the course of training: %v", err)
			err = ErrNoFeatures
		}
		return nil, err
	}
	if m.features.Key == onEncoder && (o.Encoder == "" || !cfg.NeedsEncoder()) {
		remedy := "for a FID run liebm data fetch inception, and give --weights auto"
		if cfg.NeedsEncoder() {
			remedy += "; or start with a pretrained encoder: --encoder FOLDER"
		}
		s.logf("warning: the distance in training uses an untrained network, so it can only compare checkpoints of this run: %s", remedy)
	}
	return m, nil
}

// Close frees the features' network.
func (m *Monitor) Close() {
	if m.features != nil {
		m.features.Close()
	}
	nn.Close(m.encoder)
}

// Evaluate returns the distance, and the number of samples under its name with _n.
func (m *Monitor) Evaluate(ctx context.Context, samples *data.Set) ([]train.Metric, error) {
	if m.samples > 0 {
		samples = samples.Head(m.samples)
	}
	distance, _, err := m.features.distance(ctx, m.cfg, samples, m.real, "", Setup{})
	return []train.Metric{{Name: m.features.Key, Value: distance}, {Name: m.features.Key + "_n", Value: float64(samples.N)}}, err
}
