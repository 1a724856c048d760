package models

import (
	"fmt"
	"strings"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// script collects the attributes and the source of a module in TorchScript, without fused kernels. Attributes
// have the names of the weights after prefix, with _ in place of dots.
type script struct {
	class, prefix string
	entries       []torch.Entry
	source        strings.Builder
}

func (s *script) line(format string, args ...any) { fmt.Fprintf(&s.source, "  "+format+"\n", args...) }

// method begins a method that maps tensors to a tensor.
func (s *script) method(name string, args ...string) {
	s.line("def %s(self: __torch__.%s, %s: Tensor) -> Tensor:", name, s.class, strings.Join(args, ": Tensor, "))
}

// constant adds an attribute; none is None.
func (s *script) constant(name string, t torch.Tensor) string {
	if !t.Defined() {
		return "None"
	}
	name = strings.ReplaceAll(s.prefix+name, ".", "_")
	s.entries = append(s.entries, torch.Entry{Name: name, Tensor: t.Detach()})
	return "self." + name
}

// conv is a convolution that keeps the size of the image, or divides it by the stride.
func (s *script) conv(name string, c *nn.Conv2d, x string, stride int) string {
	padding := c.Weight.Size(2) / 2
	if c.Options().ReLU {
		x = "torch.relu(" + x + ")"
	}
	return fmt.Sprintf("torch.conv2d(%s, %s, %s, [%d, %d], [%d, %d])", x, s.constant(name+".weight", c.Normalized()), s.constant(name+".bias", c.Bias),
		stride, stride, padding, padding)
}

func (s *script) linear(name string, l *nn.Linear, x string) string {
	return fmt.Sprintf("torch.linear(%s, %s, %s)", x, s.constant(name+".weight", l.Normalized()), s.constant(name+".bias", l.Bias))
}

func (s *script) norm(name string, b *nn.BatchNorm, x string) string {
	return fmt.Sprintf("torch.batch_norm(%s, %s, %s, %s, %s, False, 0.1, 1e-05, False)", x, s.constant(name+".weight", b.Weight), s.constant(name+".bias", b.Bias),
		s.constant(name+".running_mean", b.RunningMean), s.constant(name+".running_var", b.RunningVar))
}

// TorchScript returns E for [WriteTorchScript], of class Energy: forward(x) is E(x), features(x) is f(x), and with
// the cosine posterior joint(x, z) is E(x,z). The weights are divided by their spectral norms. The tensors belong
// to the open scope.
func (e *Energy) TorchScript() (class string, entries []torch.Entry, methods string) {
	s := &script{class: "Energy"}
	e.script(s)
	s.method("forward", "x")
	s.line("  return self.score(self.features(x))")
	if p := e.Config.Posterior; p == Cosine || p == "" {
		s.method("joint", "x", "z")
		s.line("  f = self.features(x)")
		s.line("  return torch.add(self.score(f), torch.mul(torch.cosine_similarity(self.latent(f), z), %#v))", e.Config.Gamma)
	}
	return s.class, s.entries, s.source.String()
}

// script adds the methods features, score and latent, which are those of [Bound]. Without a latent term there is no
// latent.
func (e *Energy) script(s *script) {
	s.method("features", "x")
	for i, b := range e.Blocks {
		name := fmt.Sprintf("blocks.%d.", i)
		s.line("  h = %s", s.conv(name+"conv1", b.Conv1, "x", 1))
		s.line("  h = %s", s.conv(name+"conv2", b.Conv2, "h", 1))
		if b.Skip != nil {
			s.line("  x = %s", s.conv(name+"skip", b.Skip, "x", 1))
		}
		s.line("  x = torch.add(h, x)")
		if b.down {
			s.line("  x = torch.avg_pool2d(x, [2, 2])")
		}
	}
	f := "torch.mean(torch.relu(x), [2, 3])"
	if e.Out != nil {
		f = s.linear("out", e.Out, f)
	}
	s.line("  return %s", f)
	if e.Head1 != nil {
		s.method("latent", "f")
		s.line("  g = %s", s.linear("head2", e.Head2, "torch.relu("+s.linear("head1", e.Head1, "f")+")"))
		s.line("  return torch.slice(g, 1, 0, %d)", e.Config.LatentDim) // of a Gaussian posterior, the mean's half
	}
	s.method("score", "f")
	switch {
	case e.F != nil:
		s.line("  return torch.squeeze(%s, 1)", s.linear("f", e.F, "f"))
	case e.Config.Posterior == CEBM:
		s.line("  return torch.mul(torch.sum(torch.square(self.latent(f)), [1]), 0.5)")
	default:
		s.line("  return torch.mul(torch.sum(torch.square(f), [1]), -0.5)")
	}
}

// TorchScript returns G for [WriteTorchScript], of class Generator: forward(m) is G(m) with the running
// statistics. The tensors belong to the open scope.
func (g *Generator) TorchScript() (class string, entries []torch.Entry, methods string) {
	const up = "torch.upsample_bilinear2d(%s, None, True, [2., 2.])"
	s := &script{class: "Generator"}
	s.method("forward", "m")
	s.line("  x = torch.reshape(%s, [-1, %d, 4, 4])", s.linear("in", g.In, "m"), g.Config.Widths[0])
	for i, b := range g.Blocks {
		name := fmt.Sprintf("blocks.%d.", i)
		s.line("  h = "+up, "torch.relu("+s.norm(name+"bn1", b.BN1, "x")+")")
		s.line("  h = %s", s.conv(name+"conv1", b.Conv1, "h", 1))
		s.line("  h = %s", s.norm(name+"bn2", b.BN2, "h"))
		s.line("  x = torch.add(%s, "+up+")", s.conv(name+"conv2", b.Conv2, "h", 1), s.conv(name+"skip", b.Skip, "x", 1))
	}
	s.line("  x = %s", s.norm("bn", g.BN, "x"))
	s.line("  x = torch.tanh(%s)", s.conv("out", g.Out, "x", 1))
	s.line("  return torch.add(torch.mul(torch.add(x, 1), %#v), %#v)", (g.Range.High-g.Range.Low)/2, g.Range.Low)
	return s.class, s.entries, s.source.String()
}

// TorchScript returns h for [WriteTorchScript], of class Encoder: forward(x) is [Encoder.Latent], with the running
// statistics. The tensors belong to the open scope.
func (h *Encoder) TorchScript() (class string, entries []torch.Entry, methods string) {
	s := &script{class: "Encoder"}
	h.script(s, "forward")
	return s.class, s.entries, s.source.String()
}

// script adds Latent as a method of that name.
func (h *Encoder) script(s *script, method string) {
	s.method(method, "x")
	scale, shift := h.affine()
	s.line("  x = torch.add(torch.mul(x, %s), %s)", s.constant("input_scale", scale), s.constant("input_shift", shift))
	s.line("  x = torch.relu(%s)", s.norm("bn", h.BN, s.conv("stem", h.Stem, "x", stems[h.Config.Stem].stride)))
	if h.Config.Stem != "small" {
		s.line("  x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])")
	}
	for i, stage := range h.Stages {
		for j, b := range stage {
			name, stride := fmt.Sprintf("stages.%d.%d.", i, j), max(1, b.stride)
			s.line("  y = %s", s.norm(name+"bn1", b.BN1, s.conv(name+"conv1", b.Conv1, "x", stride)))
			s.line("  y = %s", s.norm(name+"bn2", b.BN2, s.conv(name+"conv2", b.Conv2, "y", 1)))
			if b.Skip != nil {
				s.line("  x = %s", s.norm(name+"skip_bn", b.SkipBN, s.conv(name+"skip", b.Skip, "x", stride)))
			}
			s.line("  x = torch.relu(torch.add(y, x))")
		}
	}
	y := s.norm("head_bn", h.HeadBN, s.linear("head1", h.Head1, "torch.mean(x, [2, 3])"))
	s.line("  z = %s", s.linear("head2", h.Head2, "torch.relu("+y+")"))
	s.line("  return torch.div(z, torch.clamp_min(torch.sqrt(torch.sum(torch.square(z), [1], True)), 1e-12))")
}

// A Scorer is the score s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of Eq. 15 for images in [0,1].
type Scorer struct {
	E     *Energy
	H     *Encoder // nil if E has no latent term
	Gamma float64  // γ of Eq. 15
	Range Range    // that E and h read
	Size  int      // height and width that E and h read
	Inner int      // height and width of images before they are padded with zeros to Size; equal to Size: no padding
}

// TorchScript returns s for [WriteTorchScript], of class Score: forward(x) is s(x), energy(x) is F(f(x)) and
// cosine(x) the cosine, 0 without a latent term. x: [n,c,h,w] in [0,1]. The tensors belong to the open scope.
func (sc Scorer) TorchScript() (class string, entries []torch.Entry, methods string) {
	s := &script{class: "Score"}
	sc.E.script(s)
	latent := sc.E.Head1 != nil
	if latent {
		s.prefix = "encoder_"
		sc.H.script(s, "encode")
	}
	s.method("input", "x")
	if sc.Inner < sc.Size {
		low := (sc.Size - sc.Inner) / 2
		high := sc.Size - sc.Inner - low
		s.line("  if torch.eq(torch.size(x), [torch.size(x, 0), %d, %d, %d]):", sc.E.Config.Channels, sc.Inner, sc.Inner)
		s.line("    x = torch.constant_pad_nd(x, [%d, %d, %d, %d])", low, high, low, high)
		s.line("  else:")
		s.line("    x = x")
	}
	s.line("  assert torch.eq(torch.size(x), [torch.size(x, 0), %d, %d, %d]), \"use images [n,%d,%d,%d] with values in [0,1]\"",
		sc.E.Config.Channels, sc.Size, sc.Size, sc.E.Config.Channels, sc.Inner, sc.Inner)
	s.line("  return torch.add(torch.mul(x, %#v), %#v)", sc.Range.High-sc.Range.Low, sc.Range.Low)
	energy, cosine := "self.score(f)", "torch.zeros_like(self.score(f))"
	if latent {
		cosine = "torch.cosine_similarity(self.latent(f), self.encode(x))"
	}
	sum := fmt.Sprintf("torch.add(%s, torch.mul(%s, %#v))", energy, cosine, sc.Gamma)
	for _, m := range []struct{ name, value string }{{"forward", sum}, {"energy", energy}, {"cosine", cosine}} {
		s.method(m.name, "images")
		s.line("  x = self.input(images)")
		s.line("  f = self.features(x)")
		s.line("  return %s", m.value)
	}
	return s.class, s.entries, s.source.String()
}
