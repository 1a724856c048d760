package torch

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkAdd4x4 is the cost of one operator: the call, the result's handle and freeing it. Where
// Debian's python3-torch is installed it times the same addition there, in the same run. Both sides
// report their fastest round, which is what a busy machine disturbs least.
func BenchmarkAdd4x4(b *testing.B) {
	var ours float64
	_ = Do(func() error {
		x := Ones([]int{4, 4}, Float32)
		add := func() { x.Add(x).Close() }
		for b.Loop() {
			if ns := round(20_000, add); ours == 0 || ns < ours {
				ours = ns
			}
		}
		b.ReportMetric(testing.AllocsPerRun(1000, add), "allocs/call")
		return nil
	})
	b.ReportMetric(ours, "ns/call")
	beside(b, ours, pythonBest(b, "x = torch.ones(4, 4)", "x + x"))
}

// round is the mean time of n calls of f in nanoseconds.
func round(n int, f func()) float64 {
	start := time.Now()
	for range n {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// pythonBest times a statement in PyTorch, the fastest of 15 rounds, in nanoseconds; −1 where there
// is no PyTorch.
func pythonBest(b *testing.B, setUp, statement string) float64 {
	script := `
import time, torch
torch.set_num_threads(` + strconv.Itoa(Threads()) + `)
` + setUp + `
n, best = 1, 1e9
while True:
    start = time.perf_counter()
    for _ in range(n): ` + statement + `
    if time.perf_counter() - start > .02: break
    n *= 2
for _ in range(15):
    start = time.perf_counter()
    for _ in range(n): ` + statement + `
    best = min(best, (time.perf_counter() - start) / n)
print(best * 1e9)`
	command := exec.Command("/usr/bin/python3", "-c", script)
	command.Dir = "/" // or the folder torch would be taken for the module
	out, err := command.Output()
	if err != nil {
		b.Logf("no PyTorch to compare with (apt install python3-torch): %v", err)
		return -1
	}
	ns, _ := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return ns
}

// beside reports PyTorch's time and the ratio of ours to it: below 1 is faster.
func beside(b *testing.B, ours, python float64) {
	if python > 0 {
		b.ReportMetric(python, "python-ns/call")
		b.ReportMetric(ours/python, "ratio")
	}
}
