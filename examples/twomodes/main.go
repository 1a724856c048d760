// Command twomodes asks whether a long training keeps both modes of a toy data set, and whether its chains keep moving:
//
//	go run ./examples/twomodes -out runs/two-modes
//
// In half of the images the left side is bright, in the others the right side. G learns from E alone (target=em, the
// paper's default). A training has collapsed if G draws one kind of image only. The program trains once from each
// seed. It counts the modes among samples in the course of every training, and writes OUT/two-modes.json and
// OUT/two-modes.md. If it is stopped, the same command goes on. The run folders lie beside the files, so that liebm compare
// can plot moves and energy gaps:
//
//	liebm compare --out stability runs/two-modes/two-modes-seed*
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/internal/twomodes"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/study"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/train"
)

// A result is what the trainings show.
type result struct {
	Command string     `json:"command"`
	Steps   int        `json:"steps"`
	Samples int        `json:"samples"` // that are counted each time
	Runs    []training `json:"runs"`
}

// A training is the course of one run, and the modes at its end after MCMC.
type training struct {
	Seed   uint64          `json:"seed"`
	Course []point         `json:"course"`
	MCMC   twomodes.Counts `json:"after_mcmc"`
}

// A point has the modes of G alone after a step, and the rms move of G's chains in the 50 steps before.
type point struct {
	Step int `json:"step"`
	twomodes.Counts
	Move float64 `json:"move_rms"`
}

const samples = 2000 // that are counted each time

// config is a small model whose chains are clipped and whose E has spectral norm. The ratio of the learning rates is Table 12's. If
// the chains are not clipped, training at these rates diverges within 400 steps.
func config(seed uint64, steps int) train.Config {
	c := train.FashionMNIST()
	c.Seed, c.Steps, c.Batch, c.EMA = seed, steps, 16, 0.995
	c.Data = train.DataConfig{Name: "two-modes", Size: twomodes.Size, Range: models.Range{Low: -1, High: 1}}
	c.Energy.Widths, c.Energy.Downs, c.Energy.SpectralNorm = []int{16, 16}, []bool{true, false}, true
	c.Energy.FeatureDim, c.Energy.HeadDim, c.Energy.LatentDim = 16, 16, 4
	c.Generator.LatentDim, c.Generator.Widths = 6, []int{16, 16}
	c.Views.FlipProb = 0 // a flip would make one mode the other
	c.Chain.Delta2, c.Chain.Clip = 50, 0.02
	c.OptE.LR, c.OptG.LR = 1e-4, 2e-4
	c.Log = train.LogConfig{Metrics: 50, Samples: max(1, min(1000, steps)), Checkpoint: max(1, min(1000, steps)), Keep: 2}
	return c
}

// pretrain makes the encoder of all seeds, unless it is there, and returns its file.
func pretrain(ctx context.Context, set *data.Set, dir string) (string, error) {
	c, err := train.SSLPreset("fmnist-simclr")
	if err != nil {
		return "", err
	}
	of := config(1, 1)
	c.Data, c.Views.FlipProb = of.Data, 0
	c.Batch, c.Steps, c.WarmUp, c.Drops = 16, 200, 20, nil
	c.Encoder = train.EncoderFor(of)
	c.Encoder.Widths, c.Encoder.Blocks, c.Encoder.HeadDim = []int{4, 8}, []int{1, 1}, 8
	if !isFinished(dir) {
		err = train.Pretrain(ctx, c, set, train.Options{Out: dir, Resume: study.IsRun(dir), Log: os.Stdout})
	}
	return train.EncoderPath(dir), err
}

func isFinished(dir string) bool {
	info, err := train.ReadInfo(dir)
	return err == nil && !info.Finished.IsZero()
}

// run trains one model, or goes on with its training, and reads its course.
func run(ctx context.Context, c train.Config, set *data.Set, encoder, dir string) (t training, err error) {
	if study.IsRun(dir) {
		begun, err := train.ReadConfig(dir)
		if err != nil {
			return t, err
		}
		if begun.Steps != c.Steps {
			return t, fmt.Errorf("%s holds a training of %d steps, not %d: choose another folder with -out", dir, begun.Steps, c.Steps)
		}
	}
	if !isFinished(dir) {
		err = train.Run(ctx, c, set, encoder, train.Options{Out: dir, Resume: study.IsRun(dir), Log: os.Stdout, Evaluate: evaluate})
		if err != nil {
			return t, err
		}
	}
	lines, err := train.ReadMetrics(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return t, err
	}
	t = training{Seed: c.Seed, Course: course(lines)}
	m, err := train.LoadModel(dir, torch.Device{})
	if err != nil {
		return t, err
	}
	defer m.Close()
	images, err := m.Sample(ctx, samples, train.SampleOptions{Seed: 1})
	if err == nil {
		t.MCMC = twomodes.Count(images)
	}
	return t, err
}

