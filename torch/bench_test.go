package torch_test

import (
	"testing"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

// BenchmarkAdd4x4 is the cost of one operator: the call, the result's handle and freeing it.
func BenchmarkAdd4x4(b *testing.B) {
	_ = torch.Do(func() error {
		x := torch.Ones([]int{4, 4}, torch.Float32)
		add := func() { x.Add(x).Close() }
		torchtest.Beside(b, add, "x = torch.ones(4, 4)", "x + x")
		b.ReportMetric(testing.AllocsPerRun(1000, add), "allocs/call")
		return nil
	})
}
