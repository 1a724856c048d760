package study

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/internal/config"
	"github.com/liebm/liebm/internal/dcgan"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
	"github.com/liebm/liebm/train"
)

const equalTimeMetric = "samples after equal time"

// A rival is another way to train a generator, to compare with Algorithm 1.
type rival struct {
	step     func(x torch.Tensor)                         // x: [n,c,h,w] in [−1,1]
	generate func(n int, rng *torch.RNG) (x torch.Tensor) // images in [−1,1]
	close    func()
}

// newRival makes the rival of a cell. It needs an open scope.
func (w *work) newRival(c *cell, seed uint64) (*rival, error) {
	if c.rival == "dcgan" {
		gan := dcgan.New(c.config.Energy.Channels, seed, w.Device)
		return &rival{func(x torch.Tensor) { gan.Step(x) }, gan.Generate, gan.Close}, nil
	}
	return newVAE(c.config, seed, w.Device)
}

// vaeAdam are Adam's usual settings.
var vaeAdam = train.OptimConfig{LR: 1e-3, AdamOptions: optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}}

// newVAE is a variational autoencoder (Kingma & Welling 2014) of the networks G and q of a config.
func newVAE(cfg train.Config, seed uint64, device torch.Device) (*rival, error) {
	g, err := models.NewGenerator(cfg.Generator, models.Range{Low: -1, High: 1}, seed)
	if err != nil {
		return nil, err
	}
	q, err := models.NewInference(cfg.Inference, seed)
	if err != nil {
		nn.Close(g)
		return nil, err
	}
	nn.To(g, device, torch.Float32)
	nn.To(q, device, torch.Float32)
	adam, steps := optim.NewAdam(append(nn.Params(g), nn.Params(q)...), vaeAdam.AdamOptions), 0
	return &rival{
		step: func(x torch.Tensor) {
			mean, logVar := q.Forward(x)
			m := train.Reparameterize(mean, logVar, torch.NewRNG(seed, steps, "vae").NormalLike(mean))
			none := torch.Tensor{}
			likelihood := train.JointLogLikelihood(x, g.Forward(m, nn.Train), none, none, cfg.Tau2, 0)
			adam.Step(train.ELBOLoss(likelihood, mean, logVar), vaeAdam.LR)
			steps++
		},
		generate: func(n int, rng *torch.RNG) (x torch.Tensor) {
			torch.NoGrad(func() { x = g.Forward(rng.Normal(n, cfg.Generator.LatentDim).ToDevice(device), nn.Eval) })
			return x
		},
		close: func() { nn.Close(g); nn.Close(q); adam.Close() },
	}, nil
}

