package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// Inception is the Inception-v3 of 2015 (Szegedy et al. 2016) that FID and IS are defined on, as
// ported from TensorFlow: average pools leave their border out of the mean, the last block pools by
// the maximum, batch norm has eps 1e-3, and there are 1,008 classes.
//
// Every batch norm is folded into its convolution, the 1×1 convolutions of one input are one convolution, and an
// average pool before a 1×1 convolution runs after it, on a tenth of the channels. The results do not change.
type Inception struct {
	Stem   []*folded
	Blocks []*inceptionBlock
	FC     torch.Tensor `nn:"buffer"` // [1008,2048]
	FCBias torch.Tensor `nn:"buffer"` // [1008]
}

// The sizes of [Inception].
const (
	InceptionSize     = 299
	InceptionFeatures = 2048
	InceptionClasses  = 1008
)

// folded is a convolution with its batch norm in it, and the ReLU after both.
type folded struct {
	Weight  torch.Tensor `nn:"buffer"`
	Bias    torch.Tensor `nn:"buffer"`
	stride  int
	padding []int
}

// inceptionBlock has branches that read one tensor. Their results are joined by channel.
type inceptionBlock struct {
	Heads    *folded // every 1×1 convolution that reads the block's input, as one; nil without any
	Branches []*branch
	widths   []int // of the heads
}

// branch is one path through a block.
type branch struct {
	Convs []*folded // they read the block's input or a head
	Fork  []*folded // they all read the output of Convs
	pool  pool
	head  int // index of the head, or -1: the branch reads the block's input
}

// pool is what a branch does before its convolutions.
type pool int

const (
	noPool    pool = iota
	average        // of the 3×3 pixels around each that are inside the image
	maximum        // of the 3×3 pixels around each
	shrinking      // the maximum with stride 2
)

// layer is a convolution of the state dict: the last part of its name, its output channels and its kernel.
type layer struct {
	name        string
	out, kh, kw int
	stride      int // without padding; 0: stride 1, padded so that the size stays
}

// path is a branch before its weights are read.
type path struct {
	pool         pool
	layers, fork []layer
}

var inceptionStem = []layer{{"Conv2d_1a_3x3", 32, 3, 3, 2}, {"Conv2d_2a_3x3", 32, 3, 3, 1}, {"Conv2d_2b_3x3", 64, 3, 3, 0},
	{"Conv2d_3b_1x1", 80, 1, 1, 1}, {"Conv2d_4a_3x3", 192, 3, 3, 1}}

var inceptionBlocks = []struct {
	name  string
	paths []path
}{
	{"Mixed_5b.", blockA(32)}, {"Mixed_5c.", blockA(64)}, {"Mixed_5d.", blockA(64)},
	{"Mixed_6a.", []path{ // 35×35 → 17×17
		{layers: []layer{{"branch3x3", 384, 3, 3, 2}}},
		{layers: []layer{{"branch3x3dbl_1", 64, 1, 1, 0}, {"branch3x3dbl_2", 96, 3, 3, 0}, {"branch3x3dbl_3", 96, 3, 3, 2}}},
		{pool: shrinking},
	}},
	{"Mixed_6b.", blockC(128)}, {"Mixed_6c.", blockC(160)}, {"Mixed_6d.", blockC(160)}, {"Mixed_6e.", blockC(192)},
	{"Mixed_7a.", []path{ // 17×17 → 8×8
		{layers: []layer{{"branch3x3_1", 192, 1, 1, 0}, {"branch3x3_2", 320, 3, 3, 2}}},
		{layers: []layer{{"branch7x7x3_1", 192, 1, 1, 0}, {"branch7x7x3_2", 192, 1, 7, 0}, {"branch7x7x3_3", 192, 7, 1, 0}, {"branch7x7x3_4", 192, 3, 3, 2}}},
		{pool: shrinking},
	}},
	{"Mixed_7b.", blockE(average)}, {"Mixed_7c.", blockE(maximum)},
}

// blockA works at 35×35.
func blockA(pooled int) []path {
	return []path{
		{layers: []layer{{"branch1x1", 64, 1, 1, 0}}},
		{layers: []layer{{"branch5x5_1", 48, 1, 1, 0}, {"branch5x5_2", 64, 5, 5, 0}}},
		{layers: []layer{{"branch3x3dbl_1", 64, 1, 1, 0}, {"branch3x3dbl_2", 96, 3, 3, 0}, {"branch3x3dbl_3", 96, 3, 3, 0}}},
		{pool: average, layers: []layer{{"branch_pool", pooled, 1, 1, 0}}},
	}
}

