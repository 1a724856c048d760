package eval

import (
	"encoding/json"
	"fmt"
	"math"
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
	for i := range b.N {
		weights, form := filepath.Join(b.TempDir(), "w.pth"), []string{"legacy", "zip"}[i%2]
		if _, err := plain("--pth", weights, "--write", form); err != nil {
			b.Skipf("no PyTorch to write the weights and to compare with (apt install python3-torchvision): %v", err)
		}
		net, err := OpenInception(weights, PyTorch, torch.Device{})
		require.NoError(b, err)
		start := time.Now()
		images, err := OpenFolder(folder, OpenOptions{})
		require.NoError(b, err)
		stats, _, err := MeasureImages(b.Context(), net, images, nil)
		require.NoError(b, err)
		ours := time.Since(start).Seconds()
		b.ReportMetric(n/ours, "images/s")
		b.ReportMetric(peakMB(b), "peak-MB")
		each := filepath.Join(b.TempDir(), "features.npy")
		theirs, err := plain("--folder", folder, "--pth", weights, "--features", each, "--threads", strconv.Itoa(torch.Threads()))
		require.NoError(b, err)
		b.ReportMetric(apart(b, net, images, each), "largest-relative-difference")
		net.Close()
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

// apart is the largest difference of any feature of any image from those in a .npy, over their
// root mean square; more than 1e-4 fails.
func apart(b *testing.B, net *InceptionFeatures, images *Images, npy string) (most float64) {
	ours, _, err := Embed(b.Context(), net, images, nil)
	require.NoError(b, err)
	defer ours.Close()
	require.NoError(b, torch.Do(func() error {
		theirs, err := torch.ReadNPY(npy)
		if err != nil {
			return err
		}
		defer theirs.Close()
		most = ours.X.Sub(theirs).Abs().Max().Item() / math.Sqrt(theirs.Square().Mean().Item())
		return nil
	}))
	require.Less(b, most, 1e-4)
	return most
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
