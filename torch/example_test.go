package torch_test

import (
	"fmt"

	"github.com/liebm/liebm/torch"
)

func ExampleDo() {
	err := torch.Do(func() error {
		x := torch.FromSlice([]float32{1, 2, 3}).Leaf()
		y := x.Square().Sum()
		fmt.Println(torch.ToSlice[float32](torch.Grad(y, x, false)))
		x.Reshape(2, 2) // does not fit
		return nil
	})
	fmt.Println(err)
	fmt.Println(torch.Live(), "tensors left")
	// Output:
	// [2 4 6]
	// torch: aten::reshape([3]): shape '[2, 2]' is invalid for input of size 3
	// 0 tensors left
}

func ExampleCall() {
	_ = torch.Do(func() error {
		x := torch.FromSlice([]float32{3, 1, 2})
		sorted := torch.Call("aten::sort", x, torch.Named{Name: "descending", Value: true})
		fmt.Println(torch.ToSlice[float32](sorted.Tensor(0)), torch.ToSlice[int64](sorted.Tensor(1)))
		return nil
	})
	// Output: [3 2 1] [0 2 1]
}

func ExampleTidy() {
	_ = torch.Do(func() error {
		x := torch.Scalar(1)
		for range 1000 { // one value alive at a time
			next := torch.Tidy(func() torch.Tensor { return x.MulScalar(1.001).Exp().Log() })
			x.Close()
			x = next
		}
		fmt.Printf("%.2f, %d alive\n", x.Item(), torch.Live())
		return nil
	})
	// Output: 2.72, 1 alive
}
