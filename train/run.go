package train

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Options of [Run], [Pretrain] and [TrainInference]. Steps and Minutes decide how long a run trains. Device and Group change its
// result by rounding errors only, and the other options do not change it. Evaluate decides which checkpoint is kept as the best one.
type Options struct {
	Out     string            // run folder
	Resume  bool              // continue the run in Out
	Steps   int               // with Resume: another number of steps; 0: the config's
	Minutes float64           // of Run only: training time, which sets the number of steps; 0: the config's steps or, with Resume, the minutes that the run has left
	Device  torch.Device      // of the networks
	Version map[string]string // recorded in run.json, besides the versions of Go and libtorch
	Watch   Watch             // may be nil
	Save    <-chan os.Signal  // a signal makes the run save after the present step and go on; may be nil
	Log     io.Writer         // messages for a person; may be nil
	Group   *torch.Group      // of Run and Pretrain: the processes that share every batch; nil: this process alone

	// Probe measures an encoder during pretraining, every log.samples steps and at the end. Its metrics
	// are recorded with the others. It may be nil.
	Probe func(ctx context.Context, h *models.Encoder) ([]Metric, error)

	// Evaluate measures samples of G alone, whenever a grid of samples is drawn. Its metrics are
	// recorded with the others. The first metric is a distance. The checkpoint with the smallest
	// distance is kept as the best one. Evaluate may be nil.
	Evaluate func(ctx context.Context, samples *data.Set) ([]Metric, error)
}

// noMinutes returns an error if minutes are given for a job that has a number of steps.
func (o Options) noMinutes() error {
	if o.Minutes != 0 {
		return fmt.Errorf("%v minutes: only Run trains for a time; give a number of steps", o.Minutes)
	}
	return nil
}

func (o Options) printf(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, format+"\n", args...)
	}
}

// Run trains a model by Algorithm 1 on set, with the encoder in a file, and records it in the folder o.Out.
// encoder is empty if cfg reads no encoder. With o.Resume the run continues from the newest checkpoint
// that can be read, bit for bit with the same binary, CPU type, threads and processes. Run then uses the config
// and the encoder in the folder, and ignores cfg and encoder. If ctx ends, Run saves and returns ctx.Err().
//
// In a group every process calls Run with the same arguments, and trains on its share of each batch. If the arguments differ, all
// return an error. Rank 0 alone writes the folder. A run can be resumed by any number of processes. If the ctx of one
// process ends, all stop after the same step. If a process is lost, the others return an error that is
// torch.ErrPeerLost, and rank 0 saves the last complete step.
func Run(ctx context.Context, cfg Config, set *data.Set, encoder string, o Options) (err error) {
	if o.Resume {
		encoder = filepath.Join(o.Out, encoderFile)
		cfg, err = ReadConfig(o.Out)
		cfg.Steps = cmp.Or(o.Steps, cfg.Steps)
	}
	settings, file := cfg, encoder
	settings.Data.Name, settings.Data.Path = "", ""
	if !cfg.NeedsEncoder() {
		file = ""
	}
	run, err := o.start(settings, cfg.Batch, set, file, err)
	if err != nil {
		return err
	}
	defer closing(run, &err)
	if !o.Resume && file != "" {
		for _, w := range seenBy(filepath.Dir(encoder), cfg, set) {
			o.printf("warning: %s", w)
		}
	}
	t, err := loadTrainer(cfg, encoder, set, o.Device)
	if t != nil {
		defer t.Close()
	}
	b, wrong := newBudget(&o)
	if err := o.Group.Agree(cmp.Or(err, wrong)); err != nil {
		return err
	}
	l := t.loop(ctx, run, b, o)
	if run != nil {
		err = t.begin(l, run, set, encoder, o)
	}
	if err := o.Group.Agree(err); err != nil {
		return err
	}
	t.group = o.Group
	join(o.Group, t.trained())
	return torch.Do(func() error { // one scope, so one thread and its OpenMP pool
		spread(o.Group, t.trained(), &t.step)
		b.extend(t.step, &t.cfg)
		b.began, b.first = time.Now(), t.step
		for tries := 1; ; tries++ {
			err := l.drive(ctx, run, set, o)
			if err == nil {
				return run.finish(t.cfg.Steps, o)
			}
			if err := t.goBack(run, err, tries, o); err != nil {
				return err
			}
		}
	})
}

