package models

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/mcmc"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
	"github.com/liebm/liebm/torch/torchtest"
)

func TestDualMCMCWeightsRunHereWithTheSameOutputs(t *testing.T) {
	const tol = 1e-5 // the same float32 sums in another order
	golden := torchtest.Load(t, "testdata/dualmcmc.npz")
	for name, widths := range map[string][]int{"cifar10": {8, 8, 8, 8}, "celeba64": {1, 2, 4, 8, 16}} {
		torchtest.Run(t, name, func(t *testing.T) {
			d, err := ReadDualMCMC("testdata/dualmcmc." + name + ".pth")
			require.NoError(t, err)
			defer d.Close()
			assert.Equal(t, 7, d.Epoch)
			assert.Equal(t, widths, d.E.Config.Widths)
			check := func(key string, got torch.Tensor) {
				t.Helper()
				torchtest.InDelta(t, golden.Tensor(name+"."+key), got, tol)
			}
			m, x := golden.Tensor(name+".m"), golden.Tensor(name+".x")
			g := d.G.Forward(m, nn.Eval)
			check("g", g)
			check("g_batch", d.G.Forward(m, nn.BatchStats))
			mean, logVar := d.Q.Forward(x)
			check("mean", mean)
			check("log_var", logVar)
			check("energy", d.E.Bind().Marginal(x))

			chain := mcmc.Langevin{Steps: 10, Delta2: golden.Item(name + ".delta2"), Clamp: mcmc.ClampNever}
			first := chain
			first.Steps = 1
			check("x1", first.Run(d.E.Frozen(torch.Float32).Marginal, g.Clone(), torch.NewRNG(0, 0, "no noise")))
			check("xT", chain.Run(d.E.Frozen(torch.Float32).Marginal, g.Clone(), torch.NewRNG(0, 0, "no noise")))
			check("xT_moving", chain.Run(func(x torch.Tensor) torch.Tensor { // as in its scripts, which stay in training mode
				d.E.PowerIterate()
				return d.E.Frozen(torch.Float32).Marginal(x)
			}, g, torch.NewRNG(0, 0, "no noise")))
		})
	}
}

func TestFilesOfAnotherLayoutAreRefusedByName(t *testing.T) {
	before := torch.Live()
	_, err := ReadDualMCMC("../torch/testdata/checkpoint.zip.pth")
	assert.ErrorContains(t, err, "checkpoint.zip.pth: not a checkpoint of Dual-MCMC")
	assert.ErrorContains(t, err, "netE.conv_1.conv1.weight_orig is missing")
	_, err = ReadDualMCMC(filepath.Join(t.TempDir(), "none.pth"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, before, torch.Live())
}

func TestLayoutFlawsAreNamed(t *testing.T) {
	whole, err := torch.ReadStateDict("testdata/dualmcmc.cifar10.pth")
	require.NoError(t, err)
	defer func() {
		for _, e := range whole {
			e.Tensor.Close()
		}
	}()
	before := torch.Live()
	for name, c := range map[string]struct {
		change func(entries []torch.Entry) []torch.Entry
		want   string
	}{
		"missing":                         {without("netE.block3.conv2.weight_v"), "netE.block3.conv2.weight_v is missing"},
		"missing where the shape is read": {without("netG.lin_1.weight"), "netG.lin_1.weight is missing"},
		"missing network":                 {without("netI.conv51.weight"), "netI.conv51.weight is missing"},
		"missing counter":                 {without("netG.bn_5.num_batches_tracked"), ""},
		"missing block":                   {without("netG.block4.conv1.weight"), "netG makes 16×16 images, netI reads 32×32"},
		"unknown in a network":            {with("netE.block9.conv1.bias", 3), "netE.block9.conv1.bias is unknown"},
		"unknown network":                 {with("netF.weight", 3), "netF.weight is unknown"},
		"unknown optimiser state":         {with("optE.state.99.exp_avg", 3), ""},
		"another shape":                   {with("netG.block3.bn_2.running_var", 9), "netG.block3.bn_2.running_var is [9], it must be [8]"},
		"another rank":                    {with("netE.conv_1.conv1.weight_orig", 8, 27), "netE.conv_1.conv1.weight_orig is [8 27], it needs 4 dimensions"},
		"a network larger than the file":  {with("netE.block2.conv1.weight_orig", 1<<20, 1, 1, 1), "netE.block2.conv2.weight_orig is [8 8 3 3], it must be [1048576 1048576 3 3]"},
		"other latents":                   {with("netI.conv51.weight", 7, 16, 4, 4), "netG's latents have 6 dimensions, netI's 7"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, torch.Do(func() error {
				d, err := importDualMCMC(c.change(slices.Clone(whole)))
				if c.want == "" {
					require.NoError(t, err)
					d.Close()
					return nil
				}
				assert.ErrorContains(t, err, c.want)
				return nil
			}))
			assert.Equal(t, before, torch.Live())
		})
	}
}

func without(name string) func([]torch.Entry) []torch.Entry {
	return func(entries []torch.Entry) []torch.Entry {
		return slices.DeleteFunc(entries, func(e torch.Entry) bool { return e.Name == name })
	}
}

// with adds a tensor of zeros, or puts it in another's place.
func with(name string, shape ...int) func([]torch.Entry) []torch.Entry {
	return func(entries []torch.Entry) []torch.Entry {
		return append(without(name)(entries), torch.Entry{Name: name, Tensor: torch.Zeros(shape, torch.Float32)})
	}
}
