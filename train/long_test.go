//go:build long

package train

import "testing"

func TestTrainingOverfitsTwoModesFromOtherSeeds(t *testing.T) {
	for seed := uint64(2); seed <= 4; seed++ {
		coversTwoModes(t, twoModesERM(seed))
	}
}

// G that learns from E alone covers both modes where its chains are clipped and E has spectral norm. At
// these rates, whose ratio is Table 12's, chains that are not clipped leap across the range within 400 steps.
func TestClippedChainsCoverTwoModesFromEAlone(t *testing.T) {
	cfg := twoModes(1)
	cfg.Energy.SpectralNorm, cfg.Chain.Delta2, cfg.Chain.Clip = true, 50, 0.02
	cfg.OptG.LR = 2 * cfg.OptE.LR
	cfg.Steps, cfg.Log.Checkpoint = 1500, 1500
	coversTwoModes(t, cfg)
}
