package models

import "github.com/liebm/liebm/torch"

// mixed is one of Inception's blocks: branches that read one tensor and are joined by channel.
type mixed struct {
	heads    *folded // every 1×1 convolution that reads the block's input, as one; may be nil
	widths   []int   // of the heads
	branches []branch
}

// branch is one path through a block, from the input or a head through convolutions to a part of the result.
type branch struct {
	head  int // which head, or -1: the block's input
	pool  pool
	convs []*folded
	fork  [2]*folded // two convolutions of the output of convs, joined by channel; or nil
}

// pool is what a branch does before its convolutions.
type pool int

const (
	noPool    pool = iota
	average        // of the 3×3 pixels around each that are inside the image, after a linear head
	maximum        // of the 3×3 pixels around each
	shrinking      // the maximum with stride 2
)

func (m *mixed) each(f func(*folded)) {
	f(m.heads)
	for _, b := range m.branches {
		for _, c := range b.convs {
			f(c)
		}
		f(b.fork[0])
		f(b.fork[1])
	}
}

func (m *mixed) forward(x torch.Tensor) torch.Tensor {
	var heads []torch.Tensor
	if m.heads != nil {
		heads = m.heads.linear(x).Split(m.widths, 1)
	}
	var parts []torch.Tensor
	for _, b := range m.branches {
		parts = append(parts, b.forward(x, heads)...)
	}
	return torch.Cat(parts, 1)
}

func (b branch) forward(x torch.Tensor, heads []torch.Tensor) []torch.Tensor {
	y := x
	if b.head >= 0 {
		y = heads[b.head]
	}
	switch b.pool {
	case average:
		const ceil, countBorder = false, false
		y = torch.Call("aten::avg_pool2d", y, 3, 1, 1, ceil, countBorder).Tensor(0)
	case maximum:
		y = y.MaxPool2d(3, 1, 1)
	case shrinking:
		return []torch.Tensor{y.MaxPool2d(3, 2, 0)}
	}
	if b.head >= 0 {
		y = y.ReLU()
	}
	for _, c := range b.convs {
		y = c.forward(y)
	}
	if b.fork[0] != nil {
		return []torch.Tensor{b.fork[0].forward(y), b.fork[1].forward(y)}
	}
	return []torch.Tensor{y}
}

// layer is one convolution of a branch: the last part of its name, its width and its kernel.
type layer struct {
	name   string
	out    int
	kh, kw int
	stride int
	same   bool // padded so that the size stays
}

func (b *inceptionBuilder) conv(block string, in int, l layer) *folded {
	c := keepFolded(l.stride, func() (w, bias torch.Tensor) { return b.fold(block+l.name, in, l.out, l.kh, l.kw) })
	if l.same {
		c.padding = []int{l.kh / 2, l.kw / 2}
	}
	return c
}

// keepFolded keeps the tensors that make returns as float32, and frees the others that it makes.
func keepFolded(stride int, make func() (w, bias torch.Tensor)) *folded {
	c := &folded{stride: stride, padding: []int{0, 0}}
	torch.Tidy(func() torch.Tensor {
		w, bias := make()
		c.weight, c.bias = w.To(torch.Float32).CloneAs(torch.ChannelsLast).Keep(), bias.To(torch.Float32).Keep()
		return torch.Tensor{}
	})
	return c
}

// chain makes a sequence of convolutions. The first one reads in channels.
func (b *inceptionBuilder) chain(block string, in int, layers ...layer) (out []*folded) {
	for _, l := range layers {
		out = append(out, b.conv(block, in, l))
		in = l.out
	}
	return out
}

// head is a 1×1 convolution that reads the block's input.
type head struct {
	name string
	out  int
}

func (b *inceptionBuilder) heads(block string, in int, heads ...head) (c *folded, widths []int) {
	for _, h := range heads {
		widths = append(widths, h.out)
	}
	return keepFolded(1, func() (torch.Tensor, torch.Tensor) {
		var weights, biases []torch.Tensor
		for _, h := range heads {
			w, bias := b.fold(block+h.name, in, h.out, 1, 1)
			weights, biases = append(weights, w), append(biases, bias)
		}
		return torch.Cat(weights, 0), torch.Cat(biases, 0)
	}), widths
}

// build reads every layer, in the order of the network.
func (n *Inception) build(b *inceptionBuilder) {
	in := 3
	for i, l := range []layer{{"Conv2d_1a_3x3", 32, 3, 3, 2, false}, {"Conv2d_2a_3x3", 32, 3, 3, 1, false},
		{"Conv2d_2b_3x3", 64, 3, 3, 1, true}, {"Conv2d_3b_1x1", 80, 1, 1, 1, false}, {"Conv2d_4a_3x3", 192, 3, 3, 1, false}} {
		n.stem[i] = b.conv("", in, l)
		in = l.out
	}
	n.mixed = []*mixed{
		b.blockA("Mixed_5b.", 192, 32), b.blockA("Mixed_5c.", 256, 64), b.blockA("Mixed_5d.", 288, 64),
		b.blockB("Mixed_6a.", 288),
		b.blockC("Mixed_6b.", 128), b.blockC("Mixed_6c.", 160), b.blockC("Mixed_6d.", 160), b.blockC("Mixed_6e.", 192),
		b.blockD("Mixed_7a.", 768),
		b.blockE("Mixed_7b.", 1280, average), b.blockE("Mixed_7c.", 2048, maximum),
	}
	n.fc = b.take("fc.weight", InceptionClasses, InceptionFeatures).To(torch.Float32).Keep()
	n.fcBias = b.take("fc.bias", InceptionClasses).To(torch.Float32).Keep()
}

