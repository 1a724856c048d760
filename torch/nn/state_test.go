package nn_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

// block and net have every kind of field that the walk meets.
type block struct {
	Conv1  *nn.Conv2d
	SkipBN *nn.BatchNorm
}

type net struct {
	Blocks []*block
	hidden torch.Tensor // not exported: not state
	Extra
	Stages [][]*nn.Linear
	None   *nn.Linear
	Any    any
	Config struct{ Widths []int }
	Scale  torch.Tensor
	Absent torch.Tensor
}

// Extra is embedded: its fields are named as the embedding struct's own.
type Extra struct{ Head2 *nn.Linear }

func newNet() *net {
	n := &net{Scale: torch.Zeros([]int{2}, torch.Float32).Leaf().Keep()}
	n.hidden = n.Scale
	n.Config.Widths = []int{1, 2}
	n.Blocks = []*block{
		{Conv1: nn.NewConv2d(1, 2, 3, nn.Conv2dOptions{SpectralNorm: true})},
		{Conv1: nn.NewConv2d(2, 2, 1, nn.Conv2dOptions{NoBias: true}), SkipBN: nn.NewBatchNorm(2)},
	}
	n.Head2 = nn.NewLinear(4, 3, nn.LinearOptions{})
	n.Stages = [][]*nn.Linear{{nn.NewLinear(1, 2, nn.LinearOptions{NoBias: true})}, {}}
	n.Any = nn.NewLinear(2, 1, nn.LinearOptions{NoBias: true})
	return n
}

func TestStateIsNamedByFieldsInTheirOrder(t *testing.T) {
	torchtest.Scope(t, func() {
		n := newNet()
		defer nn.Close(n)
		var got []string
		for _, l := range nn.State(n) {
			kind := ""
			if l.Buffer {
				kind = " buffer"
			}
			if l.Carried {
				kind = " carried"
			}
			got = append(got, l.Name+kind)
		}
		assert.Equal(t, []string{
			"blocks.0.conv1.weight", "blocks.0.conv1.bias", "blocks.0.conv1.weight_u carried", "blocks.0.conv1.weight_v carried",
			"blocks.1.conv1.weight",
			"blocks.1.skip_bn.weight", "blocks.1.skip_bn.bias", "blocks.1.skip_bn.running_mean buffer", "blocks.1.skip_bn.running_var buffer",
			"head2.weight", "head2.bias",
			"stages.0.0.weight", "any.weight", "scale",
		}, got)
		assert.Equal(t, 9*2+2+4+2+2+12+3+2+2+2, nn.CountParams(n), "buffers are no parameters")
		assert.Len(t, nn.Params(n), 10)
		for _, p := range nn.Params(n) {
			assert.True(t, p.RequiresGrad())
		}
		entries := nn.Entries("net.", n)
		require.Len(t, entries, len(got))
		assert.Equal(t, "net.blocks.0.conv1.weight", entries[0].Name)
	})
}

func TestConvolutionWeightsLieAsNHWC(t *testing.T) {
	torchtest.Scope(t, func() {
		conv := nn.NewConv2d(3, 4, 3, nn.Conv2dOptions{})
		defer nn.Close(conv)
		assert.True(t, conv.Weight.IsChannelsLast())
		nn.To(conv, torch.Device{}, torch.Float64)
		assert.True(t, conv.Weight.IsChannelsLast(), "after To")
	})
}

func TestCloseFreesEveryTensor(t *testing.T) {
	before := torch.Live()
	var n *net
	require.NoError(t, torch.Do(func() error { n = newNet(); return nil }))
	assert.Equal(t, before+len(nn.State(n)), torch.Live(), "one handle a tensor outlives the scope")
	nn.Close(n)
	assert.Equal(t, before, torch.Live())
	nn.Close(n)
	assert.Equal(t, before, torch.Live(), "closing twice is harmless")
}

func TestLoadCopiesAndConverts(t *testing.T) {
	torchtest.Scope(t, func() {
		l := nn.NewLinear(2, 1, nn.LinearOptions{})
		defer nn.Close(l)
		require.NoError(t, nn.Load(l, "q.", map[string]torch.Tensor{
			"q.weight": torch.FromSlice([]float64{1, 2}, 1, 2), "q.bias": torch.FromSlice([]float32{3}), "other": torch.Scalar(1),
		}))
		assert.Equal(t, []float32{1, 2}, torch.ToSlice[float32](l.Weight))
		assert.Equal(t, 3.0, l.Bias.Item())
		assert.True(t, l.Weight.RequiresGrad(), "still a parameter")
	})
}

