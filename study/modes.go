package study

import (
	"context"
	"fmt"

	"github.com/liebm/liebm/eval"
	"github.com/liebm/liebm/train"
)

// stacked is the data set whose modes are counted.
const stacked = "stacked-fmnist"

// stackedModes is how many samples the benchmark of modes draws.
const stackedModes = 26_000

// AssessModes draws 26,000 samples of a run on Stacked Fashion-MNIST, and counts how many of the 1,000 classes they
// cover. The values are modes and reverse_kl, see [eval.Modes].
func AssessModes(ctx context.Context, m *train.Model, seed uint64, s Setup) (*eval.Record, error) {
	if m.Config.Data.Name != stacked {
		return nil, fmt.Errorf("modes are counted on %s only, and the run's data are %s", stacked, m.Config.Data.Name)
	}
	net, err := eval.FashionFeatures()
	if err != nil {
		return nil, err
	}
	defer net.Close()
	set, err := m.Sample(ctx, stackedModes, train.SampleOptions{Seed: seed, Watch: s.watch("sampling, for modes", stackedModes)})
	if err != nil {
		return nil, err
	}
	modes, err := eval.ModesOf(ctx, net, set)
	if err != nil {
		return nil, err
	}
	r := s.record("modes", m, seed)
	r.NFE, r.Network = m.NFE(train.SampleOptions{}), net.Name()
	r.Of(eval.InputOf("samples", set))
	r.Values["modes"], r.Values["reverse_kl"] = float64(modes.Covered), modes.KL
	return r, nil
}
