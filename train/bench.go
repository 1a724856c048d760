package train

import (
	"context"
	"slices"
	"time"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// MeasureStep returns the median seconds of one whole iteration of Algorithm 1, both chains, over
// iters iterations on random images, after one that is not counted.
func MeasureStep(ctx context.Context, cfg Config, device torch.Device, iters int) (float64, error) {
	h, err := models.NewEncoder(EncoderFor(cfg), cfg.Data.Range, cfg.Seed)
	if err != nil {
		return 0, err
	}
	t, err := NewTrainer(cfg, h, device)
	if err != nil {
		return 0, err
	}
	defer t.Close()
	var seconds []float64
	for i := range iters + 1 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var took time.Duration
		err := torch.Do(func() error {
			x := torch.NewRNG(cfg.Seed, i, "bench").Uniform(cfg.Data.Range.Low, cfg.Data.Range.High, cfg.Batch, cfg.Energy.Channels, cfg.Data.Size, cfg.Data.Size)
			start := time.Now()
			_, err := t.Step(x)
			took = time.Since(start)
			return err
		})
		if err != nil {
			return 0, err
		}
		if i > 0 {
			seconds = append(seconds, took.Seconds())
		}
	}
	slices.Sort(seconds)
	return seconds[len(seconds)/2], nil
}