func TestLoadNamesWhatDoesNotFit(t *testing.T) {
	torchtest.Scope(t, func() {
		n := newNet()
		defer nn.Close(n)
		good := map[string]torch.Tensor{}
		for _, e := range nn.Entries("", n) {
			good[e.Name] = e.Tensor
		}
		with := func(change func(map[string]torch.Tensor)) map[string]torch.Tensor {
			m := map[string]torch.Tensor{}
			for k, v := range good {
				m[k] = v
			}
			change(m)
			return m
		}
		assert.NoError(t, nn.Load(n, "", good))
		for name, c := range map[string]struct {
			change func(map[string]torch.Tensor)
			want   []string
		}{
			"missing": {func(m map[string]torch.Tensor) { delete(m, "head2.bias") }, []string{"1 weights", "head2.bias is missing"}},
			"wrong shape": {func(m map[string]torch.Tensor) { m["head2.weight"] = torch.Zeros([]int{4, 3}, torch.Float32) },
				[]string{"head2.weight is [4 3], it must be [3 4]"}},
			"a shape that would broadcast": {func(m map[string]torch.Tensor) { m["scale"] = torch.Zeros([]int{1}, torch.Float32) },
				[]string{"scale is [1], it must be [2]"}},
			"missing buffer": {func(m map[string]torch.Tensor) { delete(m, "blocks.0.conv1.weight_u") }, []string{"blocks.0.conv1.weight_u is missing"}},
			"everything":     {func(m map[string]torch.Tensor) { clear(m) }, []string{"14 weights", "blocks.0.conv1.weight is missing"}},
		} {
			torchtest.Run(t, name, func(t *testing.T) {
				err := nn.Load(n, "", with(c.change))
				for _, want := range c.want {
					assert.ErrorContains(t, err, want)
				}
			})
		}
		assert.ErrorContains(t, nn.Load(n, "e.", good), "e.blocks.0.conv1.weight is missing", "the prefix is part of the name")
	})
}

func TestCopyMakesEqualAndIndependent(t *testing.T) {
	torchtest.Scope(t, func() {
		src, dst := newNet(), newNet()
		defer nn.Close(src)
		defer nn.Close(dst)
		nn.Init(src, torch.NewRNG(1, 0, "init"))
		nn.Copy(dst, src)
		torch.NoGrad(func() { src.Scale.AddInPlace(torch.Ones([]int{2}, torch.Float32), 1) })
		from := nn.State(src)
		for i, l := range nn.State(dst) {
			if l.Name != "scale" {
				assert.True(t, l.Tensor.Equal(from[i].Tensor), l.Name)
			}
		}
		assert.False(t, dst.Scale.Equal(src.Scale), "storage is not shared")
		assert.True(t, dst.Scale.RequiresGrad())
	})
}

func TestToConvertsAndKeepsParametersTrainable(t *testing.T) {
	before := torch.Live()
	torchtest.Scope(t, func() {
		n := newNet()
		defer nn.Close(n)
		nn.Init(n, torch.NewRNG(1, 0, "init"))
		want := n.Head2.Weight.Float64s()
		nn.To(n, torch.Device{}, torch.Float64)
		for _, l := range nn.State(n) {
			assert.Equal(t, torch.Float64, l.Tensor.DType(), l.Name)
			assert.Equal(t, !l.Buffer, l.Tensor.RequiresGrad(), l.Name)
		}
		assert.Equal(t, want, n.Head2.Weight.Float64s())
		x := torch.Ones([]int{1, 4}, torch.Float64)
		assert.True(t, torch.Grad(n.Head2.Forward(x).Sum(), n.Head2.Weight, false).Defined())
	})
	assert.Equal(t, before, torch.Live(), "the old tensors are closed")
}

func TestFreezeMakesConstants(t *testing.T) {
	torchtest.Scope(t, func() {
		n := newNet()
		defer nn.Close(n)
		nn.Init(n, torch.NewRNG(1, 0, "init"))
		x := torch.Ones([]int{1, 4}, torch.Float32).Leaf()
		want := n.Head2.Forward(x).Detach()
		nn.Freeze(n)
		for _, l := range nn.State(n) {
			assert.False(t, l.Tensor.RequiresGrad(), l.Name)
		}
		y := n.Head2.Forward(x)
		assert.True(t, y.Equal(want), "values stay")
		assert.True(t, torch.Grad(y.Sum(), x, false).Defined(), "gradients still pass through to the input")
	})
}

