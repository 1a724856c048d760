package torch_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"

	"gonum.org/v1/gonum/mat"

	"github.com/liebm/liebm/torch"
)

func ExampleReadStateDict() {
	_ = torch.Do(func() error {
		state, err := torch.ReadStateDict("testdata/view.pth")
		if err != nil {
			return err
		}
		for _, e := range state {
			fmt.Println(e.Name, e.Tensor.DType(), e.Tensor.Shape())
			e.Tensor.Close()
		}
		return nil
	})
	_, err := torch.ReadStateDict("testdata/evil.pth")
	fmt.Println(err)
	// Output:
	// all float32 [24]
	// view float32 [2 2]
	// testdata/evil.pth: its pickle asks for posix.system, which no state dict needs: refused, since it could be any program; save model.state_dict() instead of the model
}

func ExampleReadCheckpoint() {
	tensors, scalars, err := torch.ReadCheckpoint("testdata/checkpoint.zip.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tensors[0].Name, scalars["epoch"], scalars["optimizer.param_groups.0.lr"])
	for _, e := range tensors {
		e.Tensor.Close()
	}
	// Output: model.x.uint8 3 0.5
}

func ExampleWriteSafetensors() {
	err := torch.Do(func() error {
		var file bytes.Buffer
		state := []torch.Entry{{Name: "weight", Tensor: torch.Ones([]int{2}, torch.Float32)}}
		if err := torch.WriteSafetensors(&file, state, map[string]string{"step": "12"}); err != nil {
			return err
		}
		tensors, metadata, err := torch.ParseSafetensors("memory", file.Bytes())
		if err != nil {
			return err
		}
		defer tensors["weight"].Close()
		fmt.Println(torch.ToSlice[float32](tensors["weight"]), metadata["step"])
		return nil
	})
	fmt.Println(err)
	// Output:
	// [1 1] 12
	// <nil>
}

func ExampleWriteNPZ() {
	err := torch.Do(func() error {
		var file bytes.Buffer
		mu := torch.FromSlice([]float64{1, 2})
		if err := torch.WriteNPZ(&file, []torch.Entry{{Name: "mu", Tensor: mu}}); err != nil {
			return err
		}
		arrays, err := torch.ParseNPZ("memory", file.Bytes())
		if err != nil {
			return err
		}
		defer arrays[0].Tensor.Close()
		fmt.Println(arrays[0].Name, torch.ToSlice[float64](arrays[0].Tensor))
		return nil
	})
	fmt.Println(err)
	// Output:
	// mu [1 2]
	// <nil>
}

func ExampleReadNPY() {
	x, err := torch.ReadNPY("testdata/vector.npy")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer x.Close()
	fmt.Println(torch.ToSlice[int64](x))
	_, err = torch.ReadNPY("testdata/objects.npy")
	fmt.Println(err)
	// Output:
	// [0 1 2]
	// testdata/objects.npy: an array of Python objects, which only a Python program can read: save it as numbers
}

func ExampleWriteNPY() {
	var file bytes.Buffer
	err := torch.Do(func() error { return torch.WriteNPY(&file, torch.Zeros([]int{2, 3}, torch.Float16)) })
	fmt.Printf("%.50q %d bytes %v\n", file.Bytes()[10:], file.Len(), err)
	// Output: "{'descr': '<f2', 'fortran_order': False, 'shape': " 140 bytes <nil>
}

func ExampleFromImage() {
	img := image.NewRGBA(image.Rect(0, 0, 2, 1))
	img.Set(0, 0, color.RGBA{R: 255, A: 255})
	img.Set(1, 0, color.RGBA{B: 255, A: 255})
	_ = torch.Do(func() error {
		x := torch.FromImage(img)
		fmt.Println(x.Shape(), torch.ToSlice[uint8](x))
		return nil
	})
	// Output: [3 1 2] [255 0 0 0 0 255]
}

func ExampleTensor_ToImage() {
	_ = torch.Do(func() error {
		x := torch.FromSlice([]float32{0, 0.5, 1, 2}, 1, 2, 2)
		img, err := x.Clamp(0, 1).MulScalar(255).To(torch.Uint8).ToImage()
		fmt.Println(img.Bounds(), img.At(1, 0), err)
		_, err = x.ToImage()
		fmt.Println(err)
		return nil
	})
	// Output:
	// (0,0)-(2,2) {127} <nil>
	// image of a tensor of float32: use uint8 in 0…255; scale and round it, then call To(torch.Uint8)
}

func ExampleFromMat() {
	_ = torch.Do(func() error {
		x := torch.FromMat(mat.NewDense(2, 2, []float64{2, 1, 0, 3}))
		product := x.Matmul(x.T()).Mat()
		fmt.Println(mat.Formatted(product), mat.Trace(product))
		return nil
	})
	// Output:
	// ⎡5  3⎤
	// ⎣3  9⎦ 14
}
