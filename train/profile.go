package train

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// Profile is the time that each part of an iteration of Algorithm 1 takes, as means over iterations.
type Profile struct {
	Preset     string       `json:"preset"`
	Precision  string       `json:"precision"` // of the chains
	Batch      int          `json:"batch"`
	ChainSteps int          `json:"chain_steps"`
	Threads    int          `json:"threads"`
	Iterations int          `json:"iterations"`
	Seconds    float64      `json:"seconds_per_iteration"`
	Roofline   Roofline     `json:"roofline"`
	Parts      []ProfileRow `json:"parts"`     // of Algorithm 1, in its order
	Operators  []ProfileRow `json:"operators"` // in all parts together, the slowest first
	Detail     []ProfileRow `json:"detail"`    // by part and operator
}

// ProfileRow is the cost of a part or an operator in one iteration.
type ProfileRow struct {
	Part           string  `json:"part,omitempty"`
	Operator       string  `json:"operator,omitempty"`
	Calls          float64 `json:"calls"`
	Milliseconds   float64 `json:"milliseconds"`
	Share          float64 `json:"share"`
	GFLOP          float64 `json:"gflop"` // of convolutions and matrix products
	GFLOPPerSecond float64 `json:"gflop_per_second"`
	GBPerSecond    float64 `json:"gb_per_second"` // of the tensors that went in and came out
	OfRoofline     float64 `json:"of_roofline"`   // the least time by the roofline, as a share of the time taken

	gigabytes, least float64 // of the tensors; the least time in milliseconds
}

// Roofline has two speeds that were measured on this machine. Conv is the speed of libtorch's 3×3 convolution of 256
// channels at 32×32, NHWC, in either precision. Memory is the speed of the memory in an addition. An operator of libtorch
// cannot do its operations faster than the first speed, or move its bytes faster than the second, unless its
// tensors are in the cache. The operations of a convolution are those of a direct one. So convolutions by Winograd's algorithm,
// which multiplies less, can be faster than the roofline.
type Roofline struct {
	Conv   map[string]float64 `json:"conv_gflop_per_second"` // by precision
	Memory float64            `json:"memory_gb_per_second"`
}

