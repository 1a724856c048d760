package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/liebm/liebm/data"
	"github.com/liebm/liebm/models"
	"github.com/liebm/liebm/torch"
	"github.com/liebm/liebm/torch/nn"
)

// sampleBatch is how many images are drawn at once. It is fixed: an image's noise is named by its
// batch, so sample i of a seed is the same however many are asked for.
const sampleBatch = 250

// recalibration is how many batches of latents reset G's batch-norm statistics to the averaged
// weights, whose own average of statistics lags behind them.
const recalibration = 40

// Model is a trained run, ready to sample and to score: the averaged networks and the encoder.
type Model struct {
	E      *models.Energy
	G      *models.Generator
	H      *models.Encoder   // nil where nothing needed it
	Q      *models.Inference // of ERM, as trained and not averaged; else nil
	Config Config
	Step   int
	SHA256 string // of the checkpoint; empty for a model that never was in one

	QSHA256 string // of the checkpoint that LoadInference read; empty for the q of ERM

	dtype torch.DType
}

// LoadModel reads the newest whole checkpoint of the run in dir. The caller closes the model.
func LoadModel(dir string, device torch.Device) (*Model, error) {
	run, err := OpenRun(dir)
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig(run)
	if err != nil {
		return nil, err
	}
	last, skipped, err := run.LastCheckpoint(verifyCheckpoint)
	if errors.Is(err, ErrNoCheckpoint) {
		return nil, fmt.Errorf("%s has no checkpoint yet: let `liebm train` reach its first one", dir)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range skipped {
		fmt.Fprintln(os.Stderr, "liebm:", s)
	}
	h, err := cfg.loadEncoder(run.Path(encoderFile))
	if err != nil {
		return nil, err
	}
	t, err := NewTrainer(cfg, h, device)
	if err != nil {
		nn.Close(h)
		return nil, err
	}
	if err := t.Load(last.Path); err != nil {
		t.Close()
		return nil, err
	}
	m, err := t.Model()
	if err != nil {
		return nil, err
	}
	m.SHA256, err = fileSHA256(last.Path)
	return m, err
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Model ends training: it keeps the averaged networks with fresh batch-norm statistics and frees
// the rest. Before the first step there is nothing that they could lag behind, and imported ones stay.
func (t *Trainer) Model() (*Model, error) {
	m := &Model{E: t.AvgE, G: t.AvgG, H: t.H, Q: t.Q, Config: t.cfg, Step: t.step, dtype: t.dtype}
	for _, part := range []any{t.E, t.G} {
		nn.Close(part)
	}
	for _, o := range t.optimisers() {
		o.Close()
	}
	if t.step == 0 {
		return m, nil
	}
	err := torch.Do(func() error {
		torch.NoGrad(func() {
			m.G.Recalibrate(recalibration, sampleBatch, torch.NewRNG(t.cfg.Seed, 0, "recalibrate"))
		})
		return nil
	})
	return m, err
}

// Close frees the model.
func (m *Model) Close() {
	nn.Close(m.E)
	nn.Close(m.G)
	nn.Close(m.H)
	nn.Close(m.Q)
}

// SampleOptions of [Model.Sample].
type SampleOptions struct {
	Seed   uint64
	NoMCMC bool           // G(m) alone: one network evaluation
	Watch  func(done int) // after every batch; may be nil
}

// NFE is the number of network evaluations per sample: G, and one of E per chain step.
func (m *Model) NFE(noMCMC bool) int {
	if noMCMC {
		return 1
	}
	return 1 + m.Config.Chain.Steps
}

// Sample draws n images at the training size: G(m), refined by the chain on E (Eq. 9) unless
// NoMCMC. Sample i depends on the seed and i only.
func (m *Model) Sample(ctx context.Context, n int, o SampleOptions) (*data.Set, error) {
	size, channels := m.Config.Data.Size, m.Config.Energy.Channels
	pixels := make([]byte, 0, n*size*size*channels)
	err := torch.Do(func() error {
		energy := m.E.Frozen(m.dtype)
		for i := 0; len(pixels) < cap(pixels); i++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			torch.Tidy(func() torch.Tensor {
				rng := torch.NewRNG(o.Seed, i, "sample")
				steps := m.Config.Chain.Steps
				if o.NoMCMC {
					steps = 0
				}
				x := drawSamples(m.G, energy, m.Config, nn.Eval, steps, rng, sampleBatch)
				pixels = append(pixels, data.Bytes(m.Config.Data.Range.ToUnit(x))[:min(sampleBatch*size*size*channels, cap(pixels)-len(pixels))]...)
				return torch.Tensor{}
			})
			if o.Watch != nil {
				o.Watch(len(pixels) / (size * size * channels))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return data.New(data.Shape{N: n, H: size, W: size, C: channels}, pixels, nil)
}

// drawSamples is G(m) followed by steps of the chain: [n,c,h,w] in the range.
func drawSamples(g *models.Generator, energy *models.Bound, cfg Config, mode nn.Mode, steps int, rng *torch.RNG, n int) torch.Tensor {
	var x torch.Tensor
	torch.NoGrad(func() {
		m := rng.Fork("m").Normal(n, cfg.Generator.LatentDim).ToDevice(g.In.Weight.Device())
		x = g.Forward(m, mode)
	})
	if steps == 0 {
		return x
	}
	chain := cfg.chain()
	chain.Steps = steps
	return chain.Run(energy.Marginal, x, rng.Fork("chain"))
}

// Scores is s(x) = F(f(x)) + γ·cos(g(f(x)), h(x)) of every image of set (Eq. 15), and its two
// terms alone; inliers score high. The set's images must have the training size.
func (m *Model) Scores(ctx context.Context, set *data.Set, gamma float64) (joint, energy, cosine []float64, err error) {
	err = torch.Do(func() error {
		bound := m.E.Frozen(torch.Float32)
		return m.each(ctx, set, use{}, func(x torch.Tensor, _ *torch.RNG) error {
			torch.NoGrad(func() {
				f := bound.Features(x)
				energy = append(energy, bound.Score(f).Float64s()...)
				z := torch.Tensor{}
				if m.E.Head1 != nil {
					z = m.H.Latent(x)
				}
				cosine = append(cosine, bound.Cosine(f, z).Float64s()...)
			})
			return nil
		})
	})
	for i := range energy {
		joint = append(joint, energy[i]+gamma*cosine[i])
	}
	return joint, energy, cosine, err
}
