package train

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

// BenchmarkStep times whole iterations of Algorithm 1 beside plain eager PyTorch doing the same
// work on the same libtorch and threads (testdata/_eager_step.py), where Debian's python3-torch is
// installed. Read the ratio x-eager, not the absolute times: both sides run in turn.
//
//	make bench BENCH=Step PKG=./train
func BenchmarkStep(b *testing.B) {
	cifar, fashion := CIFAR10(), FashionMNIST()
	cifar.Batch = 16
	for _, c := range []struct {
		cfg   Config
		iters int
	}{{fashion, 10}, {cifar, 3}} {
		for _, precision := range []string{"float32", "bfloat16"} {
			b.Run(fmt.Sprintf("%s/%s", c.cfg.Preset, precision), func(b *testing.B) {
				cfg := c.cfg
				cfg.Precision = precision
				for range b.N {
					eager, eagerMB := eagerStep(b, cfg, c.iters)
					ours, err := MeasureStep(b.Context(), cfg, EncoderFor(cfg), torch.Device{}, c.iters)
					require.NoError(b, err)
					b.ReportMetric(ours, "s/step")
					b.ReportMetric(memory(b, "VmHWM"), "peak-MB")
					if eager > 0 {
						b.ReportMetric(eager, "eager-s/step")
						b.ReportMetric(eager/ours, "x-eager")
						b.ReportMetric(eagerMB, "eager-peak-MB")
					}
				}
			})
		}
	}
}

// eagerStep runs the Python yardstick for a config; 0 where it cannot run.
func eagerStep(b *testing.B, cfg Config, iters int) (seconds, peakMB float64) {
	h := EncoderFor(cfg)
	args := []string{"testdata/_eager_step.py", "--energy", ints(cfg.Energy.Widths), "--downs", bools(cfg.Energy.Downs),
		"--generator", ints(cfg.Generator.Widths), "--channels", strconv.Itoa(cfg.Energy.Channels),
		"--batch", strconv.Itoa(cfg.Batch), "--steps", strconv.Itoa(cfg.Chain.Steps), "--iters", strconv.Itoa(iters),
		"--threads", strconv.Itoa(torch.Threads()), "--encoder", ints(h.Widths), "--blocks", strconv.Itoa(h.Blocks[0]), "--head", strconv.Itoa(h.HeadDim)}
	if !cfg.Energy.SpectralNorm {
		args = append(args, "--no-sn")
	}
	if cfg.Energy.Bias {
		args = append(args, "--bias")
	}
	command := exec.Command("/usr/bin/python3", args...)
	command.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1")
	text, err := command.Output()
	if err != nil {
		b.Logf("no eager PyTorch to compare with (apt install python3-torch): %v", err)
		return 0, 0
	}
	var result struct{ Seconds, Peak_MB float64 }
	require.NoError(b, json.Unmarshal(text, &result))
	return result.Seconds, result.Peak_MB
}

func ints(v []int) (s string) {
	for i, n := range v {
		if i > 0 {
			s += ","
		}
		s += strconv.Itoa(n)
	}
	return s
}

func bools(v []bool) (s string) {
	for i, on := range v {
		if i > 0 {
			s += ","
		}
		s += map[bool]string{true: "1", false: "0"}[on]
	}
	return s
}

// memory is a line of this process's status in MB: VmRSS, resident now; VmHWM, at its highest.
func memory(b *testing.B, name string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	var kb float64
	for _, line := range strings.Split(string(text), "\n") {
		if n, _ := fmt.Sscanf(line, name+": %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkResidentMemory reports how much memory a thousand steps hold, and by how much it grew
// since the two hundredth.
func BenchmarkResidentMemory(b *testing.B) {
	cfg := FashionMNIST()
	for range b.N {
		h, err := models.NewEncoder(EncoderFor(cfg), cfg.Data.Range, cfg.Seed)
		require.NoError(b, err)
		t, err := NewTrainer(cfg, h, torch.Device{})
		require.NoError(b, err)
		var early float64
		require.NoError(b, torch.Do(func() error {
			for i := range 1000 {
				if _, err := t.timed(i); err != nil {
					return err
				}
				if i == 200 {
					early = memory(b, "VmRSS")
				}
			}
			return nil
		}))
		late := memory(b, "VmRSS")
		b.ReportMetric(late, "MB")
		b.ReportMetric(late-early, "MB-grown")
		t.Close()
	}
}

// BenchmarkDataWait reports which share of a training step goes by until its images are there, on
// this goroutine and in its order: from a prepared file in the page cache, and from one that was
// dropped from it, as in the first epoch of a set larger than memory.
//
//	make bench BENCH=DataWait PKG=./train
func BenchmarkDataWait(b *testing.B) {
	cifar := CIFAR10()
	cifar.Batch = 16
	for _, cfg := range []Config{FashionMNIST(), cifar} {
		path := noiseFile(b, data.Shape{N: 20_000, H: cfg.Data.Size, W: cfg.Data.Size, C: cfg.Energy.Channels})
		for _, cold := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/%s", cfg.Preset, map[bool]string{false: "page cache", true: "cold"}[cold]), func(b *testing.B) {
				if cold { // a zero-length read with this flag drops the file's pages
					if err := exec.Command("dd", "if="+path, "of=/dev/null", "iflag=nocache", "count=0").Run(); err != nil {
						b.Skip("no dd that can drop a file from the page cache")
					}
				}
				set, err := data.Open(path, data.Options{})
				require.NoError(b, err)
				defer set.Close()
				h, err := models.NewEncoder(EncoderFor(cfg), cfg.Data.Range, cfg.Seed)
				require.NoError(b, err)
				t, err := NewTrainer(cfg, h, torch.Device{})
				require.NoError(b, err)
				defer t.Close()
				wait, whole := waits(b, t, newBatches(set, cfg.Seed, cfg.Batch, false, nil))
				b.ReportMetric(1e3*wait/float64(b.N), "wait-ms")
				b.ReportMetric(100*wait/whole, "wait-%")
			})
		}
	}
}

// waits trains for b's iterations: the seconds until images were there, and all seconds.
func waits(b *testing.B, t *Trainer, from *batches) (wait, whole float64) {
	require.NoError(b, torch.Do(func() error {
		for i := range b.N {
			start := time.Now()
			err := torch.Do(func() error {
				x := from.at(i)
				wait += time.Since(start).Seconds()
				_, err := t.Step(x)
				return err
			})
			if err != nil {
				return err
			}
			whole += time.Since(start).Seconds()
		}
		return nil
	}))
	return wait, whole
}

// noiseFile is a prepared file of noise.
func noiseFile(b *testing.B, shape data.Shape) string {
	set, err := data.Noise(shape, data.OutlierOptions{Seed: 1})
	require.NoError(b, err)
	dir := b.TempDir()
	npz, out := filepath.Join(dir, "x.npz"), filepath.Join(dir, "x.liebm")
	require.NoError(b, data.WriteNPZ(npz, set))
	_, err = data.Prepare(b.Context(), npz, out, data.PrepareOptions{})
	require.NoError(b, err)
	return out
}
