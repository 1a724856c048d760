package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// DualMCMC are the networks of a checkpoint of Dual-MCMC (Cui & Han 2023).
type DualMCMC struct {
	E     *Energy // the file's netE times −1, so that it is high for likely images
	G     *Generator
	Q     *Inference
	Epoch int // as the file says
}

// Close frees the networks.
func (d *DualMCMC) Close() { nn.Close(d) }

// ReadDualMCMC reads a checkpoint of Dual-MCMC's training: netG, netE with its spectral norms, and netI. It takes
// widths, depths and image size from the shapes in the file. It skips the optimisers and executes nothing. It
// returns an error that names each tensor that is missing, has another shape or is unknown. The caller closes the
// networks.
func ReadDualMCMC(path string) (*DualMCMC, error) {
	entries, scalars, err := torch.ReadCheckpoint(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, e := range entries {
			e.Tensor.Close()
		}
	}()
	d, err := importDualMCMC(entries)
	if err != nil {
		return nil, fmt.Errorf("%s: not a checkpoint of Dual-MCMC with netG, netE and netI: %w", path, err)
	}
	d.Epoch, _ = scalars["epoch"].(int)
	return d, nil
}

func importDualMCMC(entries []torch.Entry) (*DualMCMC, error) {
	f := dualFile{tensors: map[string]torch.Tensor{}, used: map[string]bool{}}
	for _, e := range entries {
		f.tensors[e.Name] = e.Tensor
	}
	ec, gc, qc, err := f.configs()
	if err != nil {
		return nil, err
	}
	d := &DualMCMC{}
	var errs [3]error
	d.E, errs[0] = NewEnergy(ec, 0)
	d.G, errs[1] = NewGenerator(gc, Range{-1, 1}, 0)
	d.Q, errs[2] = NewInference(qc, 0)
	if err = errors.Join(errs[:]...); err == nil {
		err = torch.Do(func() error {
			f.load("netE.", d.E, dualEnergyNames(len(ec.Widths)))
			f.load("netG.", d.G, dualGeneratorNames(len(gc.Widths)-1))
			f.load("netI.", d.Q, dualInferenceNames(len(qc.Widths), qc.Stem > 0))
			f.refuseUnknown(entries)
			d.negate()
			return f.err()
		})
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// negate turns netE, which is low for likely images, into E. W → −W and u → −u do not change σ = uᵀWv by a bit,
// neither now nor after a power iteration.
func (d *DualMCMC) negate() {
	torch.NoGrad(func() {
		for _, t := range []torch.Tensor{d.E.F.Weight, d.E.F.WeightU} {
			t.CopyFrom(t.Neg())
		}
	})
}

// dualFile is a checkpoint of Dual-MCMC that is being read.
type dualFile struct {
	tensors map[string]torch.Tensor
	used    map[string]bool
	wrong   []string // errors
}

// configs are the configs of the networks, from the shapes in the file.
func (f *dualFile) configs() (e EnergyConfig, g GeneratorConfig, q InferenceConfig, err error) {
	e = EnergyConfig{SpectralNorm: true, LinearF: true, Posterior: NoLatent}
	for name := "netE.conv_1"; name == "netE.conv_1" || f.has(name+".conv1.weight_orig"); name = fmt.Sprintf("netE.block%d", len(e.Widths)+1) {
		conv1 := f.shape(name+".conv1.weight_orig", 4)
		f.expect(name+".conv2.weight_orig", conv1[0], conv1[0], 3, 3)
		if len(e.Widths) == 0 {
			e.Channels = conv1[1]
		}
		e.Widths = append(e.Widths, conv1[0])
		// A block whose width changes has a shortcut too, but in both released networks the blocks with
		// one are those that halve.
		e.Downs = append(e.Downs, f.has(name+".sc.weight_orig"))
	}
	in := f.shape("netG.lin_1.weight", 2)
	g = GeneratorConfig{Channels: e.Channels, LatentDim: in[1], Widths: []int{in[0] / 16}}
	for i := 2; i == 2 || f.has(fmt.Sprintf("netG.block%d.conv1.weight", i)); i++ {
		name := fmt.Sprintf("netG.block%d", i)
		conv1 := f.conv(name+".conv1.weight", g.Widths[len(g.Widths)-1])
		f.expect(name+".conv2.weight", conv1[0], conv1[0], 3, 3)
		g.Widths = append(g.Widths, conv1[0])
	}
	q = InferenceConfig{Channels: e.Channels}
	last := e.Channels
	for i := 0; i == 0 || f.has(fmt.Sprintf("netI.main.%d.weight", i)); i += 2 {
		conv := f.conv(fmt.Sprintf("netI.main.%d.weight", i), last)
		if i == 0 && conv[2] == 3 {
			q.Stem = conv[0]
		} else {
			q.Widths = append(q.Widths, conv[0])
		}
		last = conv[0]
	}
	q.LatentDim = f.conv("netI.conv51.weight", last)[0]
	if err = f.err(); err != nil {
		return e, g, q, err
	}
	size, halvings := g.Size(), 0
	for _, down := range e.Downs {
		if down {
			halvings++
		}
	}
	switch {
	case len(q.Widths) == 0 || 4<<len(q.Widths) != size:
		err = fmt.Errorf("netG makes %d×%d images, netI reads %d×%d", size, size, 4<<len(q.Widths), 4<<len(q.Widths))
	case size>>halvings == 0:
		err = fmt.Errorf("netE halves %d×%d images %d times", size, size, halvings)
	case q.LatentDim != g.LatentDim:
		err = fmt.Errorf("netG's latents have %d dimensions, netI's %d", g.LatentDim, q.LatentDim)
	}
	return e, g, q, err
}

func (f *dualFile) has(name string) bool { return f.tensors[name].Defined() }

func (f *dualFile) fault(format string, args ...any) {
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
}

// shape returns the shape of a tensor. It records an error if there is none, or if it has another number of
// dimensions or one of length 0.
func (f *dualFile) shape(name string, dims int) []int {
	fallback := slices.Repeat([]int{1}, dims)
	if !f.has(name) {
		f.fault("%s is missing", name)
		return fallback
	}
	shape := f.tensors[name].Shape()
	if len(shape) != dims || slices.Min(shape) == 0 {
		f.fault("%s is %v, it needs %d dimensions", name, shape, dims)
		return fallback
	}
	return shape
}

// conv is shape of the weight of a convolution that reads `in` channels.
func (f *dualFile) conv(name string, in int) []int {
	shape := f.shape(name, 4)
	if f.has(name) && shape[1] != in {
		f.fault("%s is %v, it must read %d channels", name, shape, in)
	}
	return shape
}

// expect checks a shape before a network of that shape is made, so that a small file cannot make one of
// terabytes.
func (f *dualFile) expect(name string, shape ...int) {
	if got := f.shape(name, len(shape)); f.has(name) && !slices.Equal(got, shape) {
		f.fault("%s is %v, it must be %v", name, got, shape)
	}
}

// load copies a network of the file into module. names turns our names of tensors into the file's.
func (f *dualFile) load(net string, module any, names []string) {
	replacer := strings.NewReplacer(names...)
	for _, l := range nn.State(module) {
		name := net + replacer.Replace(l.Name)
		f.used[name] = true
		f.expect(name, l.Tensor.Shape()...)
		if f.err() == nil {
			torch.NoGrad(func() { l.Tensor.CopyFrom(f.tensors[name]) })
		}
	}
}

// refuseUnknown records an error for every tensor that was not read.
func (f *dualFile) refuseUnknown(entries []torch.Entry) {
	for _, e := range entries {
		net, rest, _ := strings.Cut(e.Name, ".")
		optimiser := net == "optG" || net == "optE" || net == "optI"
		counter := net == "netG" && strings.HasSuffix(rest, ".num_batches_tracked") // not used at momentum 0.1
		if !optimiser && !counter && !f.used[e.Name] {
			f.fault("%s is unknown", e.Name)
		}
	}
}

func (f *dualFile) err() error {
	const shown = 5
	switch n := len(f.wrong); {
	case n == 0:
		return nil
	case n > shown:
		return fmt.Errorf("%s; and %d more", strings.Join(f.wrong[:shown], "; "), n-shown)
	}
	return errors.New(strings.Join(f.wrong, "; "))
}

// dualEnergyNames are pairs of a part of our names in E and of netE's, for [strings.NewReplacer]. weight_orig is
// the name that torch.nn.utils.spectral_norm uses.
func dualEnergyNames(blocks int) []string {
	names := []string{"weight_u", "weight_u", "weight_v", "weight_v", "weight", "weight_orig",
		"f.", fmt.Sprintf("lin_%d.", blocks+1), "blocks.0.", "conv_1.", "skip.", "sc."}
	return append(names, numbered("blocks.%d.", 1, "block%d.", 2, 1, blocks-1)...)
}

// dualGeneratorNames are the pairs of G and netG.
func dualGeneratorNames(blocks int) []string {
	names := []string{"in.", "lin_1.", "bn.", fmt.Sprintf("bn_%d.", blocks+2), "out.", fmt.Sprintf("conv%d.", blocks+2),
		"bn1.", "bn_1.", "bn2.", "bn_2.", "skip.", "sc."}
	return append(names, numbered("blocks.%d.", 0, "block%d.", 2, 1, blocks)...)
}

// dualInferenceNames are the pairs of q and netI, whose convolutions alternate with LeakyReLU.
func dualInferenceNames(convs int, stem bool) []string {
	names, first := []string{"mean.", "conv51.", "log_var.", "conv52.", "stem.", "main.0."}, 0
	if stem {
		first = 2
	}
	return append(names, numbered("convs.%d.", 0, "main.%d.", first, 2, convs)...)
}

// numbered returns n pairs of names: ours count from one number, theirs from another one in steps.
func numbered(ours string, our int, theirs string, their, step, n int) (pairs []string) {
	for i := range n {
		pairs = append(pairs, fmt.Sprintf(ours, our+i), fmt.Sprintf(theirs, their+step*i))
	}
	return pairs
}