func TestInitStatistics(t *testing.T) {
	const in, out, k = 64, 128, 3
	fanIn, fanOut := float64(in*k*k), float64(out*k*k)
	torchtest.Scope(t, func() {
		uniform := nn.NewConv2d(in, out, k, nn.Conv2dOptions{})
		xavier := nn.NewConv2d(in, out, k, nn.Conv2dOptions{Weights: nn.XavierNormal})
		linear := nn.NewLinear(in, out, nn.LinearOptions{Weights: nn.XavierNormal})
		bn := nn.NewBatchNorm(in)
		layers := []any{uniform, xavier, linear, bn}
		nn.Init(layers, torch.NewRNG(1, 0, "init"))
		defer nn.Close(layers)

		bound := 1 / math.Sqrt(fanIn)
		for name, w := range map[string]torch.Tensor{"weight": uniform.Weight, "bias": uniform.Bias} {
			assert.LessOrEqual(t, w.Abs().Max().Item(), bound, "%s: U(±1/√fan_in)", name)
			checkMoments(t, "uniform "+name, w, bound*bound/3, 9.0/5)
		}
		assert.Greater(t, uniform.Weight.Max().Item(), 0.999*bound, "73,728 draws come this close to the bound")
		checkMoments(t, "xavier conv", xavier.Weight, 2/(fanIn+fanOut), 3)
		checkMoments(t, "xavier linear", linear.Weight, 2.0/(in+out), 3)
		assert.Zero(t, xavier.Bias.Abs().Max().Item())
		assert.Equal(t, 1.0, bn.Weight.Min().Item())
		assert.Equal(t, 1.0, bn.Weight.Max().Item())
		assert.Zero(t, bn.Bias.Abs().Max().Item())
		assert.Equal(t, 1.0, bn.RunningVar.Mean().Item())
		assert.Zero(t, bn.RunningMean.Abs().Max().Item())
	})
}

// checkMoments expects mean 0 and the variance given, each within four standard errors.
func checkMoments(t *testing.T, name string, x torch.Tensor, variance, kurtosis float64) {
	t.Helper()
	n := float64(x.Numel())
	assert.InDelta(t, 0, x.Mean().Item(), 4*math.Sqrt(variance/n), name+": mean")
	assert.InDelta(t, variance, x.Square().Mean().Item(), 4*variance*math.Sqrt((kurtosis-1)/n), name+": variance")
}

// weights flattens a module's state, by name.
func weights(module any) map[string][]float64 {
	out := map[string][]float64{}
	for _, l := range nn.State(module) {
		out[l.Name] = l.Tensor.Float64s()
	}
	return out
}

func TestInitIsDeterministicAndLayersAreIndependent(t *testing.T) {
	torchtest.Scope(t, func() {
		draw := func(seed uint64, change func(n *net)) map[string][]float64 {
			n := newNet()
			nn.Close(n.Stages)
			n.Stages = [][]*nn.Linear{{nn.NewLinear(1, 2, nn.LinearOptions{NoBias: true}), nn.NewLinear(1, 2, nn.LinearOptions{NoBias: true})}}
			change(n)
			defer func() { nn.Close(n) }()
			nn.Init(n, torch.NewRNG(seed, 0, "init"))
			return weights(n)
		}
		same := func(*net) {}
		base := draw(1, same)
		assert.Equal(t, base, draw(1, same), "the same seed")
		assert.NotEqual(t, base["head2.weight"], draw(2, same)["head2.weight"], "another seed")
		assert.NotEqual(t, base["stages.0.0.weight"], base["stages.0.1.weight"], "layers alike draw apart")

		changed := draw(1, func(n *net) {
			nn.Close(n.Blocks[0])
			n.Blocks[0].Conv1 = nn.NewConv2d(3, 7, 3, nn.Conv2dOptions{NoBias: true})
		})
		for name, w := range base {
			if !strings.HasPrefix(name, "blocks.0.") {
				assert.Equal(t, w, changed[name], "a change to blocks.0 leaves "+name)
			}
		}
	})
}

func ExampleState() {
	err := torch.Do(func() error {
		type mlp struct{ Hidden, Out *nn.Linear }
		net := &mlp{nn.NewLinear(784, 256, nn.LinearOptions{}), nn.NewLinear(256, 10, nn.LinearOptions{NoBias: true})}
		defer nn.Close(net)
		for _, l := range nn.State(net) {
			fmt.Println(l.Name, l.Tensor.Shape())
		}
		fmt.Println(nn.CountParams(net), "parameters")
		return nil
	})
	fmt.Println(err)
	// Output:
	// hidden.weight [256 784]
	// hidden.bias [256]
	// out.weight [10 256]
	// 203520 parameters
	// <nil>
}