// seenBy warns if the run with the encoder in dir was trained on images that this run holds out or leaves out, as far as it can tell.
func seenBy(dir string, cfg Config, set *data.Set) (warnings []string) {
	info, err := ReadInfo(dir)
	_, same := info.Data[set.Name]
	if held := info.HeldOut; err == nil && set.Division != nil && (held == nil && same || held != nil && *held != *set.Division) {
		warnings = append(warnings, "the encoder was trained on images that this run holds out: use the data, size, data.hold_out and data.split_seed of the encoder")
	}
	var without []int
	if c, err := ReadSSLConfig(dir); err == nil {
		without = c.Data.LeaveOut
	} else if c, err := ReadConfig(dir); err == nil {
		without = c.Data.LeaveOut
	} else {
		return warnings
	}
	seen := slices.DeleteFunc(slices.Clone(cfg.Data.LeaveOut), func(class int) bool { return slices.Contains(without, class) })
	if len(seen) > 0 {
		warnings = append(warnings, fmt.Sprintf("the encoder was trained on images of the classes %v, which this run leaves out: pretrain one with data.leave_out=%v",
			seen, strings.ReplaceAll(fmt.Sprint(cfg.Data.LeaveOut), " ", ",")))
	}
	return warnings
}

// loadTrainer makes a trainer with the encoder in a file. images are those of an h that has no file.
func loadTrainer(cfg Config, encoder string, images *data.Set, device torch.Device) (*Trainer, error) {
	h, err := cfg.loadEncoder(encoder, images)
	if err != nil {
		return nil, fmt.Errorf("read the encoder: %w", err)
	}
	t, err := NewTrainer(cfg, h, device)
	if err != nil {
		nn.Close(h)
	}
	return t, err
}

// loop is Algorithm 1 in a run folder, which is nil in a process that writes none.
func (t *Trainer) loop(ctx context.Context, run *runDir, b *budget, o Options) *loop {
	steps := t.cfg.Steps
	if b.minutes > 0 {
		steps = 0
	}
	l := &loop{
		cfg: t.cfg, seed: t.cfg.Seed, batch: t.cfg.Batch, flip: t.cfg.Data.Flip, log: t.cfg.Log, made: &t.step, steps: &t.cfg.Steps,
		format: trainerFormat, parts: t.trained(), warn: warnOfCollapse, budget: b, rule: t.cfg.Schedule.rule(steps),
		step: func(x torch.Tensor) ([]Metric, error) {
			loss, err := t.Step(x)
			if err != nil {
				return t.metrics(loss), err
			}
			settled, err := b.share(t.step, &t.cfg, o.Group)
			if err == nil && settled && run != nil {
				o.printf("%d steps fit into %.3g minutes", t.cfg.Steps, o.Minutes)
				if err = run.WriteConfig(t.cfg); err == nil {
					err = b.keep(run)
				}
			}
			return t.metrics(loss), err
		},
		load: func(path string) error {
			err := t.Load(path)
			b.extend(t.step, &t.cfg)
			return err
		},
		picture: func(name string) error {
			_, _, err := t.draw(run, name, t.G, t.E, nn.Eval) // the batch's statistics would need all processes of a group
			return err
		},
	}
	l.samples = func(tb *tensorBoard) ([]Metric, error) {
		if err := t.drawGrid(run, tb); err != nil || o.Evaluate == nil {
			return nil, err
		}
		samples, err := t.quickSamples()
		if err != nil {
			return nil, err
		}
		values, err := o.Evaluate(ctx, samples)
		if err != nil || len(values) == 0 {
			return nil, err
		}
		return values, run.keepBest(values[0], l.save)
	}
	return l
}

// begin writes the files that a run folder has before the first step, and loads the state of a resumed run.
func (t *Trainer) begin(l *loop, run *runDir, set *data.Set, encoder string, o Options) error {
	if !o.Resume && t.H != nil {
		if err := writeNetwork(run.Path(encoderFile), kindH, nn.Entries("", t.H), t.H.Config, nil); err != nil {
			return err
		}
	}
	if !o.Resume && encoder != "" {
		if err := run.keepPretraining(filepath.Dir(encoder)); err != nil {
			return err
		}
	}
	if err := l.begin(run, set, t.parts(), o); err != nil {
		return err
	}
	for _, w := range t.cfg.Warnings() {
		o.printf("warning: %s", w)
	}
	return nil
}

