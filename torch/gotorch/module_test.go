//go:build gotorch

package gotorch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	upstream "github.com/wangkuiyi/gotorch"
	theirs "github.com/wangkuiyi/gotorch/nn"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/gotorch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/optim"
	"github.com/liebm/liebm/torch/torchtest"
)

// theirMLP is a gotorch module as its users write them, ourMLP the same network here.
type theirMLP struct {
	theirs.Module
	FC1, FC2 *theirs.LinearModule
}

func newTheirMLP(in, hidden, out int64) *theirMLP {
	m := &theirMLP{FC1: theirs.Linear(in, hidden, true), FC2: theirs.Linear(hidden, out, true)}
	m.Init(m)
	return m
}

func (m *theirMLP) Forward(x upstream.Tensor) upstream.Tensor {
	return m.FC2.Forward(upstream.Tanh(m.FC1.Forward(x)))
}

type ourMLP struct{ FC1, FC2 *nn.Linear }

func (m *ourMLP) Forward(x torch.Tensor) torch.Tensor {
	return m.FC2.Forward(m.FC1.Forward(x).Tanh())
}

func newOurMLP(in, hidden, out int) *ourMLP {
	return &ourMLP{nn.NewLinear(in, hidden, nn.LinearOptions{}), nn.NewLinear(hidden, out, nn.LinearOptions{})}
}

// theirConvNet and ourConvNet are convolutional energies on [n,3,8,8].
func theirConvNet() theirs.IModule {
	activation := func() theirs.IModule { return theirs.Functional(upstream.Tanh) }
	return theirs.Sequential(
		theirs.Conv2d(3, 8, 3, 1, 1, 1, 1, true, "zeros"), activation(),
		theirs.Conv2d(8, 8, 3, 2, 1, 1, 1, false, "zeros"), activation(),
		theirs.Functional(func(x upstream.Tensor) upstream.Tensor { return upstream.Flatten(x, 1, -1) }),
		theirs.Linear(8*4*4, 1, true))
}

type ourConvNet struct {
	Conv1, Conv2 *nn.Conv2d
	Out          *nn.Linear
}

func newOurConvNet() *ourConvNet {
	return &ourConvNet{nn.NewConv2d(3, 8, 3, nn.Conv2dOptions{Padding: 1}),
		nn.NewConv2d(8, 8, 3, nn.Conv2dOptions{Stride: 2, Padding: 1, NoBias: true}), nn.NewLinear(8*4*4, 1, nn.LinearOptions{})}
}

func (m *ourConvNet) Forward(x torch.Tensor) torch.Tensor {
	return m.Out.Forward(m.Conv2.Forward(m.Conv1.Forward(x).Tanh()).Tanh().Contiguous(torch.Contiguous).Flatten(1))
}

// TestEnergy: gotorch's networks and ours with the same weights are the same energies to Langevin.
func TestEnergy(t *testing.T) {
	for name, c := range map[string]struct {
		theirs func() theirs.IModule
		ours   func() (net any, forward func(x torch.Tensor) torch.Tensor)
		shape  []int
	}{
		"MLP": {
			func() theirs.IModule { return newTheirMLP(12, 32, 1) },
			func() (any, func(torch.Tensor) torch.Tensor) { m := newOurMLP(12, 32, 1); return m, m.Forward }, []int{5, 12},
		},
		"convolutional": {
			theirConvNet,
			func() (any, func(torch.Tensor) torch.Tensor) { m := newOurConvNet(); return m, m.Forward }, []int{5, 3, 8, 8},
		},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			theirs := gotorch.Wrap(c.theirs())
			defer nn.Close(theirs)
			ours, forward := c.ours()
			defer nn.Close(ours)
			nn.Copy(ours, theirs)
			energy := func(x torch.Tensor) torch.Tensor { return forward(x).Reshape(x.Size(0)) }

			rng := torch.NewRNG(1, 0, "x")
			x := rng.Normal(c.shape...).Leaf()
			const ulps = 1e-6 // the same float32 operators, in NHWC here and in NCHW there
			torchtest.InDelta(t, energy(x), theirs.Energy(x), ulps)
			torchtest.InDelta(t, torch.Grad(energy(x).Sum(), x, false), torch.Grad(theirs.Energy(x).Sum(), x, false), ulps)

			chain := mcmc.Langevin{Steps: 20, Delta2: .5}
			torchtest.InDelta(t, chain.Run(energy, x, rng), chain.Run(theirs.Energy, x, rng), 20*ulps)
		})
	}
}

