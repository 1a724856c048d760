package study

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/train"
)

// Pretrain trains an encoder on the data of cfg. During training it measures 5-NN and linear accuracies of the encoder if the
// training and the held-out images have labels.
func Pretrain(ctx context.Context, cfg train.SSLConfig, o train.Options) error {
	set, err := cfg.Data.Open(data.Train, cfg.Encoder.Channels)
	if err != nil {
		return err
	}
	defer set.Close()
	if test, err := cfg.Data.Open(data.HeldOut, cfg.Encoder.Channels); err == nil { // one can learn from a data set without a test split
		defer test.Close()
		if set.Labels != nil && test.Labels != nil {
			o.Probe = encoderProbe(set, test)
		}
	}
	return train.Pretrain(ctx, cfg, set, o)
}

// Train trains a model on the data of cfg by Algorithm 1. During training it measures the model if
// [NewMonitor] finds features for the data. encoder is a file, or a folder that holds one. It is empty if
// cfg needs no encoder, and for a run that is resumed.
func Train(ctx context.Context, cfg train.Config, encoder string, o train.Options, along MonitorOptions, s Setup) error {
	set, err := cfg.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	if o.Group.Rank() == 0 && (o.Resume || !IsRun(o.Out)) { // train.Run refuses the folder of another run
		if along.Encoder, along.Images = encoder, set; o.Resume {
			along.Encoder = o.Out
		}
		monitor, err := NewMonitor(ctx, cfg, along, s)
		if err == nil {
			defer monitor.Close()
			o.Evaluate = monitor.Evaluate
		} else if !errors.Is(err, ErrNoFeatures) {
			return err
		}
	}
	return train.Run(ctx, cfg, set, train.EncoderPath(encoder), o)
}

// A Monitor measures G in the course of training: the Fréchet distance between its samples and real images
// on the features of [OpenFeatures], as the metric fid, fd or fd_h. Its Evaluate is for [train.Options].
type Monitor struct {
	features *DistanceFeatures
	cfg      train.Config
	real     *eval.Stats
	samples  int
	setup    Setup // shows the progress of slow measurements
}

// MonitorOptions are the options of [NewMonitor].
type MonitorOptions struct {
	Encoder   string    // the run's encoder: a file, or a folder that holds one; empty where it has none
	Images    *data.Set // the training images, for an encoder without a file that learns together with E; may be nil
	Inception string    // pytorch-fid's file of weights; empty: no FID
	Reference string    // file that keeps Inception's statistics of the training split; empty: none
	Samples   int       // samples to measure each time, if training draws more; 0: all
}

// NewMonitor makes a monitor for a training with cfg. The error is [ErrNoFeatures] if there are no
// features to measure distances on, or no real images to compare with. The caller closes the
// monitor.
func NewMonitor(ctx context.Context, cfg train.Config, o MonitorOptions, s Setup) (*Monitor, error) {
	s.Group = nil // rank 0 alone measures
	var h *models.Encoder
	if o.Encoder != "" || !cfg.NeedsEncoder() || cfg.Encoder == train.Joint {
		var err error
		if h, err = cfg.FixedEncoder(train.EncoderPath(o.Encoder), o.Images); err != nil {
			return nil, fmt.Errorf("read the encoder: %w", err)
		}
	}
	features, err := openFixed(cfg, FeatureOptions{Inception: o.Inception, Encoder: h, Device: s.Device})
	if err != nil {
		return nil, err
	}
	real, _, err := features.reference(ctx, cfg, o.Reference, s)
	if err != nil {
		features.Close()
		if errors.Is(err, errNoReference) { // one can learn from a data set without a test split
			s.logf("warning: no distance in the course of training: %v", err)
			err = ErrNoFeatures
		}
		return nil, err
	}
	if features.Key == onEncoder && (o.Encoder == "" || !cfg.NeedsEncoder()) {
		remedy := "for a FID give the weights of Inception, which liebm data fetch inception fetches"
		if cfg.NeedsEncoder() {
			remedy += "; or start with a pretrained encoder"
		}
		s.logf("warning: the distance in training uses an untrained network, so it can only compare checkpoints of this run: %s", remedy)
	}
	return &Monitor{features: features, cfg: cfg, real: real, samples: o.Samples, setup: s.patient(10 * time.Second)}, nil
}

// Close frees the features' network.
func (m *Monitor) Close() { m.features.Close() }

// Evaluate returns the distance, and the number of samples under its name with _n.
func (m *Monitor) Evaluate(ctx context.Context, samples *data.Set) ([]train.Metric, error) {
	if m.samples > 0 {
		samples = samples.Head(m.samples)
	}
	distance, _, err := m.features.distance(ctx, m.cfg, samples, m.real, "measuring samples", m.setup)
	return []train.Metric{{Name: m.features.Key, Value: distance}, {Name: m.features.Key + "_n", Value: float64(samples.N)}}, err
}
