package optim_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/optim"
	"github.com/liebm/liebm/torch/torchtest"
)

const steps = 6 // of testdata/adam.py

// start returns the golden's parameters as kept leaves: a convolution's weight, which lies in
// memory as NHWC, a bias, and a parameter that no loss reaches.
func start(golden *torchtest.Golden) []torch.Tensor {
	params := make([]torch.Tensor, 3)
	for i := range params {
		p := golden.Tensor(fmt.Sprintf("start.%d", i))
		if p.Dim() == 4 {
			p = p.Contiguous(torch.ChannelsLast)
		}
		params[i] = p.Leaf().Keep()
	}
	return params
}

func closeAll(ts []torch.Tensor) {
	for _, t := range ts {
		t.Close()
	}
}

func TestAdamMatchesPyTorch(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	for name, o := range map[string]optim.AdamOptions{
		"betas_0_999":          {Beta2: 0.999, Eps: 1e-8},
		"betas_0_9":            {Beta2: 0.9, Eps: 1e-8},
		"betas_9_999":          {Beta1: 0.9, Beta2: 0.999, Eps: 1e-8},
		"weight_decay":         {Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1},
		"max_update":           {Beta2: 0.99, Eps: 1e-8, MaxUpdate: 0.9},
		"max_update_beta1_9":   {Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, MaxUpdate: 0.5},
		"weight_decay_beta1_0": {Beta2: 0.999, Eps: 1e-3, WeightDecay: 0.1},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			params := start(golden)
			defer closeAll(params)
			adam := optim.NewAdam(params, o)
			defer adam.Close()
			for step := range steps {
				grads := make([]torch.Tensor, len(params)) // the third: none
				for i := range grads[:2] {
					grads[i] = golden.Tensor(fmt.Sprintf("grad.%d.%d", step, i))
				}
				adam.Apply(grads, 1e-2/float64(1+step))
				for i, p := range params {
					// √v̂ is √v·(1/√c) here and √v/√c there: one more rounding a step.
					torchtest.InDelta(t, golden.Tensor(fmt.Sprintf("%s.%d.%d", name, step, i)), p.Detach(), 1e-6)
				}
			}
			assert.Equal(t, steps, adam.Steps())
			assert.True(t, golden.Tensor("start.2").Equal(params[2]), "a parameter that the loss does not reach stays, weight decay or not")
			assert.True(t, params[0].RequiresGrad())
		})
	}
}

// loss is testdata/adam.py's.
func loss(p []torch.Tensor) torch.Tensor {
	quartic := p[0].Pow(4).Sum().DivScalar(10)
	return quartic.Add(p[1].Sum().AddScalar(-1).Square()).Add(p[0].Sum().Mul(p[1].Select(0, 0)))
}

func TestAdamStepDescendsALossAsPyTorchDoes(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	torchtest.Scope(t, func() {
		params := start(golden)
		defer closeAll(params)
		adam := optim.NewAdam(params, optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
		defer adam.Close()
		for step := range steps {
			l := loss(params)
			torchtest.InDelta(t, golden.Tensor(fmt.Sprintf("loss.%d", step)), l.Detach().Reshape(1), 2e-6) // a sum of 53 terms
			live := torch.Live()
			adam.Step(l, 0.05)
			assert.Equal(t, live, torch.Live(), "a step leaves no tensor behind")
			for i, p := range params {
				torchtest.InDelta(t, golden.Tensor(fmt.Sprintf("loss.%d.%d", step, i)), p.Detach(), 2e-6)
			}
		}
	})
}

// TestAdamContinuesBitForBit stops after three steps, writes the state to a file, and goes on with
// an optimiser that never saw them.
func TestAdamContinuesBitForBit(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	for name, o := range map[string]optim.AdamOptions{
		"beta1 0":   {Beta2: 0.999, Eps: 1e-8},
		"beta1 0.9": {Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01},
	} {
		torchtest.Run(t, name, func(t *testing.T) {
			straight, resumed := start(golden), start(golden)
			defer closeAll(straight)
			defer closeAll(resumed)
			whole, first, second := optim.NewAdam(straight, o), optim.NewAdam(resumed, o), optim.NewAdam(resumed, o)
			defer whole.Close()
			defer first.Close()
			defer second.Close()

			for range steps {
				whole.Step(loss(straight), 0.05)
			}
			for range steps / 2 {
				first.Step(loss(resumed), 0.05)
			}
			saved := save(t, first.Entries("adam."))
			require.NoError(t, second.Load("adam.", saved, first.Steps()))
			closeAll(values(saved))
			for range steps / 2 {
				second.Step(loss(resumed), 0.05)
			}
			assert.Equal(t, steps, second.Steps())
			for i := range straight {
				assert.True(t, straight[i].Equal(resumed[i]), "parameter %d", i)
			}
			for i, e := range whole.Entries("") {
				assert.True(t, e.Tensor.Equal(second.Entries("")[i].Tensor), e.Name)
			}
		})
	}
}

// save writes entries to a file and reads them back.
func save(t *testing.T, entries []torch.Entry) map[string]torch.Tensor {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, torch.WriteSafetensors(&file, entries, nil))
	path := filepath.Join(t.TempDir(), "adam.safetensors")
	require.NoError(t, os.WriteFile(path, file.Bytes(), 0o600))
	tensors, _, err := torch.ReadSafetensors(path)
	require.NoError(t, err)
	return tensors
}

