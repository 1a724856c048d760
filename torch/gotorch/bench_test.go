//go:build gotorch

package gotorch_test

import (
	"testing"

	upstream "github.com/wangkuiyi/gotorch"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/gotorch"
	"github.com/liebm/liebm/torch/torchtest"
)

// BenchmarkAdd4x4 is the cost of one operator, here with freeing its result, in gotorch with what its
// finalizers cost meanwhile.
func BenchmarkAdd4x4(b *testing.B) {
	_ = torch.Do(func() error {
		x := torch.Ones([]int{4, 4}, torch.Float32)
		y := gotorch.To(x)
		ours := func() { x.Add(x).Close() }
		theirs := func() { upstream.Add(y, y, 1) }
		torchtest.Beside(b, ours, "x = torch.ones(4, 4)", "x + x")
		b.ReportMetric(torchtest.Best(theirs), "gotorch-ns")
		b.ReportMetric(testing.AllocsPerRun(1000, ours), "allocs")
		b.ReportMetric(testing.AllocsPerRun(1000, theirs), "gotorch-allocs")
		return nil
	})
}

// BenchmarkCrossing is the cost of a tensor's way to gotorch and back, and of what guards a call.
func BenchmarkCrossing(b *testing.B) {
	_ = torch.Do(func() error {
		x := torch.Ones([]int{4, 4}, torch.Float32)
		for b.Loop() {
			gotorch.From(gotorch.To(x)).Close()
		}
		b.ReportMetric(torchtest.Best(func() { gotorch.Run(func() {}) }), "Run-ns")
		return nil
	})
}
