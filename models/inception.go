package models

import (
	"fmt"
	"strings"

	"github.com/liebm/liebm/torch"
)

// Inception is the Inception-v3 of 2015 (Szegedy et al. 2016) that FID and IS are defined on, as
// ported from TensorFlow: average pools leave their border out of the mean, the last block pools by
// the maximum, batch norm has eps 1e-3, and there are 1,008 classes.
//
// Every batch norm is folded into its convolution, the 1×1 convolutions of one input are one convolution, and an
// average pool before a 1×1 convolution runs after it, on a tenth of the channels. The results do not change.
type Inception struct {
	stem   [5]*folded
	mixed  []*mixed
	fc     torch.Tensor // [1008,2048]
	fcBias torch.Tensor // [1008]
}

// The sizes of [Inception].
const (
	InceptionSize     = 299
	InceptionFeatures = 2048
	InceptionClasses  = 1008
)

// NewInception makes the network of a state dict with torchvision's names: 94 convolutions
// "Mixed_5b.branch1x1.conv.weight" with their "….bn.…", and fc. It copies what it needs, and the
// caller closes it. Every name and shape is checked; the error lists the first few that are wrong.
func NewInception(state []torch.Entry) (*Inception, error) {
	b := &inceptionBuilder{state: map[string]torch.Tensor{}, used: map[string]bool{}}
	for _, e := range state {
		b.state[e.Name] = e.Tensor
	}
	n := &Inception{}
	err := torch.Do(func() error {
		n.build(b)
		return b.err()
	})
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Close frees the weights.
func (n *Inception) Close() {
	n.each(func(t *torch.Tensor) { t.Close() })
}

// each calls f with every tensor.
func (n *Inception) each(f func(t *torch.Tensor)) {
	part := func(c *folded) {
		if c != nil {
			f(&c.weight)
			f(&c.bias)
		}
	}
	for _, c := range n.stem {
		part(c)
	}
	for _, m := range n.mixed {
		m.each(part)
	}
	f(&n.fc)
	f(&n.fcBias)
}

// Forward returns the features of the last average pool. x: [n,3,299,299] in [−1,1] → [n,2048].
func (n *Inception) Forward(x torch.Tensor) torch.Tensor {
	x.AssertShape(-1, 3, InceptionSize, InceptionSize)
	return torch.Tidy(func() torch.Tensor {
		x := x.Contiguous(torch.ChannelsLast)
		own := false // do not close the caller's tensor
		next := func(f func() torch.Tensor) {
			y := torch.Tidy(f)
			if own {
				x.Close() // one activation alive at a time: 90 MB each for 16 images
			}
			x, own = y, true
		}
		for i, c := range n.stem {
			next(func() torch.Tensor { return c.forward(x) })
			if i == 2 || i == 4 {
				next(func() torch.Tensor { return x.MaxPool2d(3, 2, 0) })
			}
		}
		for _, m := range n.mixed {
			next(func() torch.Tensor { return m.forward(x) })
		}
		return x.MeanDim(2, 3)
	})
}

// Logits are the scores of the classes from the features of Forward: [n,2048] → [n,1008]. IS is defined without
// the bias.
func (n *Inception) Logits(features torch.Tensor, bias bool) torch.Tensor {
	if bias {
		return features.Linear(n.fc, n.fcBias)
	}
	return features.Linear(n.fc, torch.Tensor{})
}

// To moves the weights to a device.
func (n *Inception) To(d torch.Device) error {
	return torch.Do(func() error {
		n.each(func(t *torch.Tensor) {
			moved := t.ToDevice(d).Keep()
			t.Close()
			*t = moved
		})
		return nil
	})
}

// Device is where the weights are.
func (n *Inception) Device() torch.Device { return n.fc.Device() }

// folded is a convolution with its batch norm in it, and the ReLU after both.
type folded struct {
	weight, bias torch.Tensor
	stride       int
	padding      []int
}

func (c *folded) linear(x torch.Tensor) torch.Tensor {
	return torch.Call("aten::conv2d", x, c.weight, c.bias, c.stride, c.padding).Tensor(0)
}

func (c *folded) forward(x torch.Tensor) torch.Tensor {
	y := c.linear(x)
	y.ReLUInPlace()
	return y
}

// inceptionBuilder takes tensors from a state dict and collects errors.
type inceptionBuilder struct {
	state  map[string]torch.Tensor
	used   map[string]bool
	wrong  []string
	layout []InceptionWeight
}

// InceptionWeight is the name and the shape of one tensor of the state dict.
type InceptionWeight struct {
	Name  string
	Shape []int
}

// InceptionLayout lists the tensors that [NewInception] reads. A file may have the num_batches_tracked of each
// batch norm too.
func InceptionLayout() ([]InceptionWeight, error) {
	b, n := &inceptionBuilder{used: map[string]bool{}}, &Inception{}
	defer n.Close()
	err := torch.Do(func() error { n.build(b); return nil })
	return b.layout, err
}

// take returns the tensor of this name and shape as float64. If there is none it returns zeros and records an error.
func (b *inceptionBuilder) take(name string, shape ...int) torch.Tensor {
	t, ok := b.state[name]
	b.used[name] = true
	b.layout = append(b.layout, InceptionWeight{name, shape})
	switch {
	case !ok:
		b.wrong = append(b.wrong, name+" is missing")
	case fmt.Sprint(t.Shape()) != fmt.Sprint(shape):
		b.wrong = append(b.wrong, fmt.Sprintf("%s is %v, the network's %v", name, t.Shape(), shape))
	default:
		return t.Detach().To(torch.Float64)
	}
	return torch.Zeros(shape, torch.Float64)
}

// fold reads one convolution and folds its batch norm in: w·γ/√(σ²+ε) and β − μ·γ/√(σ²+ε), in float64.
func (b *inceptionBuilder) fold(name string, in, out, kh, kw int) (weight, bias torch.Tensor) {
	const eps = 1e-3
	norm := func(part string) torch.Tensor { return b.take(name+".bn."+part, out) }
	b.used[name+".bn.num_batches_tracked"] = true
	w := b.take(name+".conv.weight", out, in, kh, kw)
	scale := norm("weight").Div(norm("running_var").AddScalar(eps).Sqrt())
	return w.Mul(scale.Reshape(out, 1, 1, 1)), norm("bias").Sub(norm("running_mean").Mul(scale))
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
