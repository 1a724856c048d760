package torch

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkAdd4x4 is the cost of one operator: the call, the result's handle and freeing it. Where
// Debian's python3-torch is installed it times the same addition there, in turn.
func BenchmarkAdd4x4(b *testing.B) {
	python := pythonAdd(b)
	_ = Do(func() error {
		x := Ones([]int{4, 4}, Float32)
		for b.Loop() {
			x.Add(x).Close()
		}
		return nil
	})
	if python > 0 {
		b.ReportMetric(python, "python-ns/op")
		b.ReportMetric(python/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "x-python")
	}
}

func pythonAdd(b *testing.B) float64 {
	const script = `
import time, torch
x = torch.ones(4, 4)
best = 1e9
for _ in range(5):
    start = time.perf_counter()
    for _ in range(100000): x + x
    best = min(best, (time.perf_counter() - start) / 100000)
print(best * 1e9)`
	out, err := exec.Command("/usr/bin/python3", "-c", script).Output()
	if err != nil {
		b.Logf("no PyTorch to compare with (apt install python3-torch): %v", err)
		return 0
	}
	ns, _ := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return ns
}