// blockA works at 35×35: [n,in,…] → [n,224+pooled,…].
func (b *inceptionBuilder) blockA(name string, in, pooled int) *mixed {
	m := &mixed{}
	m.heads, m.widths = b.heads(name, in, head{"branch1x1", 64}, head{"branch5x5_1", 48}, head{"branch3x3dbl_1", 64}, head{"branch_pool", pooled})
	m.branches = []branch{
		{head: 0},
		{head: 1, convs: b.chain(name, 48, layer{"branch5x5_2", 64, 5, 5, 1, true})},
		{head: 2, convs: b.chain(name, 64, layer{"branch3x3dbl_2", 96, 3, 3, 1, true}, layer{"branch3x3dbl_3", 96, 3, 3, 1, true})},
		{head: 3, pool: average},
	}
	return m
}

// blockB goes from 35×35 to 17×17: [n,in,…] → [n,480+in,…].
func (b *inceptionBuilder) blockB(name string, in int) *mixed {
	return &mixed{branches: []branch{
		{head: -1, convs: b.chain(name, in, layer{"branch3x3", 384, 3, 3, 2, false})},
		{head: -1, convs: b.chain(name, in, layer{"branch3x3dbl_1", 64, 1, 1, 1, false}, layer{"branch3x3dbl_2", 96, 3, 3, 1, true},
			layer{"branch3x3dbl_3", 96, 3, 3, 2, false})},
		{head: -1, pool: shrinking},
	}}
}

// blockC works at 17×17: [n,768,…] → [n,768,…], with c channels inside.
func (b *inceptionBuilder) blockC(name string, c int) *mixed {
	m := &mixed{}
	m.heads, m.widths = b.heads(name, 768, head{"branch1x1", 192}, head{"branch7x7_1", c}, head{"branch7x7dbl_1", c}, head{"branch_pool", 192})
	m.branches = []branch{
		{head: 0},
		{head: 1, convs: b.chain(name, c, layer{"branch7x7_2", c, 1, 7, 1, true}, layer{"branch7x7_3", 192, 7, 1, 1, true})},
		{head: 2, convs: b.chain(name, c, layer{"branch7x7dbl_2", c, 7, 1, 1, true}, layer{"branch7x7dbl_3", c, 1, 7, 1, true},
			layer{"branch7x7dbl_4", c, 7, 1, 1, true}, layer{"branch7x7dbl_5", 192, 1, 7, 1, true})},
		{head: 3, pool: average},
	}
	return m
}

// blockD goes from 17×17 to 8×8: [n,in,…] → [n,512+in,…].
func (b *inceptionBuilder) blockD(name string, in int) *mixed {
	m := &mixed{}
	m.heads, m.widths = b.heads(name, in, head{"branch3x3_1", 192}, head{"branch7x7x3_1", 192})
	m.branches = []branch{
		{head: 0, convs: b.chain(name, 192, layer{"branch3x3_2", 320, 3, 3, 2, false})},
		{head: 1, convs: b.chain(name, 192, layer{"branch7x7x3_2", 192, 1, 7, 1, true}, layer{"branch7x7x3_3", 192, 7, 1, 1, true},
			layer{"branch7x7x3_4", 192, 3, 3, 2, false})},
		{head: -1, pool: shrinking},
	}
	return m
}

// blockE works at 8×8: [n,in,…] → [n,2048,…].
func (b *inceptionBuilder) blockE(name string, in int, pooling pool) *mixed {
	m := &mixed{}
	heads := []head{{"branch1x1", 320}, {"branch3x3_1", 384}, {"branch3x3dbl_1", 448}}
	last := branch{head: 3, pool: average}
	if pooling == average {
		heads = append(heads, head{"branch_pool", 192})
	} else { // a maximum does not commute with a convolution
		last = branch{head: -1, pool: maximum, convs: b.chain(name, in, layer{"branch_pool", 192, 1, 1, 1, false})}
	}
	m.heads, m.widths = b.heads(name, in, heads...)
	fork := func(prefix string) [2]*folded {
		return [2]*folded{b.conv(name, 384, layer{prefix + "a", 384, 1, 3, 1, true}), b.conv(name, 384, layer{prefix + "b", 384, 3, 1, 1, true})}
	}
	m.branches = []branch{
		{head: 0},
		{head: 1, fork: fork("branch3x3_2")},
		{head: 2, convs: b.chain(name, 448, layer{"branch3x3dbl_2", 384, 3, 3, 1, true}), fork: fork("branch3x3dbl_3")},
		last,
	}
	return m
}
