package eval

import (
	"fmt"

	"github.com/liebm/liebm/torch"
)

// Resizing says how images are resized to Inception's 299×299. A 32×32 image grows ninefold, so FID depends on
// the mode as much as on the network.
type Resizing string

// The modes of published results.
const (
	PyTorch Resizing = "pytorch" // pytorch-fid: bilinear of half-pixel centres without antialias, then 2x−1
	TF      Resizing = "tf"      // TTUR, torch-fidelity, ADM: TensorFlow 1's bilinear, then (x−128)/128
	Clean   Resizing = "clean"   // clean-fid: Pillow's antialiased bicubic in float, clipped to 0…255, then (x−128)/128
)

// ParseMode reads the name of a way to resize.
func ParseMode(s string) (Resizing, error) {
	switch m := Resizing(s); m {
	case PyTorch, TF, Clean:
		return m, nil
	}
	return "", fmt.Errorf("mode %q: use pytorch, tf or clean", s)
}

// resize returns x: [n,3,h,w] in [0,1] as [n,3,size,size] in the network's range.
func (m Resizing) resize(x torch.Tensor, size int) torch.Tensor {
	switch m {
	case TF:
		x = gather(gather(x.MulScalar(255), 2, size), 3, size)
		return x.AddScalar(-128).DivScalar(128)
	case Clean: // libtorch's antialiased operator is Pillow's; in float64, as there, it is within 1e-4 of 255
		x = x.MulScalar(255).Contiguous(torch.Contiguous).To(torch.Float64)
		x = torch.Call("aten::_upsample_bicubic2d_aa", x, []int{size, size}, false).Tensor(0).Clamp(0, 255)
		return x.To(torch.Float32).AddScalar(-128).DivScalar(128)
	}
	return torch.Call("aten::upsample_bilinear2d", x, []int{size, size}, false).Tensor(0).MulScalar(2).AddScalar(-1)
}

// gather is TensorFlow 1's bilinear resize along one dimension. Pixel i of the result lies at i·in/out and
// mixes the two pixels around it.
func gather(x torch.Tensor, dim, out int) torch.Tensor {
	in := x.Size(dim)
	low, high, part := make([]int64, out), make([]int64, out), make([]float32, out)
	scale := float32(in) / float32(out)
	for i := range out {
		at := float32(i) * scale
		low[i] = int64(at)
		high[i] = min(low[i]+1, int64(in-1))
		part[i] = at - float32(low[i])
	}
	shape := []int{1, 1, 1, 1}
	shape[dim] = out
	device := x.Device()
	a := x.IndexSelect(dim, torch.FromSlice(low).ToDevice(device))
	b := x.IndexSelect(dim, torch.FromSlice(high).ToDevice(device))
	return a.Add(b.Sub(a).Mul(torch.FromSlice(part, shape...).ToDevice(device)))
}