// After a divergence a run goes back to its last checkpoint and continues with a smaller chain step and a
// smaller learning rate of E. It does so at most maxTries times. Runs diverge when δ²/2 outgrows the
// curvature of E: chains overshoot to points where E is low, and E learns to make them lower still.
const (
	calmer   = 0.7 // factor of both
	maxTries = 3
)

// goBack prepares another try after a divergence, which all processes of a group see. It returns any other failure, and a
// divergence after maxTries tries.
func (t *Trainer) goBack(run *runDir, failure error, tries int, o Options) error {
	var d *Diverged
	if !errors.As(failure, &d) || tries > maxTries {
		return failure
	}
	var err error
	if run != nil {
		err = t.reload(run, failure)
	}
	if err := o.Group.Agree(err); err != nil {
		return err
	}
	t.cfg.Chain.Delta2 *= calmer
	t.cfg.OptE.LR *= calmer
	spread(o.Group, t.trained(), &t.step)
	if run == nil {
		return nil
	}
	o.printf("warning: step %d: %s is %.3g: training diverged; going back to step %d with chain.delta2 %.3g and opt_e.lr %.3g (%d of %d)",
		d.Step, d.Name, d.Value, t.step, t.cfg.Chain.Delta2, t.cfg.OptE.LR, tries, maxTries)
	return run.WriteConfig(t.cfg)
}

func (t *Trainer) reload(run *runDir, failure error) error {
	last, _, err := run.LastCheckpoint()
	if err != nil {
		return failure // there is no checkpoint
	}
	if err := t.Load(last.Path); err != nil {
		return errors.Join(failure, err)
	}
	return nil
}

// drawGrid writes samples of the averaged networks, from the same latents every time.
func (t *Trainer) drawGrid(run *runDir, tb *tensorBoard) error {
	picture, side, err := t.draw(run, fmt.Sprintf("step-%08d", t.step), t.AvgG, t.AvgE, nn.BatchStats)
	if err != nil {
		return err
	}
	tb.Image(t.step, "samples", picture, side, side)
	return nil
}

// draw writes samples, 8×8, as a PNG. It returns the file and its height and width. mode is that of the batch norms of g.
func (t *Trainer) draw(run *runDir, name string, g *models.Generator, e *models.Energy, mode nn.Mode) (picture []byte, side int, err error) {
	const n = 64
	images := t.cfg.pictures()
	err = torch.Do(func() error {
		rng := torch.NewRNG(t.cfg.Seed, 0, "grid")
		images.add(drawSamples(g, e.Frozen(t.dtype), t.cfg, mode, t.cfg.Chain.Steps, rng, n))
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	set, err := images.set("", nil)
	if err != nil {
		return nil, 0, err
	}
	img, err := data.Grid(set.Pixels(), set.Shape, 8)
	if err != nil {
		return nil, 0, err
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return nil, 0, err
	}
	if err := os.MkdirAll(run.Path(samplesFolder), 0o777); err != nil {
		return nil, 0, err
	}
	return buf.Bytes(), img.Bounds().Dx(), run.write(filepath.Join(samplesFolder, name+".png"), buf.Bytes())
}

// defaultMeasured is the number of samples where log.measured is 0.
const defaultMeasured = 2000

// quickSamples are images of the averaged G alone, normalised by the batch, for a measurement during
// training. Each batch is whole, so that the first images are the same for any number.
func (t *Trainer) quickSamples() (*data.Set, error) {
	n, batch := cmp.Or(t.cfg.Log.Measured, defaultMeasured), t.cfg.samplesAtOnce()
	images := t.cfg.pictures()
	err := torch.Do(func() error {
		for i := range (n + batch - 1) / batch {
			torch.Tidy(func() torch.Tensor {
				images.add(drawSamples(t.AvgG, nil, t.cfg, nn.BatchStats, 0, torch.NewRNG(t.cfg.Seed, i, "quick"), batch))
				return torch.Tensor{}
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	set, err := images.set("", nil)
	if err != nil {
		return nil, err
	}
	return set.Head(n), nil
}
