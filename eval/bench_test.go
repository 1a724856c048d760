package eval

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
	"github.com/liebm/liebm/torch"
)

// BenchmarkStatistics times FID's statistics of a folder of 32×32 PNG beside plain PyTorch taking
// them as pytorch-fid does, on the same weights, libtorch and threads (testdata/_pytorch_fid.py),
// where Debian's python3-torch is installed. Read the ratios, not the absolute times: both run in
// turn.
//
//	make bench BENCH=Statistics PKG=./eval
func BenchmarkStatistics(b *testing.B) {
	const n = 200
	set, err := data.Noise(data.Shape{N: n, H: 32, W: 32, C: 3}, data.OutlierOptions{Seed: 1})
	require.NoError(b, err)
	folder := b.TempDir()
	one := set.Shape
	one.N = 1
	for i := range n {
		img, err := data.Grid(set.Image(i), one, 1)
		require.NoError(b, err)
		require.NoError(b, data.WritePNG(filepath.Join(folder, fmt.Sprintf("%06d.png", i)), img))
	}
	for range b.N {
		weights := filepath.Join(b.TempDir(), "w.pth")
		if _, err := plain("--pth", weights, "--write", "legacy"); err != nil {
			b.Skipf("no PyTorch to write the weights and to compare with (apt install python3-torchvision): %v", err)
		}
		net, err := OpenInception(weights, PyTorch, torch.Device{})
		require.NoError(b, err)
		start := time.Now()
		images, err := OpenFolder(folder, false)
		require.NoError(b, err)
		stats, _, err := MeasureImages(b.Context(), net, images, nil)
		require.NoError(b, err)
		ours := time.Since(start).Seconds()
		net.Close()
		b.ReportMetric(n/ours, "images/s")
		b.ReportMetric(peakMB(b), "peak-MB")
		theirs, err := plain("--folder", folder, "--pth", weights, "--threads", strconv.Itoa(torch.Threads()))
		require.NoError(b, err)
		trace, mean := 0.0, 0.0
		for i := range stats.Mean {
			trace += stats.Cov[i][i]
			mean += stats.Mean[i] / float64(len(stats.Mean))
		}
		require.InEpsilon(b, theirs.Mean, mean, 1e-4)
		require.InEpsilon(b, theirs.Trace, trace, 1e-4)
		b.ReportMetric(theirs.Seconds/ours, "x-pytorch")
		b.ReportMetric(theirs.PeakMB, "pytorch-peak-MB")
	}
}

type plainResult struct {
	Seconds, Mean, Trace float64
	PeakMB               float64 `json:"peak_mb"`
}

// plain runs the Python yardstick.
func plain(args ...string) (r plainResult, err error) {
	text, err := exec.Command("/usr/bin/python3", append([]string{"testdata/_pytorch_fid.py"}, args...)...).Output()
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// peakMB is the most memory that this process had.
func peakMB(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for _, line := range strings.Split(string(text), "\n") {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
			return kb / 1024
		}
	}
	return 0
}
