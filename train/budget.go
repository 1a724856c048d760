package train

import (
	"time"

	"github.com/liebm/liebm/torch"
)

// budget turns minutes into steps while the learning rate is held. Until then the factor of the schedule is 1 for
// any number of steps, so the run is the same as one with the final config from the start.
type budget struct {
	minutes float64
	began   time.Time
	first   int
	done    bool
}

// plan estimates cfg.Steps, and settles it after the fraction of the time in which the rate is held. It
// reports whether it has just settled it.
func (b *budget) plan(step int, cfg *Config) bool {
	if b.minutes <= 0 || b.done {
		return false
	}
	used := time.Since(b.began).Minutes() / b.minutes
	rate := float64(step-b.first) / used // steps in the whole budget
	hold := cfg.Schedule.Hold
	cfg.Steps = max(step+1, b.first+int(rate))
	if used < hold {
		cfg.Steps = max(cfg.Steps, int(float64(step)/hold)+2) // the present step is still in the hold
		return false
	}
	cfg.Schedule.Hold = float64(step) / float64(cfg.Steps)
	b.done = true
	return true
}

// share is plan with the clock of rank 0, for all processes of a group.
func (b *budget) share(step int, cfg *Config, g *torch.Group) (settled bool, err error) {
	if g.Rank() == 0 {
		settled = b.plan(step, cfg)
	}
	if g == nil || b.minutes <= 0 || b.done && !settled {
		return settled, nil
	}
	err = torch.Do(func() error {
		plan := torch.FromSlice([]float64{float64(cfg.Steps), cfg.Schedule.Hold, 0})
		if settled {
			plan.Select(0, 2).AddInPlace(torch.Scalar(1), 1)
		}
		g.Broadcast(plan, 0)
		v := plan.Float64s()
		cfg.Steps, cfg.Schedule.Hold, settled = int(v[0]), v[1], v[2] > 0
		b.done = settled
		return nil
	})
	return settled, err
}