// MeasureProfile runs iters+1 iterations on the CPU, profiles all but the first one, and measures the roofline.
// It calls done after each iteration; done may be nil.
func MeasureProfile(ctx context.Context, cfg Config, h models.EncoderConfig, iters int, done func(iteration int)) (*Profile, error) {
	p := &Profile{Preset: cfg.Preset, Precision: cfg.Precision, Batch: cfg.Batch, ChainSteps: cfg.Chain.Steps,
		Threads: torch.Threads(), Iterations: iters}
	err := withTrainer(cfg, h, torch.Device{}, func(t *Trainer) error {
		clock := &partClock{spent: map[string]time.Duration{}}
		iteration := func(i int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := t.timed(i)
			t.begins("")
			if done != nil {
				done(i)
			}
			return err
		}
		if err := iteration(0); err != nil {
			return err
		}
		ops, err := torch.Profile(func(part func(string)) error {
			t.onPart = func(name string) { clock.enter(name); part(name) }
			for i := range iters {
				if err := iteration(i + 1); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.Roofline = measureRoofline(cfg.Batch)
		p.fill(ops, clock)
		return nil
	})
	return p, err
}

// partClock measures how long each part of an iteration takes. A part named "" is not counted.
type partClock struct {
	names []string
	spent map[string]time.Duration
	part  string // the part that runs
	since time.Time
}

func (c *partClock) enter(name string) {
	if c.part != "" {
		c.spent[c.part] += time.Since(c.since)
	}
	if name != "" && !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
	}
	c.part, c.since = name, time.Now()
}

func (p *Profile) fill(ops []torch.OpTime, clock *partClock) {
	per := float64(p.Iterations)
	parts, operators := map[string]ProfileRow{}, map[string]ProfileRow{}
	for _, op := range ops {
		if clock.spent[op.Part] == 0 { // outside the iteration, where its images are made
			continue
		}
		row := ProfileRow{Part: op.Part, Operator: op.Op, Calls: float64(op.Calls) / per, Milliseconds: 1e3 * op.Time.Seconds() / per,
			GFLOP: op.FLOPs / per / 1e9, gigabytes: op.Bytes / per / 1e9, least: 1e3 * p.Roofline.allows(op, p.precision(op.Part)) / per}
		parts[op.Part] = parts[op.Part].plus(row)
		operators[op.Op] = operators[op.Op].plus(row)
		p.Detail = append(p.Detail, row)
	}
	for _, name := range clock.names {
		row := parts[name]
		row.Part, row.Milliseconds = name, 1e3*clock.spent[name].Seconds()/per // with the time between operators
		p.Parts = append(p.Parts, row)
		p.Seconds += row.Milliseconds / 1e3
	}
	for name, row := range operators {
		row.Operator = name
		p.Operators = append(p.Operators, row)
	}
	longest := func(a, b ProfileRow) int { return cmp.Compare(b.Milliseconds, a.Milliseconds) }
	slices.SortFunc(p.Operators, longest)
	slices.SortFunc(p.Detail, longest)
	for _, rows := range [][]ProfileRow{p.Parts, p.Operators, p.Detail} {
		for i := range rows {
			rows[i].rate(1e3 * p.Seconds)
		}
	}
}

// precision is the precision of the convolutions of a part.
func (p *Profile) precision(part string) string {
	if part == chainOfG || part == chainOfE {
		return p.Precision
	}
	return "float32"
}

// plus returns the sum of the costs of two rows.
func (r ProfileRow) plus(o ProfileRow) ProfileRow {
	return ProfileRow{Calls: r.Calls + o.Calls, Milliseconds: r.Milliseconds + o.Milliseconds, GFLOP: r.GFLOP + o.GFLOP,
		gigabytes: r.gigabytes + o.gigabytes, least: r.least + o.least}
}

// rate computes the speeds and shares of a row. whole is the time of an iteration in milliseconds.
func (r *ProfileRow) rate(whole float64) {
	ms := max(r.Milliseconds, 1e-6)
	r.Share, r.OfRoofline = r.Milliseconds/whole, r.least/ms
	r.GFLOPPerSecond, r.GBPerSecond = 1e3*r.GFLOP/ms, 1e3*r.gigabytes/ms
}

// allows is the least time, in seconds, of an operator's arithmetic or its memory traffic.
func (r Roofline) allows(op torch.OpTime, precision string) float64 {
	return max(op.FLOPs/r.Conv[precision], op.Bytes/r.Memory) / 1e9
}

func measureRoofline(batch int) Roofline {
	r := Roofline{Conv: map[string]float64{}}
	best := func(f func() torch.Tensor) float64 {
		seconds := math.Inf(1)
		for range 6 {
			start := time.Now()
			torch.Tidy(func() torch.Tensor { f(); return torch.Tensor{} })
			if seconds = min(seconds, time.Since(start).Seconds()); seconds > 3 {
				break // as bfloat16 on a CPU without instructions for it
			}
		}
		return seconds
	}
	rng := torch.NewRNG(0, 0, "roofline")
	x := rng.Normal(batch, 256, 32, 32).Contiguous(torch.ChannelsLast)
	w := rng.Normal(256, 256, 3, 3).Contiguous(torch.ChannelsLast)
	for name, dtype := range map[string]torch.DType{"float32": torch.Float32, "bfloat16": torch.BFloat16} {
		x, w := x.To(dtype), w.To(dtype)
		seconds := best(func() torch.Tensor { return torch.Call("aten::conv2d", x, w, nil, 1, 1).Tensor(0) })
		r.Conv[name] = 2 * float64(x.Numel()) * 256 * 9 / seconds / 1e9
	}
	const n = 32 << 20 // 128 MB each
	a, b := torch.Ones([]int{n}, torch.Float32), torch.Ones([]int{n}, torch.Float32)
	r.Memory = 3 * 4 * n / best(func() torch.Tensor { a.AddInPlace(b, 1); return a }) / 1e9
	return r
}

// Print writes the profile as tables. They leave out operators that take less than a thousandth of the time.
func (p *Profile) Print(w io.Writer) error {
	fmt.Fprintf(w, "%s, batch %d, T %d, %d threads, %s chains: %.4g s an iteration, mean of %d\n",
		p.Preset, p.Batch, p.ChainSteps, p.Threads, p.Precision, p.Seconds, p.Iterations)
	fmt.Fprintf(w, "roofline: 3×3 convolution of 256 channels at 32×32, %.0f GFLOP/s in float32, %.0f in bfloat16; memory, %.1f GB/s\n",
		p.Roofline.Conv["float32"], p.Roofline.Conv["bfloat16"], p.Roofline.Memory)
	for _, table := range []struct {
		title string
		name  func(ProfileRow) string
		rows  []ProfileRow
	}{
		{"part", func(r ProfileRow) string { return r.Part }, p.Parts},
		{"operator", func(r ProfileRow) string { return r.Operator }, p.Operators},
		{"operator in its part", func(r ProfileRow) string { return r.Operator + ", " + r.Part }, p.Detail},
	} {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "ms\tshare\tcalls\tGFLOP\tGFLOP/s\tGB/s\tof roofline\t  %s\n", table.title)
		for _, r := range table.rows {
			if r.Share < 1e-3 {
				continue
			}
			fmt.Fprintf(t, "%.1f\t%.1f%%\t%.0f\t%.1f\t%.0f\t%.1f\t%.0f%%\t  %s\n",
				r.Milliseconds, 100*r.Share, r.Calls, r.GFLOP, r.GFLOPPerSecond, r.GBPerSecond, 100*r.OfRoofline, table.name(r))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}