// blockC works at 17×17, with c channels inside.
func blockC(c int) []path {
	return []path{
		{layers: []layer{{"branch1x1", 192, 1, 1, 0}}},
		{layers: []layer{{"branch7x7_1", c, 1, 1, 0}, {"branch7x7_2", c, 1, 7, 0}, {"branch7x7_3", 192, 7, 1, 0}}},
		{layers: []layer{{"branch7x7dbl_1", c, 1, 1, 0}, {"branch7x7dbl_2", c, 7, 1, 0}, {"branch7x7dbl_3", c, 1, 7, 0},
			{"branch7x7dbl_4", c, 7, 1, 0}, {"branch7x7dbl_5", 192, 1, 7, 0}}},
		{pool: average, layers: []layer{{"branch_pool", 192, 1, 1, 0}}},
	}
}

// blockE works at 8×8.
func blockE(pooling pool) []path {
	return []path{
		{layers: []layer{{"branch1x1", 320, 1, 1, 0}}},
		{layers: []layer{{"branch3x3_1", 384, 1, 1, 0}}, fork: []layer{{"branch3x3_2a", 384, 1, 3, 0}, {"branch3x3_2b", 384, 3, 1, 0}}},
		{layers: []layer{{"branch3x3dbl_1", 448, 1, 1, 0}, {"branch3x3dbl_2", 384, 3, 3, 0}},
			fork: []layer{{"branch3x3dbl_3a", 384, 1, 3, 0}, {"branch3x3dbl_3b", 384, 3, 1, 0}}},
		{pool: pooling, layers: []layer{{"branch_pool", 192, 1, 1, 0}}},
	}
}

// NewInception makes the network of a state dict with torchvision's names: 94 convolutions
// "Mixed_5b.branch1x1.conv.weight" with their "….bn.…", and fc. It copies what it needs, and the
// caller closes it with nn.Close. Every name and shape is checked; the error lists the first few that are wrong.
func NewInception(state []torch.Entry) (*Inception, error) {
	b := &inceptionBuilder{state: map[string]torch.Tensor{}, used: map[string]bool{}}
	for _, e := range state {
		b.state[e.Name] = e.Tensor
	}
	n := &Inception{}
	err := torch.Do(func() error {
		in := 3
		for _, l := range inceptionStem {
			n.Stem = append(n.Stem, b.conv("", in, l))
			in = l.out
		}
		for _, block := range inceptionBlocks {
			made, out := b.block(block.name, in, block.paths)
			n.Blocks, in = append(n.Blocks, made), out
		}
		n.FC = b.take("fc.weight", InceptionClasses, in).To(torch.Float32).Keep()
		n.FCBias = b.take("fc.bias", InceptionClasses).To(torch.Float32).Keep()
		return b.err()
	})
	if err != nil {
		nn.Close(n)
		return nil, err
	}
	return n, nil
}

// Forward returns the features of the last average pool. x: [n,3,299,299] in [−1,1] → [n,2048].
func (n *Inception) Forward(x torch.Tensor) torch.Tensor {
	x.AssertShape(-1, 3, InceptionSize, InceptionSize)
	return torch.Tidy(func() torch.Tensor {
		x := x.Contiguous(torch.ChannelsLast) // a handle of its own, not the caller's
		next := func(f func() torch.Tensor) {
			y := torch.Tidy(f)
			x.Close() // one activation alive at a time: 90 MB each for 16 images
			x = y
		}
		for i, c := range n.Stem {
			next(func() torch.Tensor { return c.forward(x) })
			if i == 2 || i == 4 {
				next(func() torch.Tensor { return x.MaxPool2d(3, 2, 0) })
			}
		}
		for _, b := range n.Blocks {
			next(func() torch.Tensor { return b.forward(x) })
		}
		return x.MeanDim(2, 3)
	})
}

// Logits are the scores of the classes from the features of Forward: [n,2048] → [n,1008]. IS is defined without
// the bias.
func (n *Inception) Logits(features torch.Tensor, bias bool) torch.Tensor {
	if bias {
		return features.Linear(n.FC, n.FCBias)
	}
	return features.Linear(n.FC, torch.Tensor{})
}

// Device is where the weights are.
func (n *Inception) Device() torch.Device { return n.FC.Device() }

func (c *folded) linear(x torch.Tensor) torch.Tensor {
	return torch.Call("aten::conv2d", x, c.Weight, c.Bias, max(c.stride, 1), c.padding).Tensor(0)
}

func (c *folded) forward(x torch.Tensor) torch.Tensor { return relu(c.linear(x)) }

func (m *inceptionBlock) forward(x torch.Tensor) torch.Tensor {
	heads := m.Heads.linear(x).Split(m.widths, 1)
	var parts []torch.Tensor
	for _, b := range m.Branches {
		parts = append(parts, b.forward(x, heads)...)
	}
	return torch.Cat(parts, 1)
}

