package train

import (
	"fmt"
	"os"
	"strings"

	"github.com/liebm/liebm/torch"
)

// PeakMemory returns a function that reads the most memory in bytes that the process has had since the call. On the CPU that
// is its resident memory, and 0 where the system is not Linux. On a GPU it is the memory in use there, also by other
// processes: libtorch keeps what it once took.
func PeakMemory(d torch.Device) (read func() float64) {
	if d.Type == torch.CUDA {
		return func() float64 {
			m, _ := torch.MemoryStats(d)
			return float64(m.Total - m.Free)
		}
	}
	torch.ReleaseMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the kernel counts VmHWM anew
	return func() float64 { return processMemory("VmHWM") }
}

// processMemory is a line of this process's status in bytes: VmRSS, resident now; VmHWM, at its highest.
func processMemory(name string) (bytes float64) {
	text, _ := os.ReadFile("/proc/self/status") // missing where the system is not Linux
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, name+": %f kB", &bytes); n == 1 {
			return 1024 * bytes
		}
	}
	return 0
}
