package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/cpu"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// BenchmarkStep times the steps of training, pretraining, sampling and scoring beside PyTorch doing the same work on
// the same libtorch and threads (testdata/_pytorch.py), where Debian's python3-torch is installed: eager and compiled,
// each in NCHW and NHWC. All of them run in turn, round after round. Read the ratios: x-best is the time of the fastest
// of PyTorch's variants over that of liebm in float32, the median over the rounds. torch.compile needs PyTorch 2, g++,
// python3-dev and python3-setuptools.
//
//	make bench BENCH=Step PKG=./train
//	make bench BENCH=Step/train/fmnist PKG=./train
func BenchmarkStep(b *testing.B) {
	before := torch.Threads()
	require.NoError(b, torch.SetThreads(runtime.NumCPU()))
	defer torch.SetThreads(before)
	cifar, fashion := CIFAR10(), FashionMNIST()
	cifar.Batch = 16
	ssl, err := SSLPreset("fmnist-simclr")
	require.NoError(b, err)
	use := (&Model{Config: fashion}).Batch()
	for _, j := range []job{
		{Work: "train", Config: fashion, Batch: fashion.Batch, iters: 20, rounds: 7},
		{Work: "pretrain", Config: fashion, Batch: ssl.Batch, iters: 10, rounds: 5},
		{Work: "sample", Config: fashion, Batch: use, iters: 10, rounds: 7},
		{Work: "scores", Config: fashion, Batch: use, iters: 20, rounds: 7},
		{Work: "train", Config: cifar, Batch: cifar.Batch, iters: 1, rounds: 3},
	} {
		b.Run(j.Work+"/"+j.Config.Preset, func(b *testing.B) {
			require.NoError(b, torch.Do(func() error { race(b, j); return nil })) // one thread, and its OpenMP pool
		})
	}
}

// bfloat16 reports whether the CPU has instructions for it. Without them its convolutions are far slower than those in float32.
var bfloat16 = cpu.X86.HasAVX512BF16 || cpu.X86.HasAMXBF16

// job is a row of BenchmarkStep. Its exported fields are read by testdata/_pytorch.py.
type job struct {
	Work                  string // train, pretrain, sample or scores
	Config                Config
	Encoder               models.EncoderConfig
	Batch, Threads        int
	ChannelsLast, Compile bool
	iters, rounds         int
}

// turn is the median time of an iteration, and the peak of the process's memory during the turn.
type turn struct{ Seconds, PeakMB float64 }

// contestant makes an iteration that is not timed, then n iterations of a job. While others have their turns, it loses its place in the
// caches, and some systems take its pages away.
type contestant func(n int) (turn, error)