func values(m map[string]torch.Tensor) (ts []torch.Tensor) {
	for _, v := range m {
		ts = append(ts, v)
	}
	return ts
}

func TestAdamEntriesAndLoadErrors(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	torchtest.Scope(t, func() {
		params := start(golden)
		defer closeAll(params)
		adam := optim.NewAdam(params, optim.AdamOptions{Beta1: 0.9, Beta2: 0.999})
		defer adam.Close()
		good := map[string]torch.Tensor{}
		var names []string
		for _, e := range adam.Entries("g.") {
			names, good[e.Name] = append(names, e.Name), e.Tensor.Clone()
		}
		assert.Equal(t, []string{"g.exp_avg.0", "g.exp_avg.1", "g.exp_avg.2", "g.exp_avg_sq.0", "g.exp_avg_sq.1", "g.exp_avg_sq.2"}, names)
		assert.NoError(t, adam.Load("g.", good, 7))
		assert.Equal(t, 7, adam.Steps())
		assert.ErrorContains(t, adam.Load("e.", good, 7), "e.exp_avg.0 is missing")
		for name, shape := range map[string][]int{"another shape": {3}, "a shape that would broadcast": {1}} {
			bad := map[string]torch.Tensor{}
			for k, v := range good {
				bad[k] = v
			}
			bad["g.exp_avg_sq.1"] = torch.Zeros(shape, torch.Float32)
			assert.ErrorContains(t, adam.Load("g.", bad, 9), "g.exp_avg_sq.1", name)
		}
	})
}

func TestAdamBeta1ZeroNeedsNoFirstMoment(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	torchtest.Scope(t, func() {
		params := start(golden)
		defer closeAll(params)
		adam := optim.NewAdam(params, optim.AdamOptions{Beta2: 0.999})
		defer adam.Close()
		assert.Len(t, adam.Entries(""), len(params))
	})
}

func TestAdamSkipsAParameterWithoutGradient(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	torchtest.Scope(t, func() {
		params := start(golden)
		defer closeAll(params)
		adam := optim.NewAdam(params, optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1})
		defer adam.Close()
		grads := func(step int) []torch.Tensor {
			return []torch.Tensor{golden.Tensor(fmt.Sprintf("grad.%d.0", step)), golden.Tensor(fmt.Sprintf("grad.%d.1", step)), {}}
		}
		adam.Apply(grads(0), 0.1)
		before := params[0].Clone()
		var moments [][]float64
		for _, e := range adam.Entries("") {
			moments = append(moments, e.Tensor.Float64s())
		}
		next := grads(1)
		next[0] = torch.Tensor{}
		adam.Apply(next, 0.1)
		assert.True(t, before.Equal(params[0]), "it stays")
		for i, e := range adam.Entries("") {
			if e.Name == "exp_avg.1" || e.Name == "exp_avg_sq.1" {
				assert.NotEqual(t, moments[i], e.Tensor.Float64s(), e.Name)
			} else {
				assert.Equal(t, moments[i], e.Tensor.Float64s(), e.Name)
			}
		}
	})
}

func TestAdamWithoutAnyGradientMovesNothing(t *testing.T) {
	golden := torchtest.Load(t, "testdata/adam.npz")
	torchtest.Scope(t, func() {
		params := start(golden)
		defer closeAll(params)
		adam := optim.NewAdam(params, optim.AdamOptions{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 1})
		defer adam.Close()
		adam.Apply(make([]torch.Tensor, 3), 1)
		for i, p := range params {
			assert.True(t, golden.Tensor(fmt.Sprintf("start.%d", i)).Equal(p))
		}
	})
}
