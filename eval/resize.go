package eval

import (
	"fmt"
	"math"

	"github.com/liebm/liebm/torch"
)

// Mode says how images are brought to Inception's 299×299. Small images are enlarged ninefold, so
// this decides FID as much as the network does.
type Mode string

// The modes that results are published in.
const (
	PyTorch Mode = "pytorch" // pytorch-fid: bilinear of half-pixel centres without antialias, then 2x−1
	TF      Mode = "tf"      // TTUR, torch-fidelity, ADM: TensorFlow 1's bilinear, then (x−128)/128
	Clean   Mode = "clean"   // clean-fid: Pillow's antialiased bicubic in float, then (x−128)/128
)

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case PyTorch, TF, Clean:
		return m, nil
	}
	return "", fmt.Errorf("mode %q: want pytorch, tf or clean", s)
}

// resize maps x: [n,3,h,w] in [0,1] to size×size, in the range that the network expects.
func (m Mode) resize(x torch.Tensor, size int) torch.Tensor {
	h, w := x.Size(2), x.Size(3)
	switch m {
	case TF:
		x = gather(x.MulScalar(255), 2, h, size)
		return gather(x, 3, w, size).AddScalar(-128).DivScalar(128)
	case Clean:
		x = x.MulScalar(255).Contiguous(torch.Contiguous)
		if w != size { // Pillow's order: rows first, and each direction only if it changes
			x = x.Matmul(bicubic(w, size).T().ToDevice(x.Device()))
		}
		if h != size {
			x = bicubic(h, size).ToDevice(x.Device()).Matmul(x)
		}
		return x.AddScalar(-128).DivScalar(128)
	}
	return torch.Call("aten::upsample_bilinear2d", x, []int{size, size}, false).Tensor(0).MulScalar(2).AddScalar(-1)
}

// gather is TensorFlow 1's bilinear resize along one dimension: pixel i of the result lies at i·in/out,
// between the pixel at or before it and the next.
func gather(x torch.Tensor, dim, in, out int) torch.Tensor {
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

// bicubic is the matrix [out,in] of Pillow's bicubic resize (a = −½): the kernel is widened where
// the image shrinks, and its weights at the border are normalised to sum to 1.
func bicubic(in, out int) torch.Tensor {
	const a = -0.5
	kernel := func(x float64) float64 {
		x = math.Abs(x)
		switch {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	weights := make([]float32, out*in)
	for i := range out {
		centre := (float64(i) + 0.5) * scale
		from, to := max(int(centre-2*stretch+0.5), 0), min(int(centre+2*stretch+0.5), in)
		sum := 0.0
		for j := from; j < to; j++ {
			sum += kernel((float64(j) - centre + 0.5) / stretch)
		}
		for j := from; j < to; j++ {
			weights[i*in+j] = float32(kernel((float64(j)-centre+0.5)/stretch) / sum)
		}
	}
	return torch.FromSlice(weights, out, in)
}
