package train

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
)

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
					early = processMemory("VmRSS") / (1 << 20)
				}
			}
			return nil
		}))
		late := processMemory("VmRSS") / (1 << 20)
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