// TestTraining: our Adam moves gotorch's weights as it moves ours.
func TestTraining(t *testing.T) {
	torchtest.Scope(t, func() {
		raw := newTheirMLP(6, 16, 3)
		theirs := gotorch.Wrap(raw)
		defer nn.Close(theirs)
		ours := newOurMLP(6, 16, 3)
		defer nn.Close(ours)
		nn.Copy(ours, theirs)

		rng := torch.NewRNG(1, 0, "data")
		x := rng.Normal(64, 6)
		classes := x.Narrow(1, 0, 3).ArgMax(1)
		train := func(net any, forward func(torch.Tensor) torch.Tensor) (first, last float64) {
			adam := optim.NewAdam(nn.Params(net), optim.AdamOptions{Beta1: .9, Beta2: .999, Eps: 1e-8})
			defer adam.Close()
			for step := range 60 {
				torch.Tidy(func() torch.Tensor {
					loss := forward(x).CrossEntropy(classes)
					if last = loss.Item(); step == 0 {
						first = last
					}
					adam.Step(loss, 1e-2)
					return torch.Tensor{}
				})
			}
			return first, last
		}
		first, last := train(theirs, theirs.Forward)
		require.Less(t, last, first/3)
		_, ourLast := train(ours, ours.Forward)
		require.InDelta(t, ourLast, last, 1e-6)
		torchtest.InDelta(t, ours.FC1.Weight, gotorch.From(raw.FC1.Weight), 1e-6)
		torchtest.InDelta(t, ours.Forward(x), gotorch.From(raw.Forward(gotorch.To(x))), 1e-5)
	})
}

type everyField struct {
	theirs.Module
	Scale    upstream.Tensor
	None     upstream.Tensor
	Norm     *theirs.BatchNorm2dModule
	Missing  *theirs.LinearModule
	Any      theirs.IModule
	Layers   []*theirs.LinearModule
	Weights  [2]upstream.Tensor
	Averages []upstream.Tensor `gotorch:"buffer"`
	Mixed    []any
	Sizes    []int
}

func (*everyField) Forward(x upstream.Tensor) upstream.Tensor { return x }

func newEveryField() *everyField {
	one := func() upstream.Tensor { return upstream.Ones([]int64{1}, true) }
	m := &everyField{Scale: one(), Norm: theirs.BatchNorm2d(2, 1e-5, .1, true, true), Any: theirs.Linear(1, 1, false),
		Layers: []*theirs.LinearModule{nil, theirs.Linear(1, 2, true)}, Weights: [2]upstream.Tensor{one(), one()},
		Averages: []upstream.Tensor{upstream.Ones([]int64{1}, false)}, Mixed: []any{"a name", nil, theirs.Linear(1, 1, false)}}
	m.Init(m)
	return m
}

func TestWalk(t *testing.T) {
	torchtest.Scope(t, func() {
		raw := newEveryField()
		m := gotorch.Wrap(raw)
		defer nn.Close(m)
		var names []string
		for _, l := range nn.State(m) {
			if l.Buffer {
				l.Name += " (buffer)"
			}
			names = append(names, l.Name)
		}
		require.Equal(t, []string{"scale", "norm.weight", "norm.bias", "norm.running_mean (buffer)", "norm.running_var (buffer)",
			"any.weight", "layers.1.weight", "layers.1.bias", "weights.0.tensor", "weights.1.tensor", "averages.0.tensor (buffer)", "mixed.2.weight"}, names)
		require.Len(t, nn.State(m), len(raw.StateDict()), "gotorch's own walk finds as many")
		require.Len(t, nn.Params(m), len(raw.Parameters()))

		// What is loaded arrives in gotorch, and what gotorch casts in place is cast here.
		state := map[string]torch.Tensor{}
		for _, e := range nn.Entries("net.", m) {
			state[e.Name] = e.Tensor.Detach().OnesLike().MulScalar(4)
		}
		require.NoError(t, nn.Load(m, "net.", state))
		require.EqualValues(t, 4, raw.Scale.Index(0).Item())
		raw.To(upstream.NewDevice("cpu"), upstream.Double)
		require.Equal(t, torch.Float64, nn.Params(m)[0].DType())
	})
}

type noForward struct{ theirs.Module }

type hidden struct {
	theirs.Module
	fc *theirs.LinearModule
}

func (m *hidden) Forward(x upstream.Tensor) upstream.Tensor { return m.fc.Forward(x) }

func TestModuleErrors(t *testing.T) {
	linear := theirs.Linear(3, 2, true)
	for name, c := range map[string]struct {
		want string
		f    func()
	}{
		"no Forward": {"torch: *gotorch_test.noForward.Forward: it needs Forward(gotorch.Tensor) gotorch.Tensor, like Linear, or Forward(...any) any, like Sequential",
			func() { gotorch.Wrap(&noForward{}) }},
		"a field that gotorch cannot see": {"torch: *gotorch_test.hidden.fc: gotorch sees exported fields only: begin the name with a capital letter",
			func() { gotorch.Wrap(&hidden{fc: linear}) }},
		"a shape that does not fit": {"torch: *nn.LinearModule.Forward([4 5]): mat1 and mat2 shapes cannot be multiplied (4x5 and 3x2)",
			func() { gotorch.Wrap(linear).Forward(torch.Ones([]int{4, 5}, torch.Float32)) }},
		"two numbers an image": {"torch: aten::reshape([4,2]): shape '[4]' is invalid for input of size 8",
			func() { gotorch.Wrap(linear).Energy(torch.Ones([]int{4, 3}, torch.Float32)) }},
		"a Sequential that ends in no tensor": {"torch: *nn.SequentialModule.Forward: its result is not a gotorch.Tensor: the last module must return one",
			func() { gotorch.Wrap(theirs.Sequential(&counter{})).Forward(torch.Scalar(1)) }},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, torch.Do(func() error { c.f(); return nil }), c.want)
		})
	}
}

type counter struct{ theirs.Module }

func (*counter) Forward(upstream.Tensor) int { return 1 }
