package torchtest

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liebm/liebm/torch"
)

// Beside reports the time of f. If Debian's python3-torch is installed, it also reports the time of a Python
// statement with the same number of threads, and the ratio of the two: below 1, f is faster. Both times are
// those of the fastest round, which other work on the machine disturbs least.
func Beside(b *testing.B, f func(), setUp, statement string) {
	b.Helper()
	n := calls(f)
	best := 0.0
	for b.Loop() {
		if ns := round(n, f); best == 0 || ns < best {
			best = ns
		}
	}
	b.ReportMetric(best, "best-ns")
	if python := python(b, setUp, statement); python > 0 {
		b.ReportMetric(python, "python-ns")
		b.ReportMetric(best/python, "ratio")
	}
}

// Best returns the time of f in nanoseconds, measured as in Beside. Use it to compare a third
// function.
func Best(f func()) float64 {
	n := calls(f)
	best := round(n, f)
	for range 30 {
		best = min(best, round(n, f))
	}
	return best
}

// calls is the number of calls of f in a round of 20 ms.
func calls(f func()) int {
	f()
	n := 1
	for n < 1<<20 && round(n, f)*float64(n) < 2e7 {
		n *= 2
	}
	return n
}

// round is the mean time of n calls of f in nanoseconds.
func round(n int, f func()) float64 {
	start := time.Now()
	for range n {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// python is the fastest round of a statement in PyTorch, in nanoseconds; 0 where there is no PyTorch.
func python(b *testing.B, setUp, statement string) float64 {
	script := "import time, torch\ntorch.set_num_threads(" + strconv.Itoa(torch.Threads()) + ")\n" + setUp + `
def clock(n):
    start = time.perf_counter()
    for _ in range(n): ` + statement + `
    return time.perf_counter() - start
n = 1
while clock(n) < .02: n *= 2
print(min(clock(n) for _ in range(30)) / n * 1e9)`
	command := exec.Command("/usr/bin/python3", "-c", script)
	command.Dir = "/" // or the folder torch would be taken for the module
	out, err := command.Output()
	if err != nil {
		b.Logf("no PyTorch to compare with (apt install python3-torch): %v", err)
		return 0
	}
	ns, _ := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return ns
}