// evaluate counts the modes of samples in the course of training. The distance comes first: it chooses the best checkpoint.
func evaluate(_ context.Context, images *data.Set) ([]train.Metric, error) {
	c := twomodes.Count(images)
	return []train.Metric{{Name: "distance", Value: c.Distance}, {Name: "left", Value: c.Left}, {Name: "right", Value: c.Right}}, nil
}

// course are the steps after which modes were counted. The move of a step is in the line before.
func course(lines []train.MetricsLine) (points []point) {
	var move float64
	for _, line := range lines {
		if v, ok := line.Values["move_rms"]; ok {
			move = v
		}
		if left, ok := line.Values["left"]; ok {
			points = append(points, point{line.Step, twomodes.Counts{Left: left, Right: line.Values["right"], Distance: line.Values["distance"]}, move})
		}
	}
	return points
}

// runAll trains from every seed and writes the files of the result after each.
func runAll(ctx context.Context, out string, seeds, steps int) (*result, error) {
	torch.SetThreads(1) // tensors this small gain nothing from more
	set, err := twomodes.Images()
	if err != nil {
		return nil, err
	}
	defer set.Close()
	encoder, err := pretrain(ctx, set, filepath.Join(out, "encoder"))
	if err != nil {
		return nil, err
	}
	r := &result{Command: fmt.Sprintf("go run ./examples/twomodes -seeds %d -steps %d", seeds, steps), Steps: steps, Samples: samples}
	for seed := range seeds {
		dir := filepath.Join(out, fmt.Sprintf("two-modes-seed%d", seed+1))
		t, err := run(ctx, config(uint64(seed+1), steps), set, encoder, dir)
		if err != nil {
			return nil, err
		}
		r.Runs = append(r.Runs, t)
		if err := r.write(out); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *result) write(out string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := data.WriteBytes(filepath.Join(out, "two-modes.json"), append(text, '\n')); err != nil {
		return err
	}
	return data.WriteBytes(filepath.Join(out, "two-modes.md"), []byte(r.markdown()))
}

// markdown is the result as a page.
func (r *result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Two modes by target=em, counted along %d steps\n\n    %s\n\n", r.Steps, r.Command)
	c := config(1, r.Steps)
	fmt.Fprintf(&b, "Two kinds of images of %d×%d pixels, with noise; spectral norm, δ² %v, clip %v, rates %v of E and %v of G. Each row is one\n"+
		"training. Each count is of %d samples: in the course of training of G alone, at the end also after MCMC. A sample shows a mode\n"+
		"if its distance from it is below 32 grey levels (root of the mean square). The modes are 128 grey levels apart.\n", twomodes.Size, twomodes.Size, c.Chain.Delta2, c.Chain.Clip, c.OptE.LR, c.OptG.LR, r.Samples)
	r.table(&b, "Share of samples in the mode with a bright left half", func(p point) float64 { return p.Left }, func(c twomodes.Counts) float64 { return c.Left })
	r.table(&b, "Share of samples in the mode with a bright right half", func(p point) float64 { return p.Right }, func(c twomodes.Counts) float64 { return c.Right })
	r.table(&b, "Move of G's chains, rms(x^T − x⁰), mean of the last 50 steps", func(p point) float64 { return p.Move }, nil)
	return b.String()
}

// table has a number of every training in the course of its steps and, unless end is nil, at the end after MCMC.
func (r *result) table(b *strings.Builder, title string, of func(point) float64, end func(twomodes.Counts) float64) {
	steps, rule := "", ""
	for _, p := range r.Runs[0].Course {
		steps, rule = steps+fmt.Sprintf(" step %d |", p.Step), rule+"---|"
	}
	if end != nil {
		steps, rule = steps+" after MCMC |", rule+"---|"
	}
	fmt.Fprintf(b, "\n%s:\n\n| seed |%s\n|---|%s\n", title, steps, rule)
	for _, t := range r.Runs {
		fmt.Fprintf(b, "| %d |", t.Seed)
		for _, p := range t.Course {
			fmt.Fprintf(b, " %.3f |", of(p))
		}
		if end != nil {
			fmt.Fprintf(b, " %.3f |", end(t.MCMC))
		}
		fmt.Fprintln(b)
	}
}

func main() {
	out := flag.String("out", "runs/two-modes", "folder for the runs and the result")
	seeds := flag.Int("seeds", 8, "number of trainings")
	steps := flag.Int("steps", 10_000, "steps of each training")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := runAll(ctx, *out, *seeds, *steps); err != nil {
		log.Fatal(err)
	}
	fmt.Println("result:", filepath.Join(*out, "two-modes.md"))
}
