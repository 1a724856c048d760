package data_test

import (
	"fmt"

	"github.com/liebm/liebm/data"
)

func ExampleOpen() {
	set, err := data.Open("testdata/cifar-10-batches-py", data.Options{Split: data.Train})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close()
	fmt.Println(set)
	fmt.Println(set.Classes[set.Label(0)], set.Image(0)[:3])
	// Output:
	// cifar10 train: 8 images of 32×32×3
	// automobile [59 160 5]
}

func ExampleOpen_missing() {
	_, err := data.Open("cifar10", data.Options{Path: "/nowhere"})
	fmt.Println(err)
	// Output:
	// data: CIFAR-10 (cifar10): looked at /nowhere: file does not exist; fetch it from https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
}

func ExampleSampler() {
	order := data.NewSampler(1, 10)
	for step := range 4 {
		fmt.Println(step/order.PerEpoch(4), order.Batch(step, 4)) // 10 images: two batches of 4 an epoch
	}
	// Output:
	// 0 [5 0 6 4]
	// 0 [7 3 2 9]
	// 1 [5 4 0 9]
	// 1 [6 2 3 8]
}

func ExampleConstant() {
	set, err := data.Constant(data.Shape{N: 2, H: 2, W: 1, C: 3}, data.OutlierOptions{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Image(0), set.Image(1))
	// Output:
	// [205 61 206 205 61 206] [246 241 2 246 241 2]
}
