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

// distanceKeys are the names of Fréchet distances by their features: those of Inception, of the classifier for
// Fashion-MNIST, and of an encoder.
var distanceKeys = []string{"fid", "fd", onEncoder}

const onEncoder = "fd_h"

// ErrNoFeatures says that there are no features on which distances can be measured: the data are not Fashion-MNIST, and
// neither Inception's weights nor an encoder is given.
var ErrNoFeatures = errors.New("no features to measure distances on: the data are not Fashion-MNIST, and neither Inception's weights nor an encoder is given")

// Classified reports whether the classifier that comes with liebm knows the classes of a data set. It was trained on Fashion-MNIST.
func Classified(dataset string) bool { return dataset == "fmnist" }

// DistanceFeatures are the features on which a Fréchet distance is measured, and the name of that distance. See
// [OpenFeatures].
type DistanceFeatures struct {
	eval.Features
	Metric string     // "FID", "Fréchet distance" or "Fréchet distance on h"
	Key    string     // of the distance in a record's values: fid, fd or fd_h
	Split  data.Split // of the data that samples are compared with

	inception *eval.InceptionFeatures // nil for other features
	padded    bool                    // the network reads images with the padding of training
	close     func()
}

// FeatureOptions are the options of [OpenFeatures].
type FeatureOptions struct {
	Inception string          // pytorch-fid's file of weights; empty: no FID
	Encoder   *models.Encoder // of [train.Config.FixedEncoder]; nil: no distance on an encoder
	Device    torch.Device    // for Inception, and for an encoder that the features take over
}

// OpenFeatures chooses the features on which distances of cfg's images are measured. If Inception's weights are given, it uses
// Inception. Otherwise it uses, for Fashion-MNIST, the classifier that comes with liebm, and for other data the features of an
// encoder that does not learn, before its head. FID compares samples with the training split, by custom. The others compare with the
// images that are held out. Distances on an encoder can only be compared between runs with the same encoder. The caller closes
// the features; the encoder stays open. The error is [ErrNoFeatures] if nothing fits.
func OpenFeatures(cfg train.Config, o FeatureOptions) (*DistanceFeatures, error) {
	switch {
	case o.Inception != "":
		net, err := eval.OpenInception(o.Inception, eval.PyTorch, o.Device)
		if err != nil {
			return nil, err
		}
		f := &DistanceFeatures{Features: net, Metric: "FID", Key: "fid", Split: data.Train, inception: net, close: net.Close}
		if !net.Published {
			f.Metric = "Fréchet distance"
		}
		return f, nil
	case Classified(cfg.Data.Name):
		net, err := eval.FashionFeatures()
		if err != nil {
			return nil, err
		}
		return &DistanceFeatures{Features: net, Metric: "Fréchet distance", Key: "fd", Split: data.HeldOut, close: net.Close}, nil
	case o.Encoder != nil:
		f := &DistanceFeatures{Metric: "Fréchet distance on h", Key: onEncoder, Split: data.HeldOut, padded: true, close: func() {}}
		name := nameOfH
		switch {
		case !cfg.NeedsEncoder():
			f.Metric, name = "Fréchet distance on an untrained network", "an untrained encoder's backbone before its head"
		case cfg.Encoder == train.Joint:
			f.Metric, name = "Fréchet distance on the first h", "the backbone, before its head, of the h that training began with"
		}
		f.Features = encoderFeatures(o.Encoder, name)
		return f, nil
	}
	return nil, ErrNoFeatures
}

