package study_test

import (
	"fmt"
	"os"

	"github.com/liebm/liebm/study"
)

// A plan says what it trains before it does: here the two models that Tables 1 and 6 compare, and their encoder.
func ExamplePlan_Models() {
	table1, err := study.Named("table1")
	if err != nil {
		panic(err)
	}
	table6, err := study.Named("table6")
	if err != nil {
		panic(err)
	}
	out, err := os.MkdirTemp("", "reproduce")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(out)
	plan, err := study.NewPlan(study.Paper(""), []study.Study{table1, table6}, study.PlanOptions{Out: out, Seeds: []uint64{1, 2, 3}})
	if err != nil {
		panic(err)
	}
	models, err := plan.Models()
	if err != nil {
		panic(err)
	}
	for _, m := range models {
		fmt.Printf("%s on %s: %d steps of %d images, %d of %d seeds done\n", m.Name, m.Data, m.Cost.Steps, m.Cost.Batch, m.Done, m.Seeds)
	}
	// Output:
	// encoder-simclr on cifar10: 97000 steps of 512 images, 0 of 1 seeds done
	// em on cifar10: 97500 steps of 256 images, 0 of 3 seeds done
	// erm on cifar10: 97500 steps of 256 images, 0 of 3 seeds done
}