// trainRival trains a rival for its seconds and measures its samples at once. Of a rival only the record is kept: one that is
// interrupted starts over.
func (w *work) trainRival(ctx context.Context, c *cell, seed uint64) error {
	if err := os.MkdirAll(c.dir(seed), 0o777); err != nil {
		return err
	}
	set, err := c.config.Open(data.Train)
	if err != nil {
		return err
	}
	defer set.Close()
	r := eval.NewRecord(equalTimeMetric, w.Versions)
	r.Seed, r.NFE = &seed, 1
	r.Settings = c.rivalSettings()
	r.Settings["device"], r.Settings["threads"] = w.Device.String(), fmt.Sprint(torch.Threads())
	var samples *data.Set
	w.announce(c, seed)
	err = torch.Do(func() error {
		method, err := w.newRival(c, seed)
		if err != nil {
			return err
		}
		defer method.close()
		if err := w.spend(ctx, c, seed, method, set, r); err != nil {
			return err
		}
		start := time.Now()
		samples, err = dcgan.Images(c.folder.scale.Samples, 0, method.generate)
		r.Values["seconds"] = time.Since(start).Seconds() / float64(c.folder.scale.Samples)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.judgeSamples(ctx, c, r, map[string]*data.Set{"": samples}); err != nil {
		return err
	}
	return Keep(c.dir(seed), r)
}

// spend trains a rival until its seconds are over. It records how long that took, how many images a second it read, and its memory.
func (w *work) spend(ctx context.Context, c *cell, seed uint64, method *rival, set *data.Set, r *eval.Record) error {
	seconds, order := c.folder.scale.seconds(c), data.NewSampler(seed, set.N)
	memory := train.PeakMemory(w.Device)
	report, start, steps := w.progress("training, in seconds"), time.Now(), 0
	for ; time.Since(start).Seconds() < seconds; steps++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		images := set.Subset(order.Batch(steps, dcgan.Batch))
		torch.Tidy(func() torch.Tensor {
			method.step(images.Floats().MulScalar(2).AddScalar(-1).ToDevice(w.Device))
			return torch.Tensor{}
		})
		report(int(time.Since(start).Seconds()), int(seconds)+1)
	}
	took := time.Since(start).Seconds()
	r.Values["seconds_to_train"], r.Values["images_per_second"] = took, float64(steps*dcgan.Batch)/took
	recordMemory(r, memory())
	return nil
}

// assessEqualTime measures samples of a model that Algorithm 1 trained for some seconds, as trainRival does of others.
func (w *work) assessEqualTime(ctx context.Context, c *cell, m *train.Model) ([]*eval.Record, error) {
	n := c.folder.scale.Samples
	r := w.times(m, n, 0)
	r.Metric = equalTimeMetric
	refined, err := drawSamples(ctx, m, r, n, train.SampleOptions{}, w.Setup)
	if err != nil {
		return nil, err
	}
	plain, err := drawSamples(ctx, m, r, n, train.SampleOptions{NoMCMC: true}, w.Setup)
	if err != nil {
		return nil, err
	}
	lines, err := train.ReadMetrics(filepath.Join(m.Folder, metricsFile))
	if err != nil {
		return nil, err
	}
	for _, line := range lines { // the last one counts: its rate is that since the start or, approximately, since a resume
		if rate, ok := line.Values["steps_per_second"]; ok {
			r.Values["seconds_to_train"], r.Values["images_per_second"] = float64(line.Step)/rate, rate*float64(m.Config.Batch)
		}
	}
	return []*eval.Record{r}, w.judgeSamples(ctx, c, r, map[string]*data.Set{"": refined, alone: plain})
}

// judgeSamples adds to r how sets of samples of a cell differ from the images that its data hold out: the Fréchet distance
// and, against as many images, the values of [DistanceFeatures.diversity]. The names of a set's values end in its key.
func (w *work) judgeSamples(ctx context.Context, c *cell, r *eval.Record, sets map[string]*data.Set) error {
	features, err := OpenFeatures(c.config, FeatureOptions{Inception: c.folder.scale.Weights, Device: w.Device})
	if err != nil {
		return err
	}
	defer features.Close()
	unseen, err := c.config.Open(data.HeldOut)
	if err != nil {
		return err
	}
	defer unseen.Close()
	reference, input, err := features.reference(ctx, c.config, c.reference(), w.Setup)
	if err != nil {
		return err
	}
	r.Network = features.Name()
	r.Of(input)
	for _, end := range slices.Sorted(maps.Keys(sets)) {
		r.Of(eval.InputOf("samples"+end, sets[end]))
		if r.Values[features.Key+end], _, err = features.distance(ctx, c.config, sets[end], reference, "", Setup{}); err != nil {
			return err
		}
	}
	return features.diversity(ctx, c.config, r, sets, unseen.Head(c.folder.scale.Samples))
}

// rivalSettings are the settings that tell the records of rivals apart.
func (c *cell) rivalSettings() map[string]string {
	return map[string]string{studyKey: string(ofEqualTime), "method": c.rival, "seconds": fmt.Sprint(c.folder.scale.seconds(c)),
		"batch": fmt.Sprint(dcgan.Batch), "samples": fmt.Sprint(c.folder.scale.Samples)}
}

// readRival is [cell.read] of a rival, of which only the record is kept.
func (c *cell) readRival(seed uint64) (r Cell, trained bool, err error) {
	records, err := eval.ReadRecords(filepath.Join(c.dir(seed), ResultsFile))
	if err != nil {
		return r, false, err
	}
	for _, record := range records {
		for key, want := range c.rivalSettings() {
			if got := record.Settings[key]; got != want {
				return r, true, fmt.Errorf("%s holds results with %s %q, and now it is %q: choose another folder, or remove this one", c.dir(seed), key, got, want)
			}
		}
	}
	r = Cell{Name: c.name, Seed: seed, Values: readings(records)}
	r.Config, err = c.rivalConfig(seed)
	return r, len(records) > 0, err
}

// rivalConfig is the complete config of a rival. Its data, networks and optimisers have the keys of config.yaml.
func (c *cell) rivalConfig(seed uint64) ([]byte, error) {
	all := map[string]any{"method": c.rival, "seconds": c.folder.scale.seconds(c), "batch": dcgan.Batch, "seed": seed}
	groups := map[string]any{"data": c.config.Data}
	if c.rival == "dcgan" {
		all["width"], all["latent_dim"] = dcgan.Width, dcgan.Latents
		groups["opt"] = train.OptimConfig{LR: dcgan.Rate, AdamOptions: dcgan.Adam}
	} else {
		all["tau2"] = c.config.Tau2
		groups["generator"], groups["inference"], groups["opt"] = c.config.Generator, c.config.Inference, vaeAdam
	}
	for name, group := range groups {
		text, err := config.JSON(group)
		if err != nil {
			return nil, err
		}
		all[name] = json.RawMessage(text)
	}
	return json.Marshal(all)
}
