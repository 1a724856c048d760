//go:build long

package study

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/liebm/liebm/train"
)

func TestFiguresOfTheModelThatComesWithLiebmAreMeasuredAgain(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, err := train.RunFolder("pretrained:fmnist")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	require.NoError(t, err)
	var card Summary
	require.NoError(t, json.Unmarshal(text, &card))

	m := open(t, dir)
	samples, err := AssessSamples(t.Context(), m, SampleOptions{}, Setup{})
	require.NoError(t, err)
	outliers, err := AssessOutliers(t.Context(), m, OutlierOptions{}, Setup{})
	require.NoError(t, err)
	now := Summarize(append(samples.Records, outliers)).Values
	for _, key := range []string{"fd", "fd_no_mcmc", "fd_floor"} {
		assert.InDelta(t, card.Values[key], now[key], 0.05, key) // processors round differently
	}
	for _, set := range MadeOutliers {
		assert.InDelta(t, card.Values["auroc/"+set], now["auroc/"+set], 0.001, set)
	}
}
