package study

import (
	"context"
	"errors"

	"github.com/liebm/liebm/data"
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
		if along.Encoder = encoder; o.Resume {
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
