package train

import (
	"cmp"
	"time"

	"github.com/liebm/liebm/torch"
)

// budget turns minutes into steps while the learning rate is held. Until then the factor of the schedule is 1 for
// any number of steps, so the run is the same as one with the final config from the start.
type budget struct {
	minutes float64 // 0: none was given, or it has become a number of steps
	used    float64 // minutes of earlier starts
	began   time.Time
	first   int
}

// newBudget returns the minutes of o. A resumed run for which o has none gets the minutes that it has left.
func newBudget(o *Options) (*budget, error) {
	b := &budget{}
	if o.Resume && o.Steps == 0 {
		info, err := ReadInfo(o.Out)
		if err != nil {
			return b, err
		}
		if o.Minutes = cmp.Or(o.Minutes, info.Minutes); o.Minutes == info.Minutes {
			b.used = info.MinutesUsed
		}
	}
	b.minutes = o.Minutes
	return b, nil
}

// plan estimates cfg.Steps from the speed so far. When the learning rate is about to fall, the number becomes final, and no minutes
// are left.
func (b *budget) plan(step int, cfg *Config) {
	now := time.Since(b.began).Minutes()
	rate := float64(step-b.first) / now // steps a minute
	hold := cfg.Schedule.Hold
	cfg.Steps = max(step+1, b.first+int(rate*(b.minutes-b.used)))
	if (b.used+now)/b.minutes < hold {
		b.extend(step, cfg)
		return
	}
	cfg.Schedule.Hold = float64(step) / float64(cfg.Steps)
	b.minutes = 0
}

// extend makes the training long enough that the next step is still in the hold, while the number of steps is open.
func (b *budget) extend(step int, cfg *Config) {
	if hold := cfg.Schedule.Hold; b.minutes > 0 && hold > 0 {
		cfg.Steps = max(cfg.Steps, int(float64(step)/hold)+2)
	}
}

// keep writes to run.json how much of the budget is used, or that it has become a number of steps.
func (b *budget) keep(run *runDir) error {
	info, err := run.Info()
	if err != nil {
		return err
	}
	info.Minutes, info.MinutesUsed = b.minutes, 0
	if b.minutes > 0 {
		info.MinutesUsed = b.used + time.Since(b.began).Minutes()
	}
	return run.WriteInfo(info)
}

// share is plan with the clock of rank 0, for all processes of a group. It returns true when the number of steps becomes final.
func (b *budget) share(step int, cfg *Config, g *torch.Group) (settled bool, err error) {
	if b.minutes <= 0 {
		return false, nil
	}
	if g.Rank() == 0 {
		b.plan(step, cfg)
	}
	err = torch.Do(func() error {
		plan := torch.FromSlice([]float64{float64(cfg.Steps), cfg.Schedule.Hold, b.minutes})
		g.Broadcast(plan, 0)
		v := plan.Float64s()
		cfg.Steps, cfg.Schedule.Hold, b.minutes = int(v[0]), v[1], v[2]
		return nil
	})
	return b.minutes == 0, err
}
