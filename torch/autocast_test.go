package torch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAutocast(t *testing.T) {
	in(t, func() {
		rng := NewRNG(1, 0, "autocast")
		x, w := rng.Normal(4, 8), rng.Normal(8, 3).Leaf()
		var y, inside, gw Tensor
		Autocast(CPU, BFloat16, func() {
			y = x.Matmul(w)
			Autocast(CPU, Float32, func() { inside = x.Matmul(w) })
			assert.Equal(t, BFloat16, x.Matmul(w).DType(), "on again after the inner one")
			gw = Grad(y.To(Float32).Sum(), w, false)
		})
		assert.Equal(t, BFloat16, y.DType())
		assert.Equal(t, Float32, inside.DType())
		assert.Equal(t, Float32, gw.DType(), "gradients have the type of the parameter")
		want := x.To(BFloat16).Matmul(w.Detach().To(BFloat16))
		assert.True(t, y.Detach().Equal(want), "the product is that of the rounded inputs")
		assert.Equal(t, Float32, x.Matmul(w).DType(), "off after it")
	})
	in(t, func() { // convolutions that libtorch does not compute without autocast
		image, kernel := Ones([]int{1, 16, 4, 4}, Float32).Contiguous(ChannelsLast), Ones([]int{16, 16, 3, 3}, Float32)
		conv := func() Tensor { return image.Conv2d(kernel, Tensor{}, Conv2dOptions{Padding: 1}) }
		Autocast(CPU, BFloat16, func() {
			assert.Equal(t, BFloat16, conv().DType())
			assert.Equal(t, BFloat16, image.PooledConv2d(kernel, Tensor{}, PooledConv2dOptions{}).DType())
		})
		assert.Equal(t, Float32, conv().DType())
	})
	in(t, func() {
		assert.Panics(t, func() {
			Autocast(CPU, BFloat16, func() { Ones([]int{2, 3}, Float32).Matmul(Ones([]int{2, 3}, Float32)) })
		})
		x := Ones([]int{2, 2}, Float32)
		assert.Equal(t, Float32, x.Matmul(x).DType(), "off after a panic")
	})
}

func TestFloat64Throughout(t *testing.T) {
	in(t, func() {
		x := FromSlice([]float64{1, 2, 3}).Leaf()
		g := Grad(x.Pow(3).MulScalar(.5).Sum(), x, false)
		assert.Equal(t, []float64{1.5, 6, 13.5}, ToSlice[float64](g))
	})
}

func TestDevices(t *testing.T) {
	if HasCUDA() {
		t.Skip("what is refused without CUDA")
	}
	for in, want := range map[string]string{"cpu": "cpu", "auto": "cpu"} {
		d, err := ParseDevice(in)
		require.NoError(t, err)
		assert.Equal(t, want, d.String())
	}
	for _, in := range []string{"cuda", "cuda:0"} {
		_, err := ParseDevice(in)
		assert.ErrorContains(t, err, "use the device cpu")
		assert.ErrorContains(t, err, WhyNoCUDA(), "it says why")
	}
	for _, in := range []string{"gpu", "cuda:", "cuda:-1", "cuda:x"} {
		_, err := ParseDevice(in)
		assert.ErrorContains(t, err, "use cpu, cuda, cuda:N or auto")
	}
	_, err := MemoryStats(Device{})
	assert.ErrorContains(t, err, "cpu")
	_, err = MemoryStats(Device{Type: CUDA})
	assert.Error(t, err)
	AllowTF32(true) // a setting of the process, without effect here
	AllowTF32(false)
	e := failure(t, func() { Ones([]int{2}, Float32).ToDevice(Device{Type: CUDA}) })
	assert.NotEmpty(t, e.Msg)
}
