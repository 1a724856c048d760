//go:build long

package train

import "testing"

func TestTrainingOverfitsTwoModesFromOtherSeeds(t *testing.T) {
	for seed := uint64(2); seed <= 4; seed++ {
		coversTwoModes(t, twoModesERM(seed))
	}
}
