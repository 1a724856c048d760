package study

import (
	"context"
	"errors"
	"fmt"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// ProbeOptions are the options of [AssessProbe].
type ProbeOptions struct {
	On     string // the network whose features are probed: f, the energy's, or h, the encoder's
	N      int    // training images, as [data.Set.Head] takes them; 0: all
	Epochs int    // of the linear probe; 0 means 500
	Seed   uint64 // of the order of images
}

// AssessProbe measures how well features of m tell classes apart, by W-MSE's protocol: Euclidean 5-NN, and
// a linear layer that is trained on the training split without augmentation. The values are the accuracies
// on the images that the data hold out: knn5_f and linear_f of the energy's features before its head,
// knn5_h and linear_h of the encoder's. In a group every process calls AssessProbe. Rank 0 alone learns from the features: the
// other processes return no values.
func AssessProbe(ctx context.Context, m *train.Model, o ProbeOptions, s Setup) (*eval.Record, error) {
	r := s.record("probe", m, o.Seed)
	x, err := s.embed(ctx, m, o.On, r, partsOfProbe(o)...)
	defer closeAll(x)
	if err != nil || s.Group.Rank() > 0 {
		return r, err
	}
	return r, probe(ctx, x[0], x[1], o, r, s)
}

// A portion is the first n images of a split. If n is 0, it is the whole split.
type portion struct {
	split data.Split
	n     int
}

// partsOfProbe are the images that a probe learns from, and those that it is tested on.
func partsOfProbe(o ProbeOptions) []portion { return []portion{{data.Train, o.N}, {data.HeldOut, 0}} }

// embed returns the features of f or h for parts of a run's data. It tells r of the network and of the images. The caller closes the
// features, also after an error.
func (s Setup) embed(ctx context.Context, m *train.Model, on string, r *eval.Record, parts ...portion) (all []eval.Labelled, err error) {
	if on != "f" && on != "h" {
		return nil, fmt.Errorf("there are no features of %q: use f or h", on)
	}
	if on == "h" && m.H == nil {
		return nil, errors.New("the run has no encoder h: use the features of f")
	}
	err = torch.Do(func() error {
		var features netFeatures
		if on == "f" {
			features = energyFeatures(m)
		} else {
			features = encoderFeatures(m.H, nameOfH)
		}
		r.Network = features.Name()
		for _, p := range parts {
			x, err := s.embedPart(ctx, m, features, r, p)
			if err != nil {
				return err
			}
			all = append(all, x)
		}
		return nil
	})
	return all, err
}

func closeAll(all []eval.Labelled) {
	for _, x := range all {
		x.Close()
	}
}

// embedPart returns features of one part.
func (s Setup) embedPart(ctx context.Context, m *train.Model, features eval.Features, r *eval.Record, p portion) (eval.Labelled, error) {
	set, err := s.agreed(m.Config.Open(p.split))
	if err != nil {
		return eval.Labelled{}, err
	}
	defer set.Close()
	if err := s.Group.Alike([]string{"network=" + features.Name(), fmt.Sprintf("images=%d", p.n)}); err != nil {
		return eval.Labelled{}, err
	}
	if set.Labels == nil {
		return eval.Labelled{}, fmt.Errorf("%s has no labels: probes need classes", set.Name)
	}
	if p.n > 0 {
		set = set.Head(p.n)
	}
	x, _, err := eval.Embed(ctx, features, s.shared(set), s.watch("features of "+string(p.split), set.N))
	r.Of(inputOf(set))
	return eval.Labelled{Embedding: x, Labels: set.Labels, Classes: set.Classes}, err
}

// probe adds both accuracies to the record.
func probe(ctx context.Context, fit, test eval.Labelled, o ProbeOptions, r *eval.Record, s Setup) error {
	if o.Epochs == 0 {
		o.Epochs = 500
	}
	near, linear, err := accuracies(ctx, fit, test, o, s)
	if err != nil {
		return err
	}
	r.Values["knn5_"+o.On], r.Values["linear_"+o.On] = near, linear
	r.Settings["epochs"], r.Settings["protocol"] = fmt.Sprint(o.Epochs), "W-MSE: 5-NN Euclidean; Adam 1e-2 to 1e-6, weight decay 5e-6, batch 1000"
	r.Settings["training_images"] = fmt.Sprint(fit.Len())
	return nil
}

// accuracies are the accuracies of 5-NN and of a linear probe.
func accuracies(ctx context.Context, fit, test eval.Labelled, o ProbeOptions, s Setup) (near, linear float64, err error) {
	votes, err := eval.KNN(ctx, fit, test, 5, s.progress("5-NN"))
	if err != nil {
		return 0, 0, err
	}
	classes, err := eval.LinearProbe(ctx, fit, test, eval.LinearOptions{Epochs: o.Epochs, Seed: o.Seed, Watch: s.progress("linear probe")})
	if err != nil {
		return 0, 0, err
	}
	return test.Accuracy(votes), test.Accuracy(classes), nil
}

// encoderProbe measures an encoder during its pretraining, for [train.Options]. Its metrics are knn5 and linear. The probe learns
// from 2,000 of the training images in known and is tested on 500 of the held-out images in unseen, with a fifth of AssessProbe's
// epochs. Both have labels.
func encoderProbe(known, unseen *data.Set) func(context.Context, *models.Encoder) ([]train.Metric, error) {
	known, unseen = known.Head(2000), unseen.Head(500)
	return func(ctx context.Context, h *models.Encoder) ([]train.Metric, error) {
		var both []eval.Labelled
		for _, part := range []*data.Set{known, unseen} {
			x, _, err := eval.Embed(ctx, encoderFeatures(h, nameOfH), eval.FromSet(part), nil)
			if err != nil {
				return nil, err
			}
			defer x.Close()
			both = append(both, eval.Labelled{Embedding: x, Labels: part.Labels})
		}
		near, linear, err := accuracies(ctx, both[0], both[1], ProbeOptions{Epochs: 100}, Setup{})
		return []train.Metric{{Name: "knn5", Value: near}, {Name: "linear", Value: linear}}, err
	}
}
