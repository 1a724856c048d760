package models

import (
	"fmt"
	"strings"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// script collects the attributes and the source of a network in TorchScript, without fused kernels. Attributes
// have the names of the weights, with _ in place of dots.
type script struct {
	entries []torch.Entry
	source  strings.Builder
}

func (s *script) line(format string, args ...any) { fmt.Fprintf(&s.source, "  "+format+"\n", args...) }

// constant adds an attribute; none is None.
func (s *script) constant(name string, t torch.Tensor) string {
	if !t.Defined() {
		return "None"
	}
	name = strings.ReplaceAll(name, ".", "_")
	s.entries = append(s.entries, torch.Entry{Name: name, Tensor: t.Detach()})
	return "self." + name
}

func (s *script) conv(name string, c *nn.Conv2d, x string, padding int) string {
	return fmt.Sprintf("torch.conv2d(%s, %s, %s, [1, 1], [%d, %d])", x, s.constant(name+".weight", c.Normalized()), s.constant(name+".bias", c.Bias), padding, padding)
}

func (s *script) linear(name string, l *nn.Linear, x string) string {
	return fmt.Sprintf("torch.linear(%s, %s, %s)", x, s.constant(name+".weight", l.Normalized()), s.constant(name+".bias", l.Bias))
}

func (s *script) norm(name string, b *nn.BatchNorm, x string) string {
	return fmt.Sprintf("torch.batch_norm(%s, %s, %s, %s, %s, False, 0.1, 1e-05, False)", x, s.constant(name+".weight", b.Weight), s.constant(name+".bias", b.Bias),
		s.constant(name+".running_mean", b.RunningMean), s.constant(name+".running_var", b.RunningVar))
}

// TorchScript returns E for [WriteTorchScript] with class Energy: forward(x) is E(x), features(x) is f(x), and with
// the cosine posterior joint(x, z) is E(x,z). The weights are divided by their spectral norms. The tensors belong
// to the open scope.
func (e *Energy) TorchScript() ([]torch.Entry, string) {
	s := &script{}
	s.line("def features(self: __torch__.Energy, x: Tensor) -> Tensor:")
	for i, b := range e.Blocks {
		name, x := fmt.Sprintf("blocks.%d.", i), "x"
		if !b.first {
			x = "torch.relu(x)"
		}
		s.line("  h = %s", s.conv(name+"conv1", b.Conv1, x, 1))
		s.line("  h = %s", s.conv(name+"conv2", b.Conv2, "torch.relu(h)", 1))
		if b.Skip != nil {
			s.line("  x = %s", s.conv(name+"skip", b.Skip, "x", 0))
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
		s.line("def latent(self: __torch__.Energy, f: Tensor) -> Tensor:")
		s.line("  return %s", s.linear("head2", e.Head2, "torch.relu("+s.linear("head1", e.Head1, "f")+")"))
	}
	s.line("def score(self: __torch__.Energy, f: Tensor) -> Tensor:")
	switch {
	case e.F != nil:
		s.line("  return torch.squeeze(%s, 1)", s.linear("f", e.F, "f"))
	case e.Config.Posterior == CEBM:
		s.line("  return torch.mul(torch.sum(torch.square(self.latent(f)), [1]), 0.5)")
	default:
		s.line("  return torch.mul(torch.sum(torch.square(f), [1]), -0.5)")
	}
	s.line("def forward(self: __torch__.Energy, x: Tensor) -> Tensor:")
	s.line("  return self.score(self.features(x))")
	if p := e.Config.Posterior; p == Cosine || p == "" {
		s.line("def joint(self: __torch__.Energy, x: Tensor, z: Tensor) -> Tensor:")
		s.line("  f = self.features(x)")
		s.line("  return torch.add(self.score(f), torch.mul(torch.cosine_similarity(self.latent(f), z), %#v))", e.Config.Gamma)
	}
	return s.entries, s.source.String()
}

// TorchScript returns G for [WriteTorchScript] with class Generator: forward(m) is G(m) with the running
// statistics. The tensors belong to the open scope.
func (g *Generator) TorchScript() ([]torch.Entry, string) {
	const up = "torch.upsample_bilinear2d(%s, None, True, [2., 2.])"
	s := &script{}
	s.line("def forward(self: __torch__.Generator, m: Tensor) -> Tensor:")
	s.line("  x = torch.reshape(%s, [-1, %d, 4, 4])", s.linear("in", g.In, "m"), g.Config.Widths[0])
	for i, b := range g.Blocks {
		name := fmt.Sprintf("blocks.%d.", i)
		s.line("  h = "+up, "torch.relu("+s.norm(name+"bn1", b.BN1, "x")+")")
		s.line("  h = %s", s.conv(name+"conv1", b.Conv1, "h", 1))
		s.line("  h = torch.relu(%s)", s.norm(name+"bn2", b.BN2, "h"))
		s.line("  x = torch.add(%s, "+up+")", s.conv(name+"conv2", b.Conv2, "h", 1), s.conv(name+"skip", b.Skip, "x", 0))
	}
	s.line("  x = torch.relu(%s)", s.norm("bn", g.BN, "x"))
	s.line("  x = torch.tanh(%s)", s.conv("out", g.Out, "x", 1))
	s.line("  return torch.add(torch.mul(torch.add(x, 1), %#v), %#v)", (g.Range.High-g.Range.Low)/2, g.Range.Low)
	return s.entries, s.source.String()
}
