package torch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestPointer(t *testing.T) {
	torchtest.Run(t, "storage is shared both ways", func(t *testing.T) {
		x := torch.FromSlice([]float32{1, 2, 3})
		p := x.NewPointer()
		defer torch.FreePointer(p)
		y := torch.FromPointer(p)
		y.MulInPlace(2)
		require.Equal(t, []float32{2, 4, 6}, torch.ToSlice[float32](x))
		x.ZeroInPlace()
		require.Equal(t, []float32{0, 0, 0}, torch.ToSlice[float32](y))
	})
	torchtest.Run(t, "so are the graph and the gradient", func(t *testing.T) {
		leaf := torch.FromSlice([]float32{1, 2, 3}).Leaf()
		p, q := leaf.NewPointer(), leaf.Square().Sum().NewPointer()
		defer torch.FreePointer(p)
		defer torch.FreePointer(q)
		sum := torch.FromPointer(q)
		require.Equal(t, []float32{2, 4, 6}, torch.ToSlice[float32](torch.Grads(sum, []torch.Tensor{torch.FromPointer(p)}, torch.GradOptions{RetainGraph: true})[0]))
		sum.Backward()
		require.Equal(t, []float32{2, 4, 6}, torch.ToSlice[float32](torch.FromPointer(p).Grad()))
	})
	torchtest.Run(t, "each side keeps the tensor alive", func(t *testing.T) {
		p := torch.Tidy(func() torch.Tensor {
			q := torch.FromSlice([]float32{7}).NewPointer()
			defer torch.FreePointer(q)
			return torch.FromPointer(q)
		}).NewPointer()
		defer torch.FreePointer(p)
		require.Equal(t, 7.0, torch.FromPointer(p).Item())
	})
	torchtest.Run(t, "no tensor is nil", func(t *testing.T) {
		require.Nil(t, torch.Tensor{}.NewPointer())
		require.Equal(t, torch.Tensor{}, torch.FromPointer(nil))
		torch.FreePointer(nil)
	})
	torchtest.Run(t, "a closed tensor has none", func(t *testing.T) {
		x := torch.Scalar(1)
		x.Close()
		require.ErrorContains(t, torch.Do(func() error { x.NewPointer(); return nil }), "used after its scope closed")
	})
	t.Run("an open scope is needed", func(t *testing.T) {
		require.PanicsWithError(t, "torch: from_pointer: no open scope on this goroutine: call it inside torch.Do", func() { torch.FromPointer(nil) })
	})
}