// race runs the contestants in turn and reports their medians over the rounds.
func race(b *testing.B, j job) {
	j.Encoder, j.Threads = EncoderFor(j.Config), torch.Threads()
	var names []string
	all := map[string]contestant{}
	times, peak := map[string][]float64{}, map[string]float64{}
	add := func(name string, c contestant, err error) {
		if err == nil {
			var t turn
			t, err = c(1)         // start up
			peak[name] = t.PeakMB // before further contestants use the memory of this process
		}
		if err != nil {
			b.Logf("%s is not measured: %v", name, err)
			return
		}
		all[name], names = c, append(names, name)
	}
	for i, name := range []string{"eager", "eager-nhwc", "compiled", "compiled-nhwc"} {
		j.ChannelsLast, j.Compile = i%2 == 1, i >= 2
		c, err := pytorch(b, j)
		add(name, c, err)
	}
	theirs := slices.Clone(names)
	for _, precision := range []string{"float32", "bfloat16"} {
		if precision == "float32" || bfloat16 && (j.Work == "train" || j.Work == "sample") {
			j.Config.Precision = precision
			add(precision, ours(b, j), nil)
		}
	}
	for range j.rounds {
		for _, name := range names {
			t, err := all[name](j.iters)
			require.NoError(b, err)
			times[name] = append(times[name], t.Seconds)
		}
	}
	b.ReportMetric(0, "ns/op") // so that it is not printed
	for _, name := range names {
		b.ReportMetric(median(times[name]), name+"-s")
	}
	b.ReportMetric(peak["float32"], "float32-MB")
	if len(theirs) == 0 {
		return
	}
	best := slices.MinFunc(theirs, func(x, y string) int { return cmp.Compare(median(times[x]), median(times[y])) })
	b.ReportMetric(peak[best], "best-MB")
	for name, column := range map[string]string{"float32": "x-best", "bfloat16": "bfloat16-x-best"} {
		var ratios []float64
		for i, seconds := range times[name] {
			ratios = append(ratios, times[best][i]/seconds)
		}
		if len(ratios) > 0 {
			b.ReportMetric(median(ratios), column)
		}
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// pytorch starts the Python yardstick, which ends with the benchmark.
func pytorch(b *testing.B, j job) (contestant, error) {
	text, err := json.Marshal(j)
	require.NoError(b, err)
	command, message := exec.Command("/usr/bin/python3", "testdata/_pytorch.py", string(text)), new(strings.Builder)
	command.Stderr = message
	// OpenBLAS's own threads would fight OpenMP's, and another core type can halve its speed.
	command.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OPENBLAS_") })
	command.Env = append(command.Env, "OPENBLAS_NUM_THREADS=1")
	in, err := command.StdinPipe()
	require.NoError(b, err)
	out, err := command.StdoutPipe()
	require.NoError(b, err)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%w: apt install python3-torch", err)
	}
	b.Cleanup(func() {
		in.Close()
		command.Wait()
	})
	answers := json.NewDecoder(out)
	return func(n int) (t turn, err error) {
		fmt.Fprintln(in, n)
		if err = answers.Decode(&t); err != nil {
			command.Wait() // until all of the message is there
			lines := strings.Split(strings.TrimSpace(message.String()), "\n")
			err = fmt.Errorf("%s (it needs python3-torch)", lines[len(lines)-1])
		}
		return t, err
	}, nil
}

// ours is liebm as a contestant. It needs an open scope.
func ours(b *testing.B, j job) contestant {
	step, size := iteration(b, j), j.Config.Data.Size
	return func(n int) (t turn, err error) {
		peak := PeakMemory(torch.Device{})
		seconds := make([]float64, n+1)
		for i := range seconds {
			err = errors.Join(err, torch.Do(func() error {
				x := torch.NewRNG(1, i, "bench").Uniform(0, 1, j.Batch, j.Config.Energy.Channels, size, size)
				start := time.Now()
				err := step(x)
				seconds[i] = time.Since(start).Seconds()
				return err
			}))
		}
		return turn{median(seconds[1:]), peak() / (1 << 20)}, err
	}
}

// iteration returns a function that makes an iteration of the job with images in [0,1].
func iteration(b *testing.B, j job) func(x torch.Tensor) error {
	if j.Work == "pretrain" {
		cfg, err := SSLPreset("fmnist-simclr")
		require.NoError(b, err)
		s, err := newSSL(cfg, torch.Device{})
		require.NoError(b, err)
		b.Cleanup(s.close)
		return func(x torch.Tensor) error { _, err := s.Step(x); return err }
	}
	h, err := models.NewEncoder(j.Encoder, j.Config.Data.Range, 1)
	require.NoError(b, err)
	t, err := NewTrainer(j.Config, h, torch.Device{})
	require.NoError(b, err)
	b.Cleanup(t.Close)
	if j.Work == "train" {
		return func(x torch.Tensor) error { _, err := t.Step(x); return err }
	}
	m := &Model{E: t.E, G: t.G, H: h, Config: j.Config, dtype: t.dtype}
	m.place(torch.Device{})
	if j.Work == "sample" {
		return func(torch.Tensor) error {
			_, err := m.Sample(b.Context(), j.Batch, SampleOptions{Seed: 1})
			return err
		}
	}
	set, err := data.Noise(data.Shape{N: j.Batch, H: j.Config.Data.Size, W: j.Config.Data.Size, C: j.Config.Energy.Channels}, data.OutlierOptions{Seed: 1})
	require.NoError(b, err)
	return func(torch.Tensor) error {
		_, _, _, err := m.Scores(b.Context(), set, j.Config.Energy.Gamma)
		return err
	}
}