// openFixed is [OpenFeatures] for an encoder that the features take over; it may be nil. It moves the encoder to the device. Close
// frees the encoder. If openFixed returns an error, it has freed the encoder.
func openFixed(cfg train.Config, o FeatureOptions) (*DistanceFeatures, error) {
	f, err := OpenFeatures(cfg, o)
	if err != nil {
		nn.Close(o.Encoder)
		return nil, err
	}
	closeNetwork := f.close
	f.close = func() { closeNetwork(); nn.Close(o.Encoder) }
	if err := torch.Do(func() error { nn.To(o.Encoder, o.Device, torch.Float32); return nil }); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close frees the network, and the encoder if the features own it.
func (f *DistanceFeatures) Close() { f.close() }

// crop removes the padding of training, unless the network reads it.
func (f *DistanceFeatures) crop(cfg train.Config, set *data.Set) (*data.Set, error) {
	if f.padded {
		return set, nil
	}
	return cfg.Crop(set)
}

// distance is the Fréchet distance of images of cfg from the images that the reference describes, and the statistics of the
// images' features. task is the name of the work for s.Progress.
func (f *DistanceFeatures) distance(ctx context.Context, cfg train.Config, set *data.Set, reference *eval.Stats, task string, s Setup) (float64, *eval.Stats, error) {
	set, err := f.crop(cfg, set)
	if err != nil {
		return 0, nil, err
	}
	stats, _, err := eval.MeasureImages(ctx, f, s.shared(set), s.watch(task, set.N))
	if err != nil {
		return 0, nil, err
	}
	distance, err := eval.Frechet(stats, reference)
	return distance, stats, err
}

// embed returns the features of images of cfg. The caller closes them.
func (f *DistanceFeatures) embed(ctx context.Context, cfg train.Config, set *data.Set) (*eval.Embedding, error) {
	set, err := f.crop(cfg, set)
	if err != nil {
		return nil, err
	}
	e, _, err := eval.Embed(ctx, f, eval.FromSet(set), nil)
	return e, err
}

// neighbours is the k of precision and recall.
const neighbours = 3

// diversity adds to r how sets of samples of cfg's data cover its unseen images: precision, recall and, for Fashion-MNIST, class_kl
// of [eval.ClassKL]. The names of a set's values end in its key.
func (f *DistanceFeatures) diversity(ctx context.Context, cfg train.Config, r *eval.Record, sets map[string]*data.Set, unseen *data.Set) error {
	real, err := f.embed(ctx, cfg, unseen)
	if err != nil {
		return err
	}
	defer real.Close()
	r.Settings["k"] = fmt.Sprint(neighbours)
	for end, set := range sets {
		e, err := f.embed(ctx, cfg, set)
		if err != nil {
			return err
		}
		r.Values["precision"+end], r.Values["recall"+end], err = eval.PrecisionRecall(ctx, e, real, neighbours, nil)
		e.Close()
		if err != nil {
			return err
		}
		if net, ok := f.Features.(*eval.Classifier); ok {
			if r.Values["class_kl"+end], err = eval.ClassKL(ctx, net, set, unseen); err != nil {
				return err
			}
		}
	}
	return nil
}

// netFeatures are features of a network of a run.
type netFeatures struct {
	name    string
	dim     int
	forward func(x torch.Tensor) torch.Tensor // maps images [n,c,h,w] in [0,1] to features [n,dim]
}

func (f netFeatures) Name() string                        { return f.name }
func (f netFeatures) Dim() int                            { return f.dim }
func (f netFeatures) Batch() int                          { return featureBatch }
func (f netFeatures) Forward(x torch.Tensor) torch.Tensor { return f.forward(x) }

// featureBatch is how many images the networks of a run map to features at once.
const featureBatch = 250

const nameOfH = "h, the encoder's backbone before its head"

// encoderFeatures are an encoder's features before its head.
func encoderFeatures(h *models.Encoder, name string) netFeatures {
	return netFeatures{name, h.Config.Widths[len(h.Config.Widths)-1], func(x torch.Tensor) torch.Tensor {
		return h.Features(h.Range.FromUnit(x).ToDevice(h.Stem.Weight.Device()), nn.Eval)
	}}
}

// energyFeatures are f(x) of the energy. Its weights are bound in the open scope.
func energyFeatures(m *train.Model) netFeatures {
	bound := m.E.Frozen(torch.Float32)
	return netFeatures{"f, the energy's backbone", m.Config.Energy.Features(), func(x torch.Tensor) torch.Tensor {
		return bound.Features(m.Config.Data.Range.FromUnit(x).ToDevice(m.Device))
	}}
}

// latents are h(x).
func latents(m *train.Model) netFeatures {
	return netFeatures{"h, the encoder's latent", m.H.Config.LatentDim, func(x torch.Tensor) torch.Tensor {
		return m.H.Latent(m.Config.Data.Range.FromUnit(x).ToDevice(m.Device))
	}}
}