func (b *branch) forward(x torch.Tensor, heads []torch.Tensor) (parts []torch.Tensor) {
	if b.head >= 0 {
		x = heads[b.head]
	}
	switch b.pool {
	case average:
		const ceil, countBorder = false, false
		x = torch.Call("aten::avg_pool2d", x, 3, 1, 1, ceil, countBorder).Tensor(0)
	case maximum:
		x = x.MaxPool2d(3, 1, 1)
	case shrinking:
		x = x.MaxPool2d(3, 2, 0)
	}
	if b.head >= 0 {
		x = x.ReLU()
	}
	for _, c := range b.Convs {
		x = c.forward(x)
	}
	if len(b.Fork) == 0 {
		return []torch.Tensor{x}
	}
	for _, c := range b.Fork {
		parts = append(parts, c.forward(x))
	}
	return parts
}

// inceptionBuilder takes tensors from a state dict and collects errors.
type inceptionBuilder struct {
	state map[string]torch.Tensor
	used  map[string]bool
	wrong []string
}

// block reads a block whose input has in channels. It returns the block and its output channels too.
func (b *inceptionBuilder) block(name string, in int, paths []path) (m *inceptionBlock, out int) {
	m = &inceptionBlock{}
	var heads []layer
	for _, p := range paths {
		made, layers, width := &branch{pool: p.pool, head: -1}, p.layers, in
		// The first 1×1 convolution is a head, but a maximum does not commute with a convolution.
		if len(layers) > 0 && layers[0].kh == 1 && layers[0].kw == 1 && p.pool != maximum {
			made.head, width = len(heads), layers[0].out
			heads, m.widths, layers = append(heads, layers[0]), append(m.widths, width), layers[1:]
		}
		for _, l := range layers {
			made.Convs = append(made.Convs, b.conv(name, width, l))
			width = l.out
		}
		for _, l := range p.fork {
			made.Fork = append(made.Fork, b.conv(name, width, l))
		}
		m.Branches = append(m.Branches, made)
		out += width * max(1, len(p.fork))
	}
	m.Heads = b.conv(name, in, heads...)
	return m, out
}

// conv reads convolutions with the same input and kernel size as one.
func (b *inceptionBuilder) conv(block string, in int, layers ...layer) *folded {
	l := layers[0]
	c := &folded{stride: l.stride, padding: []int{0, 0}}
	if l.stride == 0 {
		c.padding = []int{l.kh / 2, l.kw / 2}
	}
	torch.Tidy(func() torch.Tensor {
		var weights, biases []torch.Tensor
		for _, l := range layers {
			w, bias := b.fold(block+l.name, in, l)
			weights, biases = append(weights, w), append(biases, bias)
		}
		c.Weight = torch.Cat(weights, 0).To(torch.Float32).CloneAs(torch.ChannelsLast).Keep()
		c.Bias = torch.Cat(biases, 0).To(torch.Float32).Keep()
		return torch.Tensor{}
	})
	return c
}

// take returns the tensor of this name and shape as float64. If there is none it returns zeros and records an error.
func (b *inceptionBuilder) take(name string, shape ...int) torch.Tensor {
	t, ok := b.state[name]
	b.used[name] = true
	switch {
	case !ok:
		b.wrong = append(b.wrong, name+" is missing")
	case !slices.Equal(t.Shape(), shape):
		b.wrong = append(b.wrong, fmt.Sprintf("%s is %v, the network's %v", name, t.Shape(), shape))
	default:
		return t.Detach().To(torch.Float64)
	}
	return torch.Zeros(shape, torch.Float64)
}

// fold reads one convolution and folds its batch norm in: w·γ/√(σ²+ε) and β − μ·γ/√(σ²+ε), in float64.
func (b *inceptionBuilder) fold(name string, in int, l layer) (weight, bias torch.Tensor) {
	const eps = 1e-3
	norm := func(part string) torch.Tensor { return b.take(name+".bn."+part, l.out) }
	b.used[name+".bn.num_batches_tracked"] = true
	w := b.take(name+".conv.weight", l.out, in, l.kh, l.kw)
	scale := norm("weight").Div(norm("running_var").AddScalar(eps).Sqrt())
	return w.Mul(scale.Reshape(l.out, 1, 1, 1)), norm("bias").Sub(norm("running_mean").Mul(scale))
}

// err lists the tensors that do not fit. It says so if the weights seem to be those of ImageNet.
func (b *inceptionBuilder) err() error {
	extra := 0
	for name := range b.state {
		if !b.used[name] {
			extra++
		}
	}
	if len(b.wrong) == 0 && extra == 0 {
		return nil
	}
	what := strings.Join(b.wrong[:min(3, len(b.wrong))], "; ")
	if extra > 0 {
		what = strings.TrimPrefix(fmt.Sprintf("%s; %d tensors that the network lacks", what, extra), "; ")
	}
	hint := ""
	if t, ok := b.state["fc.weight"]; ok && t.Dim() == 2 && t.Size(0) == 1000 {
		hint = "; these seem to be torchvision's ImageNet weights, which FID is not defined on"
	}
	return fmt.Errorf("%d weights of the FID Inception do not fit: %s%s", len(b.wrong)+extra, what, hint)
}
