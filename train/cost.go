package train

import (
	"context"
	"slices"
	"time"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Cost is the time, memory and arithmetic that a run needs.
type Cost struct {
	Preset            string         `json:"preset"`
	Params            map[string]int `json:"params"` // of E, G, q and h; pretraining has h alone
	Steps             int            `json:"steps"`
	Batch             int            `json:"batch"`
	FLOPsPerIteration float64        `json:"flops_per_iteration"`
	GFLOPPerSecond    float64        `json:"gflop_per_second"` // measured on this machine, with a smaller batch and a shorter chain
	SecondsPerStep    float64        `json:"seconds_per_iteration"`
	Hours             float64        `json:"hours"`
	Device            string         `json:"device"`
	Threads           int            `json:"threads"`
	Precision         string         `json:"precision"`
	DiskBytes         int64          `json:"disk_bytes"`             // of the checkpoints that log.keep asks for
	MemoryBytes       float64        `json:"memory_bytes,omitempty"` // an estimate for the peak of a step, without the data set and the measurements; 0: unknown
}

// CountCost returns the cost without times. It counts the parameters and operations of the networks without making
// them.
func CountCost(cfg Config, h models.EncoderConfig) (*Cost, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	size := cfg.Data.Size
	params := map[string]int{"E": cfg.Energy.Count(size).Params, "G": cfg.Generator.Count().Params, "q": cfg.Inference.Count(size).Params, "h": h.Count(size).Params}
	// Weights, their averages and Adam's moments. q and a joint h have no averages.
	averages := 1 + len(cfg.EMAs)
	floats := (averages+floatsPerWeight(cfg.OptE))*params["E"] + (averages+floatsPerWeight(cfg.OptG))*params["G"]
	if cfg.Target == ERM {
		floats += floatsPerWeight(cfg.OptQ) * params["q"]
	}
	if cfg.Encoder == Joint {
		floats += floatsPerWeight(cfg.OptH) * params["h"]
	}
	return &Cost{Preset: cfg.Preset, Params: params, Steps: cfg.Steps, Batch: cfg.Batch, FLOPsPerIteration: cfg.flops(h),
		Precision: cfg.Precision, DiskBytes: 4 * int64(floats) * int64(cfg.Log.Keep)}, nil
}

// floatsPerWeight is the number of floats in a checkpoint for each weight that an optimiser trains: the weight and Adam's moments. The mean
// gradient is not kept if β₁ is 0.
func floatsPerWeight(o OptimConfig) int {
	if o.Beta1 > 0 {
		return 3
	}
	return 2
}

// CountInferenceCost is [CountCost] of [TrainInference]: q learns over a frozen G and h (Eq. 26).
func CountInferenceCost(cfg Config, h models.EncoderConfig) (*Cost, error) {
	c, err := CountCost(cfg, h)
	if err != nil {
		return nil, err
	}
	size := cfg.Data.Size
	g, q, latent := cfg.Generator.Count().FLOPs, cfg.Inference.Count(size).FLOPs, h.Count(size).FLOPs
	c.FLOPsPerIteration = float64(cfg.Batch) * (latent + 3*q + 2*g + 2*latent) // z; q; the gradient passes through G and h
	c.DiskBytes = 4 * int64(floatsPerWeight(cfg.OptQ)*c.Params["q"]) * int64(cfg.Log.Keep)
	return c, nil
}

// CountPretrainingCost is [CountCost] of [Pretrain]. It counts the networks, not the loss, which is small beside them.
func CountPretrainingCost(cfg SSLConfig) (*Cost, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h := cfg.Encoder.Count(cfg.Data.Size)
	perView, floats := 3*h.FLOPs, 3*h.Params // weights and Adam's two moments
	if cfg.Target == BYOL {                  // the predictor learns, the averaged encoder does not
		d, hidden := cfg.Encoder.LatentDim, cfg.Encoder.HeadDim
		perView += 3*2*2*float64(d*hidden) + h.FLOPs
		floats += 3*(2*d*hidden+3*hidden+d) + h.Params
	}
	return &Cost{Preset: cfg.Preset, Params: map[string]int{"h": h.Params}, Steps: cfg.Steps, Batch: cfg.Batch,
		FLOPsPerIteration: 2 * float64(cfg.Batch) * perView, Precision: "float32", DiskBytes: 4 * int64(floats) * int64(cfg.Log.Keep)}, nil
}

// MeasureCost returns the cost with times and memory. It runs iterations with two small batches on this machine. It scales the
// time of the smaller batch by the number of operations, and extrapolates the memory of both batches linearly to the batch of
// cfg.
func MeasureCost(ctx context.Context, cfg Config, h models.EncoderConfig, device torch.Device) (*Cost, error) {
	p, err := CountCost(cfg, h)
	if err != nil {
		return nil, err
	}
	small := cfg
	small.Batch, small.Chain.Steps = min(cfg.Batch, 4*cfg.BatchSplit), min(cfg.Chain.Steps, 2)
	err = withTrainer(small, h, device, func(t *Trainer) error {
		return p.measure(ctx, device, small.Batch, small.flops(h), func(n, i int) (float64, error) {
			t.cfg.Batch = n
			return t.timed(i)
		})
	})
	return p, err
}

// MeasurePretrainingCost is [MeasureCost] of [Pretrain].
func MeasurePretrainingCost(ctx context.Context, cfg SSLConfig, device torch.Device) (*Cost, error) {
	p, err := CountPretrainingCost(cfg)
	if err != nil {
		return nil, err
	}
	small := min(cfg.Batch, 16)
	if cfg.Target == WMSE {
		small = cfg.Whiten
	}
	s, err := newSSL(cfg, device)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return p, torch.Do(func() error {
		return p.measure(ctx, device, small, p.FLOPsPerIteration*float64(small)/float64(cfg.Batch), func(n, i int) (float64, error) {
			return timed(cfg.Seed, i, []int{n, cfg.Encoder.Channels, cfg.Data.Size, cfg.Data.Size}, func(x torch.Tensor) error {
				_, err := s.Step(x)
				return err
			})
		})
	})
}

// measure fills in times and memory. step makes iteration i with n images and returns its seconds. flops is the number of operations
// of an iteration with the small batch.
func (p *Cost) measure(ctx context.Context, device torch.Device, small int, flops float64, step func(n, i int) (float64, error)) error {
	peak := PeakMemory(device)
	seconds, err := medianTime(ctx, 2, func(i int) (float64, error) { return step(small, i) })
	if err != nil {
		return err
	}
	p.MemoryBytes = peak()
	if larger := min(p.Batch, 2*small); larger > small {
		peak = PeakMemory(device)
		if _, err := medianTime(ctx, 1, func(i int) (float64, error) { return step(larger, i) }); err != nil {
			return err
		}
		p.MemoryBytes += (peak() - p.MemoryBytes) / float64(larger-small) * float64(p.Batch-small)
	}
	p.GFLOPPerSecond, p.SecondsPerStep = flops/seconds/1e9, seconds*p.FLOPsPerIteration/flops
	p.Device, p.Threads = device.String(), torch.Threads()
	p.Hours = p.SecondsPerStep * float64(p.Steps) / 3600
	return nil
}

// flops is the number of operations of one iteration of Algorithm 1. A gradient in the input counts as one more
// forward pass, and a gradient in the weights as another one.
func (c Config) flops(h models.EncoderConfig) float64 {
	e, g, latent := c.Energy.Count(c.Data.Size).FLOPs, c.Generator.Count().FLOPs, h.Count(c.Data.Size).FLOPs
	chains := 2 * float64(c.Chain.Steps) * 2 * e
	if c.Target == EJM {
		chains += float64(c.Chain.Steps) * 2 * latent
	}
	perImage := chains + 3*g + g + 2*3*e
	if c.NeedsEncoder() {
		perImage += latent
	}
	if c.Target == ERM {
		perImage += 3*c.Inference.Count(c.Data.Size).FLOPs + 3*g
		if c.Rho > 0 {
			perImage += 2 * latent
		}
	}
	if c.Encoder == Joint {
		perImage += 2 * 3 * latent
	}
	return float64(c.Batch) * perImage
}

// MeasureStep runs iters+1 iterations of Algorithm 1 on random images. It returns the median time in seconds of
// an iteration, without the first one.
func MeasureStep(ctx context.Context, cfg Config, h models.EncoderConfig, device torch.Device, iters int) (seconds float64, err error) {
	err = withTrainer(cfg, h, device, func(t *Trainer) (err error) {
		seconds, err = medianTime(ctx, iters, t.timed)
		return err
	})
	return seconds, err
}

// medianTime makes iters+1 iterations, and returns the median of their seconds without the first one.
func medianTime(ctx context.Context, iters int, step func(i int) (seconds float64, err error)) (float64, error) {
	var all []float64
	for i := range iters + 1 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		seconds, err := step(i)
		if err != nil {
			return 0, err
		}
		if i > 0 {
			all = append(all, seconds)
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// withTrainer calls f with a trainer whose encoder is not trained. It opens one scope, so that f has one thread
// and its OpenMP pool.
func withTrainer(cfg Config, h models.EncoderConfig, device torch.Device, f func(t *Trainer) error) error {
	encoder, err := models.NewEncoder(h, cfg.Data.Range, cfg.Seed)
	if err != nil {
		return err
	}
	t, err := NewTrainer(cfg, encoder, device)
	if err != nil {
		nn.Close(encoder)
		return err
	}
	defer t.Close()
	return torch.Do(func() error { return f(t) })
}

// timed is the time in seconds of iteration i on random images.
func (t *Trainer) timed(i int) (seconds float64, err error) {
	size := t.cfg.Data.Size
	return timed(t.cfg.Seed, i, []int{t.cfg.Batch, t.cfg.Energy.Channels, size, size}, func(x torch.Tensor) error {
		_, err := t.Step(x)
		return err
	})
}

// timed is the time in seconds of step on random images of a shape.
func timed(seed uint64, i int, shape []int, step func(x torch.Tensor) error) (seconds float64, err error) {
	err = torch.Do(func() error {
		x := torch.NewRNG(seed, i, "bench").Uniform(0, 1, shape...)
		start := time.Now()
		err := step(x)
		seconds = time.Since(start).Seconds()
		return err
	})
	return seconds, err
}
